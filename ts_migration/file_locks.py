"""Locks that keep two commands off one configuration: files that the kernel unlocks however a process ends."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ts_migration.errors import Refused


@contextmanager
def only_one(home: Path, config_path: Path, work: str, holder: str) -> Iterator[None]:
    """Hold the lock of one kind of work on a configuration.

    Args:
        home: Dagster's home, which keeps the lock: those who share it see each other.
        config_path: the configuration file.
        work: what is done, such as `cutover`; each kind has a lock of its own.
        holder: what others are told.

    Raises:
        Refused: another process holds it; the message names it.
    """
    name = hashlib.sha256(str(config_path.resolve()).encode()).hexdigest()[:16]
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}-{work}").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            held_by = file.read().strip()
            first, _, rest = held_by.partition(" (process ")
            # Who holds it is told by the id of an execution, or by a command, which has spaces.
            stop = f": ts-migration execute --cancel-job {first}" if rest and " " not in first else ""
            raise Refused(
                f"another {work} works on this configuration: {held_by or 'unknown'}",
                where=str(config_path),
                next_step=f"wait for it to end, or stop it{stop}",
            ) from None
        file.truncate(0)
        file.write(f"{holder} (process {os.getpid()})")
        file.flush()
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
