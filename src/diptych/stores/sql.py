"""Reads the named statements of a `.sql` file that stands beside a module.

A statement is introduced by `-- name: its_name` and ends with a semicolon at the end of a line.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def load_statements(package: str, file: str) -> Mapping[str, str]:
    """The statements of a file by name, without comments and final semicolons."""
    text = files(package).joinpath(file).read_text("utf-8")
    parts = _NAME.split(text)
    return {
        name: _COMMENT.sub("", body).strip().removesuffix(";")
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def load_script(package: str, file: str) -> list[str]:
    """The statements of a schema file in order, without comments."""
    text = _COMMENT.sub("", files(package).joinpath(file).read_text("utf-8"))
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
