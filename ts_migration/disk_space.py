"""Whether a full disk of this machine is behind an error: of a file, or of the SQLite that Dagster keeps runs in.

What is told of it is one sentence, whoever failed; what is done about it is the caller's affair.
"""

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ts_migration.errors import NoSpace

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SCANTY_BYTES = 1_000_000
"""SQLite says no more than that it could not write: with less than this left, the disk is the reason."""


def full_disk_behind(error: BaseException, *folders: Path) -> NoSpace | None:
    """The error to tell in place of another one that a full disk has caused; None where it has not.

    Args:
        error: with what it was raised from.
        folders: where the product writes, beside the folder for temporary files.
    """
    places = (*folders, Path(tempfile.gettempdir()))
    scanty = min((place for place in places if place.exists()), key=_free_bytes)
    for each in _chain(error):
        if isinstance(each, NoSpace):
            return each
        if isinstance(each, OSError) and each.errno in _NO_SPACE:
            return _no_space(Path(each.filename) if isinstance(each.filename, str) else scanty)
        if isinstance(each, sqlite3.OperationalError) and (
            each.sqlite_errorcode == sqlite3.SQLITE_FULL or _free_bytes(scanty) < SCANTY_BYTES
        ):
            return _no_space(scanty)
    return None


def _no_space(place: Path) -> NoSpace:
    return NoSpace(
        "no space is left on the disk",
        where=str(place),
        next_step="free some, then run the same command again: it goes on where it was",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _free_bytes(place: Path) -> int:
    with suppress(OSError):
        return shutil.disk_usage(place).free
    return SCANTY_BYTES
