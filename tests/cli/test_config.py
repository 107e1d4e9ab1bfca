from pathlib import Path

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych

FILE = """\
target: tests.app.shop:shop
store: sqlite:///shop.db
cqrs:
  query_side:
    projections:
      OrderSummary: {batch: 2}
"""


@pytest.fixture
def file(folder: Path) -> Path:
    """A diptych.yaml that is right."""
    path = folder / "diptych.yaml"
    path.write_text(FILE)
    return path


def test_every_setting_is_shown_with_its_value_and_where_it_comes_from(
    diptych: Diptych, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIPTYCH_SERVER_PORT", "80")
    ran = diptych("config", "show", "other:one")
    lines = [line.split() for line in ran.out.splitlines()]

    assert (ran.code, ran.err) == (0, "")
    assert lines[:5] == [
        ["Setting", "Value", "From"],
        ["target", "other:one", "--target"],
        ["store", "sqlite:///shop.db", "diptych.yaml:2"],
        ["server.host", "127.0.0.1", "default"],
        ["server.port", "80", "DIPTYCH_SERVER_PORT"],
    ]
    assert lines[-3:] == [
        ["cqrs.query_side.projections.OrderSummary.batch", "2", "diptych.yaml:6"],
        ["cqrs.query_side.projections.OrderSummary.segments", "1", "default"],
        ["cqrs.query_side.projections.OrderSummary.max_parked", "1000", "default"],
    ]


def test_settings_are_shown_as_json(diptych: Diptych, folder: Path) -> None:
    (folder / "other.yaml").write_text("store: memory://\n")
    [found] = diptych("config", "show", "--config", "other.yaml", "--json").lines()

    assert found[:2] == [
        {"key": "target", "value": None, "origin": {"kind": "default", "name": ""}},
        {"key": "store", "value": "memory://", "origin": {"kind": "file", "name": "other.yaml:1"}},
    ]


def test_a_stores_password_is_shown_by_neither_command(
    diptych: Diptych, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secret").write_text("nosuchstore://ann:hunter2@host/shop?sslpassword=hunter2")
    monkeypatch.setenv("DIPTYCH_STORE_FILE", "secret")
    for words in (["config", "show"], ["config", "show", "--json"], ["config", "check"], ["config", "check", "--json"]):
        ran = diptych(*words)
        assert ran.out + ran.err
        assert "hunter2" not in ran.out + ran.err


def test_a_configuration_that_is_right_ends_with_0(diptych: Diptych, file: Path) -> None:
    ran = diptych("config", "check")

    assert (ran.code, ran.out, ran.err) == (0, "The configuration is right: 3 settings, the rest by default.\n", "")
    assert diptych("config", "check", "--json").lines() == [{"problems": []}]
    file.unlink()
    assert diptych("config", "check").out == "The configuration is right: 0 settings, the rest by default.\n"


def test_everything_that_is_wrong_is_told_at_once_and_ends_with_1(
    diptych: Diptych, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"{FILE}      OrderSumary: {{batch: 2}}\nserver: {{prot: 1}}\n".replace("sqlite:///", "sqlit:///"))
    monkeypatch.setenv("DIPTYCH_SERVER_HOTS", "x")
    told = [
        "diptych.yaml:8: server.prot is no setting; did you mean 'port'?",
        "DIPTYCH_SERVER_HOTS: there is no such setting; did you mean 'DIPTYCH_SERVER_HOST'?",
        "diptych.yaml:2: store: There is no store for sqlit://; did you mean 'sqlite'?",
        "diptych.yaml:7: Context 'shop' has no projection 'OrderSumary'; did you mean 'OrderSummary'?",
    ]
    ran = diptych("config", "check")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == ["diptych: the configuration is wrong:", *(f"  {line}" for line in told)]
    ran = diptych("config", "check", "--json")
    assert (ran.code, ran.err, ran.lines()) == (1, "", [{"problems": told}])


def test_a_place_for_snapshots_that_is_none_is_told_with_its_line(diptych: Diptych, folder: Path) -> None:
    (folder / "diptych.yaml").write_text("cqrs:\n  command_side:\n    snapshot:\n      storage: ftp://host/shop\n")
    ran = diptych("config", "check")

    assert ran.code == 1
    assert "diptych.yaml:4: cqrs.command_side.snapshot.storage: 'ftp://host/shop' is no place for snapshots" in ran.err


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_like_it", "--target: target: config_bad cannot be imported: config_bad.py:1:"),
        ("from diptych import BoundedContext\nshop = BoundedContext('a/b')", "--target: target: the name 'a/b' must"),
        ("ship = 1", "--target: target: config_bad has no 'shop'; there is no BoundedContext in it"),
    ],
)
def test_a_target_that_is_not_there_or_does_not_build_is_wrong(
    diptych: Diptych, folder: Path, code: str, told: str
) -> None:
    (folder / "config_bad.py").write_text(code)
    ran = diptych("config", "check", "config_bad:shop")

    assert ran.code == 1
    assert ran.err.splitlines()[1].strip().startswith(told)


