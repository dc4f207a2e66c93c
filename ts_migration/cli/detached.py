"""`execute --detach`: the command goes on in a process of its own that outlives the shell and the terminal."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.guard import guarded

OUTPUT = "migration_detached.log"
"""What the process in the background prints; the guide's archive takes it with the other logs."""
TAIL_LINES = 20


def detach(work: Callable[[Callable[[str], None]], int], folder: Path) -> int:
    """Have `work` done in the background, and tell how to watch it; returns in the calling process alone.

    Args:
        work: is given what to call with the id of each job once it is begun; returns an exit code.
        folder: where the output goes.

    Returns:
        0 once the first job is begun; else the exit code of `work`, with what it had to say.
    """
    output = folder / OUTPUT
    reading, writing = os.pipe()
    with output.open("ab") as stream:
        begin = stream.tell()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _in_the_background(work, writing, stream.fileno())
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        # The end of the line, or of the process: whichever comes first.
        ids = pipe.readline().split()
    if ids:
        _tell_how_to_watch(ids, child, output)
        return 0
    _, status = os.waitpid(child, 0)
    with output.open("rb") as stream:
        stream.seek(begin)
        told = stream.read().decode(errors="replace").splitlines()
    error_line("it ended before it began; it said:\n  " + "\n  ".join(told[-TAIL_LINES:]))
    return os.waitstatus_to_exitcode(status)


def _in_the_background(work: Callable[[Callable[[str], None]], int], writing: int, output: int) -> None:
    """The rest of the child's life; it never returns."""
    code = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for mine, theirs in ((nowhere, 0), (output, 1), (output, 2)):
            os.dup2(mine, theirs)
        told = False

        def begun(ids: str) -> None:
            nonlocal told
            if not told:
                told = True
                os.write(writing, f"{ids}\n".encode())
                os.close(writing)

        guarded(lambda: sys.exit(work(begun)))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell_how_to_watch(ids: list[str], pid: int, output: Path) -> None:
    for job_id in ids:
        say(f"job id {job_id}")
    say(f"It goes on in the background, process {pid}.")
    note("to watch it:  ts-migration monitor --auto-discover, or")
    note(f"              ts-migration execute --job-id {ids[0]}")
    note(f"              tail -f {output.name} {'migration_execution.log'}")
    note(f"to stop it:   ts-migration execute --cancel-job {ids[0]}")
