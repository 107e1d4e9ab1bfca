"""Tokens: short texts that name a position in one log, and nothing else is one."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.errors import Malformed
from diptych.log import Token

LOG = "0123456789abcdef"


@given(position=st.integers(0, 10**18 - 1))
def test_a_token_goes_out_and_comes_back(position: int) -> None:
    token = Token.at(LOG, position)
    for same in (Token(str(token)), pickle.loads(pickle.dumps(token)), token):
        assert same == f"{LOG}.{position}"
        assert isinstance(same, Token)
        assert (same.log_id, same.position) == (LOG, position)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        LOG,
        f"{LOG}.",
        f"{LOG}.-1",
        f"{LOG}.1.",
        f"{LOG}. 1",
        f"{LOG}.1\n",
        f"{LOG}.٣",
        f"{LOG}.²",
        f"{LOG}.1e3",
        f"{LOG}.{'9' * 19}",
        f"{LOG[:-1]}.1",
        f"{LOG}0.1",
        f"{LOG.upper()}.1",
        f"{LOG[:-1]}g.1",
        f"{LOG[:-1]}٣.1",
        f" {LOG}.1",
        "x" * 100_000,
    ],
)
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(Malformed) as raised:
        Token(text)
    assert len(str(raised.value)) < 250


@given(text=st.text())
def test_any_text_is_a_token_or_malformed(text: str) -> None:
    try:
        token = Token(text)
    except Malformed:
        return
    assert token.log_id == text[:16]
