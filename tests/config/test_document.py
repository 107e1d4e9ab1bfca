import sys
from pathlib import Path

import pytest

from diptych.config import ConfigurationError, load, read
from tests.config.conftest import Problems
from tests.privileges import in_a_folder_that_is_read_only


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "server:\ncqrs:\n  # later\n", "\ufefftarget: a:b\n"])
def test_a_file_may_say_little_or_nothing(problems: Problems, content: str) -> None:
    assert problems(content) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("target: [a\n", "diptych.yaml:2: is not YAML: while parsing a flow sequence"),
        ("server:\n\tport: 80\n", "diptych.yaml:2: is not YAML: while scanning for the next token; found character"),
        ("a: 1\n---\nb: 2\n", "diptych.yaml:2: is not YAML: expected a single document"),
        ("target: *shop\n", "diptych.yaml:1: is not YAML: found undefined alias"),
        ("target: \x07\n", "diptych.yaml: is not YAML: unacceptable character #x0007"),
        ("- target\n- store\n", "diptych.yaml:1: expected keys (target, store, server, cqrs), found a list"),
        ("just words\n", "diptych.yaml:1: expected keys (target, store, server, cqrs), found 'just words'"),
        ("[" * 2000, "diptych.yaml: is nested too deeply"),
        ("{a: " * 2000, "diptych.yaml: is nested too deeply"),
        (b"target: \xff\n", "diptych.yaml: is not UTF-8 (byte 9)"),
        ("#" * 70_000, "diptych.yaml: is larger than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(problems: Problems, content: str | bytes, told: str) -> None:
    [found] = problems(content)

    assert found.startswith(told)
    assert "\n" not in found


def test_a_tab_is_answered_with_what_to_do(problems: Problems) -> None:
    assert problems("server:\n\tport: 80\n")[0].endswith("; indent with spaces, not with tabs")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("targte: a:b\n", "1: targte is no setting; did you mean 'target'?"),
        ("server:\n  prot: 1\n", "2: server.prot is no setting; did you mean 'port'?"),
        ("port: 80\n", "1: port is no setting; did you mean 'server.port'?"),
        ("server: {wait: 1s}\n", "1: server.wait is no setting; did you mean 'cqrs.query_side.consistency.wait'?"),
        ("cqrs:\n  comand_side: {}\n", "2: cqrs.comand_side is no setting; did you mean 'command_side'?"),
        ("cqrs: {query_side: {consistency: {wiat: 1s}}}\n", "1: cqrs.query_side.consistency.wiat is no setting; did"),
        (
            "cqrs: {query_side: {projections: {A: {bach: 1}}}}\n",
            "1: cqrs.query_side.projections.A.bach is no setting; d",
        ),
        ("xyz: 1\n", "1: xyz is no setting; known are cqrs, server, store, target."),
        ("<<: {target: a:b}\n", "1: << is no setting; known are"),
        ('"a\\e[31m": 1\n', "1: 'a\\x1b[31m' is no setting; known are"),
        ("? [a, b]\n: 1\n", "1: a list is no key"),
        ("? {a: b}\n: 1\n", "1: keys and values is no key"),
        ("target: a:b\nstore: x\ntarget: c:d\n", "3: target is there already, in line 1"),
        ("server:\n  port: 1\n  port: 1\n", "3: server.port is there already, in line 2"),
        ("server: {}\nserver: {}\n", "2: server is there already, in line 1"),
    ],
)
def test_an_unknown_or_repeated_key_names_its_line_its_path_and_what_is_near(
    problems: Problems, content: str, told: str
) -> None:
    [found] = problems(content)

    assert found.startswith(f"diptych.yaml:{told}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("server: 5\n", "1: server: expected keys (host, port, role,"),
        ("server: [5]\n", "1: server: expected keys (host, port, role,"),
        (
            "cqrs: {query_side: {projections: [A]}}\n",
            "1: cqrs.query_side.projections: expected keys (NAME), found a list",
        ),
        (
            "cqrs: {query_side: {projections: {A: 5}}}\n",
            "1: cqrs.query_side.projections.A: expected keys (batch, segm",
        ),
        ("target: [a:b]\n", "1: target: expected a bounded context as module:name, such as shop:shop, found a list"),
        ("server:\n  port: eighty\n", "2: server.port: expected a whole number from 0 to 65535, found 'eighty'"),
        ("server:\n  port:\n    - 1\n", "3: server.port: expected a whole number from 0 to 65535, found a list"),
        ("server: {port: {a: 1}}\n", "1: server.port: expected a whole number from 0 to 65535, found keys and values"),
        ("server:\n  port:\n", "2: server.port: expected a whole number from 0 to 65535, found nothing"),
        ("server: {port: ''}\n", "1: server.port: expected a whole number from 0 to 65535"),
        ("server: {port: true}\n", "1: server.port: expected a whole number from 0 to 65535, found 'true'"),
        ("server: {port: 65536}\n", "1: server.port: expected a whole number from 0 to 65535, found '65536'"),
        ("server: {role: web}\n", "1: server.role: expected one of all, command, query, projector, found 'web'"),
        ("server: {body_timeout: -5s}\n", "1: server.body_timeout: expected a duration from 1ms to 24h, such as"),
        ("server: {body_timeout: 0s}\n", "1: server.body_timeout: expected a duration from 1ms to 24h, such as"),
        ("server: {max_header: 16K}\n", "1: server.max_header: expected a size from 1KiB to 1GiB, such as 16KiB,"),
        ("target: !!python/object/apply:os.getcwd []\n", "1: target: expected a bounded context"),
        ("target: !!binary aGk=\n", "1: target: expected a bounded context"),
        (
            "target: !secret x\n",
            "1: target: expected a bounded context as module:name, such as shop:shop, found the tag",
        ),
        (
            f"server: {{port: {'9' * 1000}}}\n",
            f"1: server.port: expected a whole number from 0 to 65535, found '{'9' * 60}…'",
        ),
    ],
)
def test_a_wrong_value_names_its_line_its_path_and_what_was_expected(
    problems: Problems, content: str, told: str
) -> None:
    [found] = problems(content)

    assert found.startswith(f"diptych.yaml:{told}")


