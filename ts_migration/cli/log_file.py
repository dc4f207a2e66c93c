"""The guide's log files: `migration_execution.log` and `migration_validation.log` of the working folder.

What was shown, with the time, appended; never a secret, for nothing is shown that is one. A folder that cannot be
written to costs a warning and no run.
"""

from datetime import UTC, datetime
from pathlib import Path

from ts_migration.cli.console import warn

EXECUTION_LOG = "migration_execution.log"
VALIDATION_LOG = "migration_validation.log"


class LogFile:
    """A log that lines are appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._broken = False

    def write(self, line: str) -> None:
        """Append a line with the time of now, UTC."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(f"{now}Z {line}\n")
        except OSError as error:
            if not self._broken:
                warn(f"{self.path} cannot be written: {error.strerror}")
            self._broken = True
