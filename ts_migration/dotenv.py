"""The `.env` file of the working folder: what commands and `dagster dev` started in a new shell must know.

Only blocks that carry our markers are rewritten; every other line, and its order, is the user's and stays. What the
variables mean is in `config.Environment` and in `local.variables`.
"""

import os
import shlex
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.main import DotEnv

FILE_NAME = ".env"

WORK_BLOCK = "ts-migration: working folder"
"""DAGSTER_HOME and TS_MIGRATION_CONFIG, so that Dagit and every shell see the same runs and the same jobs."""
STACK_BLOCK = "ts-migration: embedded stack"
"""URLs and credentials of the servers that `ts-migration local up` started."""


def read_dotenv(path: Path) -> dict[str, str]:
    """Variables of a .env file as they stand there, nothing interpolated: Dagster reads the same file its own way."""
    if not path.is_file():
        return {}
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def write_block(path: Path, block: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Put a block of variables into a .env file (mode 600), in place of the block of that name.

    A variable that the user set outside our blocks is left to the user's line.

    Returns:
        Names of the variables that were left to the user's lines.
    """
    lines, _ = _without_block(_lines(path), block)
    taken = set(_variables(_outside_blocks(lines)))
    kept = tuple(name for name in variables if name in taken)
    body = [f"{name}={_quote(value)}" for name, value in variables.items() if name not in taken]
    while lines and not lines[-1].strip():
        lines.pop()
    if lines:
        lines.append("")
    _replace(path, [*lines, _begin(block), *body, _end(block)])
    return kept


def remove_block(path: Path, block: str) -> None:
    """Take a block out again; the file goes too where nothing is left in it."""
    if not path.is_file():
        return
    lines, found = _without_block(_lines(path), block)
    if not found:
        return
    if any(line.strip() for line in lines):
        _replace(path, lines)
    else:
        path.unlink()


def shell_exports(variables: Mapping[str, str]) -> str:
    """`export NAME='value'` lines for `eval "$(...)"` in any POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def dotenv_text(variables: Mapping[str, str]) -> str:
    """`NAME='value'` lines as .env files hold them."""
    return "\n".join(f"{name}={_quote(value)}" for name, value in variables.items())


def _begin(block: str) -> str:
    return f"# >>> {block} (written by ts-migration, rewritten by it) >>>"


def _end(block: str) -> str:
    return f"# <<< {block} <<<"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _without_block(lines: list[str], block: str) -> tuple[list[str], bool]:
    """The lines without one block, and whether it was there. Without its end line it ends at a blank one."""
    left: list[str] = []
    inside = found = False
    for line in lines:
        if line == _begin(block):
            inside = found = True
            if left and not left[-1].strip():
                left.pop()  # the blank line that sets the block off
        elif inside and (line == _end(block) or not line.strip()):
            inside = False
        elif not inside:
            left.append(line)
    return left, found


def _outside_blocks(lines: list[str]) -> list[str]:
    for block in (WORK_BLOCK, STACK_BLOCK):
        lines, _ = _without_block(lines, block)
    return lines


def _variables(lines: list[str]) -> list[str]:
    return list(DotEnv(None, stream=StringIO("\n".join(lines) + "\n"), interpolate=False).dict())


def _quote(value: str) -> str:
    """Single quotes: nothing inside is expanded by python-dotenv or a shell but quote and backslash themselves."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _replace(path: Path, lines: list[str]) -> None:
    """Write through a file of mode 600 beside it, so that no reader ever sees half of it or another mode."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    fresh.chmod(0o600)
    fresh.replace(path)
