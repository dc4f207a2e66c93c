"""The guide's log files: `migration_execution.log` and `migration_validation.log` of the working folder.

What was shown, with the time, as text or as JSON; never a secret, for nothing is shown that is one. A file that has
become large is put aside under a name that ends in `.log` too: the guide archives `*.log`. A folder that cannot be
written to costs a warning and no run.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ts_migration.cli.console import warn

EXECUTION_LOG = "migration_execution.log"
VALIDATION_LOG = "migration_validation.log"
LARGEST_BYTES = 10_000_000
KEPT_FILES = 9
"""migration_execution.1.log is the newest of those put aside."""


class LogFile:
    """A log that lines are appended to. `layout` is text or json, as `log_format` of the configuration has it."""

    def __init__(self, path: Path, layout: str = "text", *, largest_bytes: int = LARGEST_BYTES) -> None:
        self.path = path
        self._json = layout == "json"
        self._file = _Rotating(path, largest_bytes, self._warn)
        self._broken = False

    def write(self, line: str, **facts: str | int | float) -> None:
        """Append a line with the time of now, UTC; `facts` are keys of their own where lines are JSON."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        told = {"time": now, "message": line} | {name: value for name, value in facts.items() if value != ""}
        self._file.handle(makeLogRecord({"msg": json.dumps(told) if self._json else f"{now} {line}"}))

    def _warn(self, reason: str) -> None:
        if not self._broken:
            warn(f"{self.path} cannot be written: {reason}")
        self._broken = True


class _Rotating(RotatingFileHandler):
    """Closed after every line: another command of this folder may put the file aside meanwhile."""

    def __init__(self, path: Path, largest_bytes: int, on_error: Callable[[str], None]) -> None:
        super().__init__(path, maxBytes=largest_bytes, backupCount=KEPT_FILES, encoding="utf-8", delay=True)
        self._on_error = on_error

    def rotation_filename(self, default_name: str) -> str:
        base, _, number = default_name.rpartition(".")
        return f"{base.removesuffix('.log')}.{number}.log"

    def emit(self, record: LogRecord) -> None:
        try:
            if self.shouldRollover(record):
                self.doRollover()
            self.stream = self._open()
            self.stream.write(f"{record.getMessage()}\n")
        except OSError as error:
            self._on_error(error.strerror or str(error))
        finally:
            self.close()