def test_all_problems_of_a_file_are_told_at_once(problems: Problems) -> None:
    found = problems("targte: a:b\nserver:\n  port: x\n  host: a\n  host: b\ncqrs: []\n")

    assert [problem.split(" ")[0] for problem in found] == [f"diptych.yaml:{line}:" for line in (1, 3, 5, 6)]


@pytest.mark.parametrize("text", ["0.0.0.0", "no", "1:30", "0x10", "2026-11-25", "~user", "1e3"])
def test_a_value_is_the_text_that_stands_there(folder: Path, text: str) -> None:
    (folder / "diptych.yaml").write_text(f"server: {{host: {text}}}\n")

    assert load(None, {}, {}).host == text


def test_an_alias_stands_for_what_it_names(folder: Path) -> None:
    (folder / "diptych.yaml").write_text(
        "cqrs:\n  query_side:\n    projections:\n      A: &tuned {batch: 7}\n      B: *tuned\n"
    )

    assert {name: one.batch for name, one in load(None, {}, {}).projections.items()} == {"A": 7, "B": 7}


def test_aliases_of_aliases_and_of_themselves_cost_nothing(problems: Problems) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))

    assert len(problems(f"l0: &l0 x\n{levels}")) == 30
    assert len(problems("server: &s {server: *s, port: *s}\n")) == 2
    assert problems("&top\ncqrs: *top\n") == [
        "diptych.yaml:2: cqrs.cqrs is no setting; known are command_side, monitoring, query_side."
    ]


def test_a_file_that_is_named_must_be_there_and_be_a_file(folder: Path) -> None:
    (folder / "folder.yaml").mkdir()
    for name, told in (
        ("other.yaml", "other.yaml: does not exist"),
        ("folder.yaml", "folder.yaml: cannot be read: Is a directory"),
        ("folder.yaml/x/y", "folder.yaml/x/y: does not exist"),
        ("/dev/zero", "/dev/zero: is larger than 64 KiB"),
    ):
        assert read(Path(name), {}, {}).problems == [told]
    (folder / "diptych.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=r"diptych\.yaml: cannot be read: Is a directory"):
        load(None, {}, {})


def test_a_file_that_may_not_be_read_says_so(folder: Path) -> None:
    path = folder / "secret.yaml"
    path.touch(mode=0)
    with in_a_folder_that_is_read_only():
        assert read(path, {}, {}).problems == [f"{path}: cannot be read: Permission denied"]


def test_a_wrong_store_is_quoted_without_its_password(problems: Problems) -> None:
    [found] = problems('store: "postgresql://ann:hunter2@host/\\n"\n')

    assert found.endswith("found 'postgresql://ann:***@host/\\n'")


def test_without_pyyaml_a_file_is_told_how_to_be_read_and_no_file_needs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "diptych.config.document", raising=False)
    assert load(None, {}, {}).port == 8000
    (folder / "diptych.yaml").write_text("target: a:b\n")
    [problem] = read(None, {}, {}).problems

    assert problem.endswith('A file is read with PyYAML: pip install "pyyaml>=6.0.2"')
