"""Folders that may not be written, also where the tests are run by root."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def in_a_folder_that_is_read_only(filled: Path | None = None) -> Iterator[Path]:
    """A new folder that this process may look into and not write to, for as long as the context lasts.

    What is in a `filled` one is in it, too. Root may write everywhere, so root is nobody meanwhile: what has to be
    imported has to be there before.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if filled is not None:
            shutil.copytree(filled, folder, dirs_exist_ok=True)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o700)


@contextmanager
def writable_again(folder: Path) -> Iterator[None]:
    """Within the other one: somebody who may write to the folder is at work meanwhile."""
    nobody = os.geteuid() == NOBODY
    if nobody:
        os.seteuid(0)
    folder.chmod(0o700)
    try:
        yield
    finally:
        folder.chmod(0o555)
        if nobody:
            os.seteuid(NOBODY)
