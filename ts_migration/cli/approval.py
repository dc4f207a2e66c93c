"""A command that asks a person before it goes on; where nobody can be asked, it is refused."""

import sys
from collections.abc import Callable

import typer

from ts_migration.cli.console import say
from ts_migration.errors import ExitCode, Refused


def require_approval(
    question: str, *, of: str, where: str, next_step: str, show: Callable[[], object] = lambda: None
) -> None:
    """Go on only if somebody says yes.

    Args:
        question: what is asked.
        of: what the approval is of, in the words of the refusal.
        where, next_step: of the refusal.
        show: called before the question, where there is somebody to see it.

    Raises:
        Refused: nobody can be asked.
        typer.Exit: they said no.
    """
    if not sys.stdin.isatty():
        raise Refused(
            f"{of} wants approval, and nobody can be asked: this is no terminal", where=where, next_step=next_step
        )
    show()
    if not typer.confirm(question, err=True):
        say("nothing was done")
        raise typer.Exit(ExitCode.CANCELLED)
