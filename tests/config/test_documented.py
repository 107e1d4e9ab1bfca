"""Every setting is on its page, and the page's file is one."""

import re
from pathlib import Path

from diptych.config import Configuration, load
from diptych.config.model import ANY, PROJECTION, SETTINGS
from diptych.read import ProjectionSettings

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def test_the_page_has_a_row_on_every_setting_and_on_no_other() -> None:
    rows = re.findall(r"^\| `\S+` \|.*\|$", PAGE, re.MULTILINE)
    expected = []
    for settings, defaults in ((SETTINGS, Configuration()), (PROJECTION, ProjectionSettings())):
        for field, setting in settings.items():
            value = getattr(defaults, field)
            default = "none" if value is None else f"`{setting.form.write(value)}`"
            kind = setting.form.expected.partition(", such as")[0]
            expected.append(f"| `{setting.key}` | {kind} | {default} | `{setting.variable}` | {setting.about} |")

    assert rows == expected


def test_the_pages_file_says_every_setting_and_mostly_what_holds_anyway(folder: Path) -> None:
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    (folder / "diptych.yaml").write_text(found[1])
    configuration = load(None, {}, {})
    keys = {setting.key for setting in (*SETTINGS.values(), *PROJECTION.values())}

    assert {".".join(path).replace("OrderSummary", ANY) for path in configuration.origins} == keys
    differ = [field for field in SETTINGS if getattr(configuration, field) != getattr(Configuration(), field)]
    assert differ == ["target", "store", "storage"]
