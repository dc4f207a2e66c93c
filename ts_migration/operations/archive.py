"""The logs and results of a working folder as one dated tar.gz, as the guide's `tar` makes it."""

import os
import tarfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ts_migration.errors import Permanent

_PATTERNS = ("*.log", "migration_results_*.json", "migration_report_*.html")


@dataclass(frozen=True)
class Archive:
    """An archive that was written: its path, how many files it has, its size in bytes."""

    path: Path
    files: int
    bytes: int


def archived_files(folder: Path) -> list[Path]:
    """What an archive of a folder has in it."""
    return sorted(path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file())


def archive(folder: Path, today: date) -> Archive | None:
    """Write `migration_logs_<date>.tar.gz`; None where there is nothing to put into it. The files stay.

    Another one of the same day is replaced once the new one is whole: its files are in the new one, too.

    Raises:
        Permanent: the folder cannot be written to.
    """
    files = archived_files(folder)
    if not files:
        return None
    path = folder / f"migration_logs_{today:%Y%m%d}.tar.gz"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with tarfile.open(part, "w:gz") as tar:
            for file in files:
                tar.add(file, arcname=file.name)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Permanent(f"the archive cannot be written: {error.strerror}", where=str(path)) from None
    return Archive(path, len(files), path.stat().st_size)
