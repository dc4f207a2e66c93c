"""One command at a time changes what a configuration's tables are: `execute` and `reset` hold its lock.

A file lock under the Dagster home, which the kernel releases however the process ends. Leases keep runs off one window
(`leases`); this keeps two commands off one file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ts_migration import file_locks


@contextmanager
def only_one(instance: dg.DagsterInstance, config_path: Path, holder: str) -> Iterator[None]:
    """Hold the configuration's lock: two `execute` of one file would do all twice. A killed one holds nothing.

    Args:
        instance: its root folder keeps the lock.
        config_path: the configuration file.
        holder: what others are told: the job id of an `execute`, or the command.

    Raises:
        Refused: another command holds it; the message names it.
    """
    with file_locks.only_one(Path(instance.root_directory), config_path, "execute", holder):
        yield
