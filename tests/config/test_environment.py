from pathlib import Path

import pytest

from diptych.config import load, read

STORE = "postgresql://ann:secret@host/shop"


def problems(**environment: str) -> list[str]:
    return list(read(None, environment, {}).problems)


def test_a_variable_says_what_a_key_says(folder: Path) -> None:
    found = load(
        None,
        {
            "DIPTYCH_TARGET": "shop:shop",
            "DIPTYCH_SERVER_LOG_LEVEL": "debug",
            "DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_OrderSummary_BATCH": "7",
            "DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_NAME_BATCH": "8",
            "DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_A_BATCH_BATCH": "9",
            "PATH": "/bin",
        },
        {},
    )

    assert (found.target, found.log_level) == ("shop:shop", "debug")
    assert {name: one.batch for name, one in found.projections.items()} == {"OrderSummary": 7, "NAME": 8, "A_BATCH": 9}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("DIPTYCH_STOER", "did you mean 'DIPTYCH_STORE'?"),
        ("DIPTYCH_SERVER_PROT_FILE", "did you mean 'DIPTYCH_SERVER_PORT'?"),
        (
            "DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_A_BACH",
            "did you mean 'DIPTYCH_CQRS_QUERY_SIDE_PROJECTIONS_NAME_BATCH'?",
        ),
        ("DIPTYCH_PORT", "did you mean 'DIPTYCH_SERVER_PORT'?"),
        ("DIPTYCH_MAX_LAG", "did you mean 'DIPTYCH_CQRS_MONITORING_MAX_LAG'?"),
        ("DIPTYCH_", "did you mean"),
        ("DIPTYCH_FILE", "did you mean"),
    ],
)
def test_an_unknown_variable_names_the_nearest(folder: Path, name: str, told: str) -> None:
    [found] = problems(**{name: "1"})

    assert found.startswith(f"{name}: there is no such setting; ")
    assert told in found


def test_a_wrong_value_names_its_variable_and_its_key(folder: Path) -> None:
    timeout, port = problems(DIPTYCH_SERVER_PORT="x", DIPTYCH_SERVER_BODY_TIMEOUT="-1s")

    assert port == "DIPTYCH_SERVER_PORT: server.port: expected a whole number from 0 to 65535, found 'x'"
    assert timeout.startswith("DIPTYCH_SERVER_BODY_TIMEOUT: server.body_timeout: expected a duration from 1ms to 24h,")
    assert timeout.endswith(", found '-1s'")


def test_an_empty_variable_says_nothing(folder: Path) -> None:
    found = load(None, {"DIPTYCH_STORE": "", "DIPTYCH_STORE_FILE": "", "DIPTYCH_NONSENSE": ""}, {})

    assert (found.store, dict(found.origins)) == (None, {})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_variable_may_name_a_file_with_the_value(folder: Path, end: str) -> None:
    (folder / "secret").write_bytes(f"{STORE}{end}".encode())
    found = load(None, {"DIPTYCH_STORE_FILE": "secret"}, {})

    assert found.store == STORE
    assert str(found.origins["store",]) == "DIPTYCH_STORE_FILE"


def test_a_file_with_a_value_that_cannot_be_right_is_not_quoted(folder: Path) -> None:
    (folder / "secret").write_text("hunter2")
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "huge").write_text("x" * 70_000)
    (folder / "folder").mkdir()
    expected = "DIPTYCH_SERVER_PORT_FILE: server.port: expected a whole number from 0 to 65535"
    for name, told in (
        ("secret", expected),
        ("empty", expected),
        ("binary", "DIPTYCH_SERVER_PORT_FILE: binary is not UTF-8 (byte 1)"),
        ("huge", "DIPTYCH_SERVER_PORT_FILE: huge is larger than 64 KiB"),
        ("folder", "DIPTYCH_SERVER_PORT_FILE: folder cannot be read: Is a directory"),
        ("missing", "DIPTYCH_SERVER_PORT_FILE: missing does not exist"),
    ):
        assert problems(DIPTYCH_SERVER_PORT_FILE=name) == [told]


def test_a_variable_and_its_file_at_once_are_an_error(folder: Path) -> None:
    (folder / "secret").write_text(STORE)

    assert problems(DIPTYCH_STORE="memory://", DIPTYCH_STORE_FILE="secret") == [
        "DIPTYCH_STORE_FILE: DIPTYCH_STORE is there, too; say it once"
    ]
