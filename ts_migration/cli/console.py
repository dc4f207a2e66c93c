"""How commands speak: results on stdout, everything else on stderr, colours and bars only on a terminal.

Light to import: `--help` and errors need it. What a command says is in the command's module.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 240
"""Columns of tables where stdout is no terminal: nothing is cut in a log."""


def stdout() -> "Console":
    """The console for results."""
    return _console(sys.stdout)


def stderr() -> "Console":
    """The console for progress, notes and errors."""
    return _console(sys.stderr)


def say(line: str) -> None:
    """A line of result, exactly as it is."""
    stdout().print(line, markup=False, highlight=False, soft_wrap=True)


def note(line: str) -> None:
    """A line that is not a result."""
    stderr().print(line, markup=False, highlight=False, soft_wrap=True, style="dim")


def warn(line: str) -> None:
    """A line that somebody should read before going on."""
    stderr().print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True, style="yellow")


def error_line(message: str) -> None:
    """The one message that a failed command ends with."""
    stderr().print(f"error: {message}", markup=False, highlight=False, soft_wrap=True, style="red")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table on stdout; columns named in `right` are aligned to the right, as numbers are."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    stdout().print(drawn)


def bytes_text(count: float) -> str:
    """Bytes for people: 512 B, 1.5 MB (powers of ten)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _console(stream: IO[str]) -> "Console":
    from rich.console import Console

    terminal = stream.isatty()
    return Console(file=stream, width=None if terminal else WIDE, highlight=False)
