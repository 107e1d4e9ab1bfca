import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from diptych.config import Configuration, ConfigurationError, Origin, load, read
from diptych.config.forms import Choice
from diptych.config.model import SETTINGS
from diptych.http import GatewaySettings, Role, ServerSettings


def test_options_win_over_the_environment_over_the_file_over_the_defaults(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("server:\n  host: file\n  port: 1\n  role: query\n")
    found = load(None, {"DIPTYCH_SERVER_HOST": "environment", "DIPTYCH_SERVER_PORT": "2"}, {"port": 3, "role": None})

    assert (found.host, found.port, found.role, found.log_level) == ("environment", 3, "query", "info")
    assert found.origins == {
        ("server", "host"): Origin("environment", "DIPTYCH_SERVER_HOST"),
        ("server", "port"): Origin("option", "--port"),
        ("server", "role"): Origin("file", "diptych.yaml:4"),
    }


def test_a_file_that_is_named_is_read_instead_of_the_one_in_the_folder(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("target: a:a\nstore: memory://\n")
    (folder / "other.yaml").write_text("target: b:b\n")
    found = load(Path("other.yaml"), {}, {})

    assert (found.target, found.store) == ("b:b", None)


def test_what_is_wrong_is_told_also_where_another_source_has_the_last_word(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("server:\n  port: x\n")
    found = read(None, {"DIPTYCH_SERVER_PORT": "y"}, {"port": "80", "log_level": "loud"})

    assert found.configuration.port == 80
    assert [problem.split(":")[0] for problem in found.problems] == [
        "diptych.yaml",
        "DIPTYCH_SERVER_PORT",
        "--log-level",
    ]
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"DIPTYCH_SERVER_PORT": "y"}, {})
    assert len(caught.value.problems) == 2
    assert str(caught.value).startswith("The configuration is wrong:\n  - diptych.yaml:2: server.port: ")


def test_the_defaults_are_those_of_the_code_and_every_bound_has_a_setting() -> None:
    assert {*GatewaySettings.__struct_fields__, *ServerSettings.__struct_fields__} < set(SETTINGS)
    assert (Configuration().gateway, Configuration().server) == (GatewaySettings(), ServerSettings())
    assert SETTINGS["role"].form == Choice(tuple(Role))


def test_every_setting_has_a_field_a_key_and_a_variable_of_its_own() -> None:
    others = {"projections", "origins"}

    assert set(SETTINGS) == set(Configuration.__struct_fields__) - others
    assert len({setting.variable for setting in SETTINGS.values()}) == len(SETTINGS)
    for field, setting in SETTINGS.items():
        assert field == setting.path[-1]
        default = getattr(Configuration(), field)
        assert default is None or setting.form.read(setting.form.write(default)) == default


def test_the_gateways_bounds_are_what_was_said(folder: Path) -> None:
    (folder / "diptych.yaml").write_text(
        "server: {max_header: 2KiB, max_concurrency: 5}\ncqrs: {command_side: {validation: {max_body: 100}}}\n"
    )

    assert load(None, {}, {}).gateway == GatewaySettings(max_header=2048, max_concurrency=5, max_body=100)


def test_a_configuration_can_be_handed_to_another_process(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("cqrs: {query_side: {projections: {A: {batch: 3}}}}\n")
    found = load(None, {}, {})

    assert pickle.loads(pickle.dumps(found)) == found


def test_settings_are_shown_with_their_origins_and_without_secrets(folder: Path) -> None:
    (folder / "diptych.yaml").write_text("cqrs: {query_side: {projections: {A: {batch: 3}}}}\n")
    shown = {one.key: one for one in load(None, {"DIPTYCH_STORE": "redis://:secret@host"}, {}).shown()}

    assert shown["target"].value is None
    assert (shown["store"].value, str(shown["store"].origin)) == ("redis://:***@host", "DIPTYCH_STORE")
    assert (shown["server.port"].value, str(shown["server.port"].origin)) == ("8000", "default")
    batch = shown["cqrs.query_side.projections.A.batch"]
    assert (batch.value, str(batch.origin)) == ("3", "diptych.yaml:1")


def test_neither_pyyaml_nor_the_gateway_is_imported_without_need(folder: Path) -> None:
    code = "import sys; from diptych.config import load; load(None, {}, {}); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, env=os.environ
    )

    assert {"yaml", "diptych.http", "starlette"} & set(ran.stdout.split()) == set()
