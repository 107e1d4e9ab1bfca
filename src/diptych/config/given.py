"""What one source says: values by their paths, each with its origin, and everything that is wrong in that source."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from diptych.config.forms import masked
from diptych.config.model import ANY, PROJECTION, SETTINGS, KeyPath, Origin, Setting
from diptych.messages.words import did_you_mean

LONGEST_QUOTE = 60
"""Characters of a wrong value that are shown."""


class Given(NamedTuple):
    value: Any
    origin: Origin


class Source:
    """Collects what a source says. A value that is wrong becomes a problem, and all else goes on."""

    def __init__(self) -> None:
        self.given: dict[KeyPath, Given] = {}
        self.problems: list[str] = []

    def take(self, path: KeyPath, setting: Setting, text: str, origin: Origin, *, quote: bool = True) -> None:
        """A value for a setting. Without `quote` a wrong one is not shown: it may be a secret."""
        try:
            self.given[path] = Given(setting.form.read(text), origin)
        except ValueError:
            key = "" if origin.kind == "option" else f"{dotted(path)}: "
            found = f", found {quoted(masked(text))}" if quote and text else ""
            self.refuse(origin.name, f"{key}expected {setting.form.expected}{found}")

    def refuse(self, where: str, words: str) -> None:
        self.problems.append(f"{where}: {words}")


Tree = Mapping[str, "Setting | Tree"]


def _tree() -> Tree:
    top: dict[str, Any] = {}
    for setting in (*SETTINGS.values(), *PROJECTION.values()):
        *sections, last = setting.path
        section = top
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = setting
    return top


TREE = _tree()
"""All keys, as they stand in a file: a section has keys, and a key its setting."""


def nearest(name: str, section: Tree) -> str:
    """The end of the words about a key that the section does not have: where it stands, or the nearest one there."""
    elsewhere = [setting.key for setting in _settings(TREE) if setting.path[-1] == name]
    return f"; did you mean {elsewhere[0]!r}?" if elsewhere else did_you_mean(name, section)


def _settings(tree: Tree) -> Iterator[Setting]:
    for below in tree.values():
        if isinstance(below, Setting):
            yield below
        else:
            yield from _settings(below)


def below(section: Tree, name: str) -> "Setting | Tree | None":
    """What goes by a name in a section, which may be one for names of the user's own."""
    return section[ANY] if ANY in section else section.get(name)


def dotted(path: KeyPath) -> str:
    return ".".join(name if name.isprintable() and name and "." not in name else quoted(name) for name in path)


def quoted(text: str) -> str:
    """Text between quotes, without what is not printable, and cut where it is long."""
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…")
