"""Files that commands write: whole or not at all, and readable by their owner only."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from warnsvc.cli.options import TO_STDOUT


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes its name when everything has been written; `-` is stdout."""
    if path == TO_STDOUT:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    # In the same folder, so that the renaming is one step; mkstemp lets only the owner read.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def is_workbook(path: Path) -> bool:
    """Return whether the name asks for a workbook; anything else is written as CSV."""
    return path.suffix.lower() == ".xlsx"