def test_every_command_finds_its_target_and_its_store_in_the_file(diptych: Diptych, store: str, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DIPTYCH_TARGET")
        patch.delenv("DIPTYCH_STORE")
        (folder / "diptych.yaml").write_text(f"target: {SHOP}\nstore: {store}\n")

        assert (
            f"\nIt can read 2 kinds of events in {store}, told by the first of each: 3 events" in diptych("check").out
        )
        assert len(diptych("event-store", "stream").out.splitlines()) == 3
        assert diptych("event-store", "replay", "order-1").code == 0
        assert diptych("projection", "status").code == 0
        data = '{"order_id": "2"}'
        assert diptych("event-store", "append", "order-2", data, "--type", "OrderShipped").code == 0


def test_an_option_and_a_variable_win_over_the_file(diptych: Diptych, store: str, folder: Path) -> None:
    (folder / "diptych.yaml").write_text("target: nothing:here\nstore: sqlite:///missing.db\n")

    assert diptych("projection", "status").code == 0
    assert diptych("projection", "status", "--store", "sqlite:///other.db").code == 3


@pytest.mark.parametrize(
    "words", [["check"], ["event-store", "stream"], ["projection", "status"], ["config", "show"]], ids=" ".join
)
def test_a_wrong_configuration_ends_other_commands_with_2_and_every_problem(
    diptych: Diptych, file: Path, words: list[str]
) -> None:
    file.write_text("targte: a:b\nstore: []\n")
    ran = diptych(*words)

    assert (ran.code, ran.out) == (2, "")
    first, *problems = ran.err.splitlines()
    assert first == "diptych: the configuration is wrong:"
    assert [problem.split()[0] for problem in problems] == ["diptych.yaml:1:", "diptych.yaml:2:"]


def test_what_is_given_by_options_needs_no_configuration(diptych: Diptych, store: str, file: Path) -> None:
    file.write_text("\t")

    assert diptych("projection", "status", "--target", SHOP, "--store", store).code == 0


def test_an_empty_option_is_not_looked_up_in_the_file(diptych: Diptych, file: Path) -> None:
    for words, told in ((["--target", "", "--store", "x"], "which context?"), (["--store", ""], "which store?")):
        ran = diptych("projection", "status", *words)
        assert ran.code == 2
        assert told in ran.err


def test_check_can_do_without_a_store_that_only_the_file_names(
    diptych: Diptych, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = diptych("check")
    assert (ran.code, ran.err) == (0, "There is no store yet at sqlite:///shop.db.\n")
    assert ran.out.startswith("Bounded context 'shop' builds.\n")
    monkeypatch.setenv("DIPTYCH_STORE", "sqlite:///shop.db")
    assert diptych("check").code == 3


def test_a_configuration_file_that_is_not_there_is_wrong(diptych: Diptych) -> None:
    assert diptych("config", "show", "--config", "nothing.yaml").code == 2
    ran = diptych("config", "check", "--config", "nothing.yaml")
    assert (ran.code, ran.err) == (1, "diptych: the configuration is wrong:\n  nothing.yaml: does not exist\n")
