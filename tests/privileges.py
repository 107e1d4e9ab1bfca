"""Folders that may not be written, also where the tests are run by root."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def in_a_folder_that_is_read_only() -> Iterator[Path]:
    """A new folder that this process may look into and not write to, for as long as the context lasts.

    Root may write everywhere, so root is nobody meanwhile: what has to be imported has to be there before.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
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
