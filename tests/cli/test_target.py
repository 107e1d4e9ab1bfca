from pathlib import Path

import pytest

from tests.cli.running import Diptych

CONTEXT = "from diptych import BoundedContext\n\nempty = BoundedContext('empty')\nnumber = 1\n"


def test_a_context_in_the_working_folder_is_found(diptych: Diptych, folder: Path) -> None:
    (folder / "target_found.py").write_text(CONTEXT)

    assert diptych("check", "target_found:empty").code == 0
    assert diptych("check", "--target", "target_found:empty").code == 0


def test_a_context_may_stand_in_a_package_and_below_an_attribute(diptych: Diptych, folder: Path) -> None:
    package = folder / "target_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(CONTEXT + "class All:\n    first = empty\n")

    assert diptych("check", "target_package.inner:All.first").code == 0
    ran = diptych("check", "target_package.iner:All.first")
    assert (ran.code, ran.err) == (
        2,
        "diptych: there is no module 'target_package.iner'; did you mean 'inner'?\n",
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("target_wrong", "names no context; say module:name, such as target_wrong:shop"),
        (":empty", "names no context"),
        ("", "which context? Say --target module:name"),
        ("target_wrong.py:empty", "there is no module 'target_wrong.py'; did you mean 'target_wrong'?"),
        ("target_wrong:", "names no context"),
        ("target_wrnog:empty", "there is no module 'target_wrnog'; did you mean 'target_wrong'?"),
        ("nothing_like_it:empty", "there is no module 'nothing_like_it'; modules are looked for in"),
        ("target_wrong:emtpy", "target_wrong has no 'emtpy'; did you mean 'empty'?"),
        ("target_wrong:number", "target_wrong:number is an int and no BoundedContext; known are empty."),
        ("target_wrong:BoundedContext", "is a type and no BoundedContext"),
    ],
)
def test_a_target_that_is_not_there_ends_with_2_and_what_is_near(
    diptych: Diptych, folder: Path, target: str, words: str
) -> None:
    (folder / "target_wrong.py").write_text(CONTEXT)
    ran = diptych("check", target)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("diptych: ")
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1


def test_no_target_at_all_is_told_how_to_give_one(diptych: Diptych) -> None:
    ran = diptych("event-store", "replay", "order-1", "--store", "memory://")

    assert (ran.code, ran.err) == (
        2,
        "diptych: which context? Say --target module:name, set DIPTYCH_TARGET, or say target: in diptych.yaml\n",
    )


def test_a_target_that_fails_shows_the_users_own_lines_and_no_others(diptych: Diptych, folder: Path) -> None:
    (folder / "target_helper.py").write_text("import json\n\n\ndef parse(text):\n    return json.loads(text)\n")
    (folder / "target_fails.py").write_text("from target_helper import parse\n\nSETTINGS = parse('{')\n")
    ran = diptych("check", "target_fails:shop")

    assert ran.code == 2
    assert ran.err.splitlines() == [
        "diptych: target_fails cannot be imported:",
        "  target_fails.py:3: SETTINGS = parse('{')",
        "  target_helper.py:5: return json.loads(text)",
        "  json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def broken(:\n    pass", "SyntaxError"),
        ("import sys\nsys.exit('not today')", "SystemExit: not today"),
    ],
)
def test_a_target_that_cannot_be_imported_ends_with_2(diptych: Diptych, folder: Path, code: str, words: str) -> None:
    (folder / "target_broken.py").write_text(code)
    ran = diptych("check", "target_broken:shop")

    assert ran.code == 2
    assert ran.err.startswith("diptych: target_broken cannot be imported:\n")
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_context_that_does_not_build_ends_with_2_and_its_list(diptych: Diptych, folder: Path) -> None:
    (folder / "target_bad.py").write_text("from diptych import BoundedContext\n\nbad = BoundedContext('a/b')\n")
    ran = diptych("projection", "status", "--target", "target_bad:bad", "--store", "memory://")

    assert ran.code == 2
    first, *problems = ran.err.splitlines()
    assert first == "diptych: bounded context 'a/b' does not build:"
    assert len(problems) == 1
    assert "without a slash" in problems[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Odd(BaseException): pass\nraise Odd('not even an Exception')", "Odd: not even an Exception"),
        ("def again(): again()\nagain()", "more before"),
    ],
)
def test_a_module_that_fails_in_an_odd_way_is_told_in_few_lines(
    diptych: Diptych, folder: Path, text: str, said: str
) -> None:
    (folder / "target_odd.py").write_text(text)
    ran = diptych("check", "target_odd:shop")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) < 30
    assert "cyclopts" not in ran.err


@pytest.mark.parametrize("target", ["./shop:shop", "shop.py/x:shop", ".shop:shop"])
def test_a_path_is_no_module(diptych: Diptych, target: str) -> None:
    ran = diptych("check", target)
    assert ran.code == 2
    assert "is no module's name; say it as in an import" in ran.err


def test_what_a_module_prints_is_not_the_answer(diptych: Diptych, folder: Path) -> None:
    (folder / "target_loud.py").write_text("print('loading')\nfrom tests.app.shop import shop\n")
    ran = diptych("check", "target_loud:shop", "--json")
    [answer] = ran.lines()
    assert answer["problems"] == []
    assert "loading" in ran.err
