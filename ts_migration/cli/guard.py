"""What becomes of a program's errors: one message on stderr and an exit code.

Anything but an error of the product is a bug: one line and the path of a file that holds the traceback.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ts_migration.cli.console import error_line
from ts_migration.cli.interrupts import end_as_interrupted
from ts_migration.disk_space import full_disk_behind
from ts_migration.errors import ExitCode, MigrationError


def guarded(program: Callable[[], object]) -> None:
    """Run a program of commands to its end and leave with its exit code; scripts use it too.

    Raises:
        SystemExit: always.
    """
    end_as_interrupted()
    try:
        program()
    except MigrationError as error:
        error_line(str(error))
        # Commands catch what fails while they work; what comes here kept them from beginning.
        sys.exit(ExitCode.COULD_NOT_START)
    except KeyboardInterrupt:
        _tell_cancelled()
        sys.exit(ExitCode.CANCELLED)
    except SystemExit as end:
        # Typer takes an interrupt that no command caught for an end with 130, and says nothing.
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):
            _tell_cancelled()
        raise
    except Exception as error:  # noqa: BLE001 - the outermost border: users get a line, the log gets the traceback
        full = full_disk_behind(error, Path(os.environ.get("DAGSTER_HOME", ".")), Path.cwd())
        if full is not None:
            error_line(str(full))
            sys.exit(ExitCode.FAILED)
        error_line(f"{type(error).__name__}: {_first_line(error)}. This is a bug; details: {_write_traceback()}")
        sys.exit(ExitCode.FAILED)
    sys.exit(ExitCode.OK)


def _tell_cancelled() -> None:
    error_line("cancelled; what was finished stays finished. Next: the same command begins again, or goes on")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0][:500]


def _write_traceback() -> str:
    """Keep the traceback of the current exception in a file of mode 600; its path."""
    path = Path(".ts_migration") / "errors" / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"{' '.join(sys.argv[:1])}\n{traceback.format_exc()}", encoding="utf-8")
    except OSError as error:
        return f"(could not be written: {error})"
    return str(path)
