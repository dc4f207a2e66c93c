"""SIGTERM and SIGHUP end a command as Ctrl-C does, and within seconds: nothing is left running."""

import os
import signal
import sys
from types import FrameType

from ts_migration.errors import Terminated


def end_as_interrupted() -> None:
    """From now on raise Terminated for these signals. One that is ignored (nohup) stays so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        _let_go_of_the_terminal()
    raise Terminated


def _let_go_of_the_terminal() -> None:
    """The terminal is gone, and writing to it would be an error in the midst of stopping."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and stream.isatty():
            os.dup2(nowhere, stream.fileno())
