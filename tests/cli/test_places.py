from pathlib import Path

import pytest

from tests.cli.conftest import SHOP
from tests.cli.running import Diptych

LOOKING = [
    ["event-store", "stream"],
    ["event-store", "replay", "order-1"],
    ["projection", "status"],
    ["check"],
    ["projection", "rebuild", "OrderSummary"],
    ["projection", "pause", "OrderSummary"],
    ["projection", "resume", "OrderSummary"],
]


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_into_a_store_that_is_not_there_ends_with_3_and_makes_none(
    diptych: Diptych, folder: Path, words: list[str]
) -> None:
    (folder / "empty.db").touch()
    for url, reason in (
        ("sqlite:///missing.db", "missing.db does not exist."),
        ("sqlite:///nowhere/missing.db", "missing.db does not exist."),
        ("sqlite:////dev/null/missing.db", "missing.db does not exist."),
        ("sqlite:///empty.db", "empty.db is empty."),
        ("memory://", "gone with its process"),
    ):
        ran = diptych(*words, "--target", SHOP, "--store", url)
        assert (ran.code, ran.out) == (3, "")
        assert reason in ran.err
        assert "Check the store's URL" in ran.err
    assert [(path.name, path.stat().st_size) for path in folder.iterdir()] == [("empty.db", 0)]


@pytest.mark.parametrize("words", LOOKING[:3], ids=" ".join)
def test_no_store_at_all_is_told_how_to_give_one(diptych: Diptych, words: list[str]) -> None:
    ran = diptych(*words, "--target", SHOP)

    assert (ran.code, ran.err) == (
        2,
        "diptych: which store? Say --store sqlite:///shop.db, set DIPTYCH_STORE, or say store: in diptych.yaml\n",
    )


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_url_of_no_store_ends_with_2_and_a_file_of_something_else_with_3(
    diptych: Diptych, folder: Path, words: list[str]
) -> None:
    (folder / "letter.db").write_text("Dear reader,\n" * 1000)

    assert diptych(*words, "--target", SHOP, "--store", "sqlit:///shop.db").code == 2
    assert diptych(*words, "--target", SHOP, "--store", "sqlite:///letter.db").code == 3
    assert (folder / "letter.db").read_text().startswith("Dear reader")
