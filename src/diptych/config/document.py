"""Reads `diptych.yaml`: YAML is composed to nodes, and never constructed to objects.

So a scalar is the text that stands there, whatever YAML would make of it, every key has its line, and an alias is
followed only as deep as there are keys. This is the one room that knows of PyYAML.
"""

import yaml

from diptych.config.given import TREE, Source, Tree, below, dotted, nearest, quoted
from diptych.config.model import KeyPath, Origin, Setting

_PLAIN = "tag:yaml.org,2002:"
_NULL = f"{_PLAIN}null"
_FOREIGN = f"{_PLAIN}binary"


def read_document(text: str, file: str, source: Source) -> None:
    """Gives the source what a document says, and everything that is wrong with it. `file` is its name in words."""
    try:
        root = yaml.SafeLoader(text).get_single_node()
    except RecursionError:
        source.refuse(file, "is nested too deeply")
    except yaml.MarkedYAMLError as error:
        source.refuse(*_syntax(file, error))
    except yaml.YAMLError as error:
        source.refuse(file, f"is not YAML: {' '.join(str(error).split())}")
    else:
        _Walk(file, source).section(root, (), TREE)


def _syntax(file: str, error: yaml.MarkedYAMLError) -> tuple[str, str]:
    mark = error.problem_mark or error.context_mark
    where = file if mark is None else f"{file}:{mark.line + 1}"
    words = "; ".join(part for part in (error.context, error.problem) if part)
    tab = "; indent with spaces, not with tabs" if "\\t" in words else ""
    return where, f"is not YAML: {words}{tab}"


class _Walk:
    def __init__(self, file: str, source: Source) -> None:
        self._file = file
        self._source = source

    def section(self, node: yaml.Node | None, path: KeyPath, tree: Tree) -> None:
        """The keys of a section; one that is empty, or has nothing but comments, says nothing."""
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, f"{_place(path)}expected keys ({', '.join(tree)}), found {_described(node)}")
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, f"{_place(path)}{_described(key)} is no key")
            elif key.value in lines:
                self._refuse(key, f"{dotted((*path, key.value))} is there already, in line {lines[key.value]}")
            else:
                lines[key.value] = _line(key)
                self._key(key, value, path, tree)

    def _key(self, key: yaml.ScalarNode, value: yaml.Node, path: KeyPath, tree: Tree) -> None:
        name: str = key.value
        full = (*path, name)
        match below(tree, name):
            case None:
                self._refuse(key, f"{dotted(full)} is no setting{nearest(name, tree)}")
            case Setting() as setting:
                self._value(value, full, setting)
            case section:
                self.section(value, full, section)

    def _value(self, node: yaml.Node, path: KeyPath, setting: Setting) -> None:
        plain = isinstance(node, yaml.ScalarNode) and node.tag.startswith(_PLAIN) and node.tag != _FOREIGN
        if not plain or node.tag == _NULL:
            self._refuse(node, f"{dotted(path)}: expected {setting.form.expected}, found {_described(node)}")
            return
        self._source.take(path, setting, node.value, Origin("file", f"{self._file}:{_line(node)}"))

    def _refuse(self, node: yaml.Node, words: str) -> None:
        self._source.refuse(f"{self._file}:{_line(node)}", words)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _place(path: KeyPath) -> str:
    return f"{dotted(path)}: " if path else ""


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "keys and values"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag == _NULL:
        return "nothing"
    return quoted(node.value) if node.tag.startswith(_PLAIN) else f"the tag {quoted(node.tag)}"
