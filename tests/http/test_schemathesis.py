"""Whatever the description allows, and much that it does not, is answered as the description says. No 5xx.

Left out: `/readyz`, which says 503 of a projection that what is made up here may well stop, and what fails on purpose.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from diptych.http import Gateway
from diptych.http.openapi import describe
from tests.http.contexts import odd
from tests.http.serving import serving

ANSWERS = ["2xx", "304", "404", "409", "412", "422"]
"""What valid data may be answered with: a business rule may say no, and a version may be another one."""

CONFIG = SchemathesisConfig.from_dict(
    {"seed": 1, "checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}}}
)
EXAMPLES = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
LEFT_OUT = ["/readyz", "/odd%20ones/commands/Explode", "/odd%20ones/queries/Fail"]
DESCRIBED = schemathesis.openapi.from_dict(json.loads(describe(odd)("")), config=CONFIG).exclude(path=LEFT_OUT)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(Gateway(odd, f"sqlite:///{tmp_path_factory.mktemp('odd')}/odd.db")) as server:
        yield server.url


@pytest.fixture(scope="module")
def token(url: str) -> str:
    return httpx.post(f"{url}/odd ones/commands/Fill", json={"box_id": "1", "amount": 1}).headers["diptych-token"]


def check(case: schemathesis.Case[Any], url: str, token: str) -> None:
    """Sends it and makes every check, after what no schema can say has been put right in data that shall be valid."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if "Diptych-After" in case.headers:
            case.headers["Diptych-After"] = token  # of this log
        if case.headers.get("If-Match") == "0":  # made without regard to its pattern
            case.headers["If-Match"] = '"0"'
    case.body = with_integers(case.body)
    case.call_and_validate(base_url=url)


def with_integers(value: Any) -> Any:
    """The same with 39 for 39.0: to JSON Schema they are one number, to a message's integer they are not."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [with_integers(item) for item in value]
        case dict():
            return {key: with_integers(item) for key, item in value.items()}
        case _:
            return value


@DESCRIBED.parametrize()
@EXAMPLES
def test_every_address_answers_as_described(case: schemathesis.Case[Any], url: str, token: str) -> None:
    check(case, url, token)
