"""How a new project gets the Diptych that made it: by version, or from where this one was installed.

An installer that took a package from a folder, a file or a repository, and not from an index by name, leaves a note of
it (PEP 610). A version alone would then lead to another Diptych, or to none.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from diptych import __version__


class Vcs(msgspec.Struct, frozen=True):
    """The repository's kind, such as git, and the commit."""

    vcs: str
    commit_id: str


class Origin(msgspec.Struct, frozen=True):
    """PEP 610's direct_url.json."""

    url: str
    vcs_info: Vcs | None = None
    subdirectory: str | None = None


def requirement() -> str:
    """The requirement, as PEP 508 has it."""
    try:
        note = distribution("diptych").read_text("direct_url.json")
        origin = None if note is None else msgspec.json.decode(note, type=Origin)
    except (PackageNotFoundError, msgspec.MsgspecError):
        origin = None
    return required(origin)


def required(origin: Origin | None) -> str:
    """The requirement for an origin. One that is gone by now, as a deleted wheel is, helps nobody."""
    if origin is None or gone(origin.url):
        return f"diptych[http]>={__version__}"
    vcs = origin.vcs_info
    url = origin.url if vcs is None else f"{vcs.vcs}+{origin.url}@{vcs.commit_id}"
    where = f"#subdirectory={origin.subdirectory}" if origin.subdirectory else ""
    return f"diptych[http] @ {url}{where}"


def gone(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "file" and not Path(unquote(parts.path)).exists()
