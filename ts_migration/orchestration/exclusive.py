"""One command at a time changes what a configuration's tables are: `execute` and `reset` hold its lock,
and `cutover` one of its own.

A file lock under the Dagster home, which the kernel releases however the process ends. Leases keep runs off one window
(`leases`); this keeps two commands off one file.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import dagster as dg

from ts_migration.errors import Refused


@contextmanager
def only_one(
    instance: dg.DagsterInstance, config_path: Path, holder: str, work: Literal["execute", "cutover"] = "execute"
) -> Iterator[None]:
    """Hold the configuration's lock: two `execute` of one file would do all twice. A killed one holds nothing.

    Args:
        instance: its root folder keeps the lock.
        config_path: the configuration file.
        holder: what others are told: the job id of an `execute`, or the command.
        work: a cutover has a lock of its own, for it must be revertible while an `execute` runs.

    Raises:
        Refused: another command holds it; the message names it.
    """
    name = hashlib.sha256(str(config_path.resolve()).encode()).hexdigest()[:16]
    name = name if work == "execute" else f"{name}-{work}"
    folder = Path(instance.root_directory) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(
                f"another {work} works on this configuration: {file.read().strip() or 'unknown'}",
                where=str(config_path),
                next_step="wait for it to end, or stop it",
            ) from None
        file.truncate(0)
        file.write(f"{holder} (process {os.getpid()})")
        file.flush()
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
