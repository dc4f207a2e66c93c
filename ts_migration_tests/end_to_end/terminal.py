"""Terminals in a working folder: lines are typed there as a person types them, and what they print is kept.

`python`, `ts-migration`, `aws`, `influx` and `terraform` are found as on an operator's machine. The last two are not
Python packages: stand-ins send the requests, or give the outputs, that the programs would.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ts_migration_tests.embedded_stack import CHECKOUT, StartedCommand, clean_environment, signal_all

AWS = """\
import sys
from urllib.parse import urlsplit
import boto3
words = [word for word in sys.argv[1:] if word != "--recursive"]
assert words[:2] == ["s3", "rm"] and len(words) == 3, words
place = urlsplit(words[2])
s3 = boto3.client("s3")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=place.path[1:]):
    for found in page.get("Contents", []):
        s3.delete_object(Bucket=place.netloc, Key=found["Key"])
        print(f"delete: s3://{place.netloc}/{found['Key']}")
"""
"""`aws s3 rm s3://BUCKET/PREFIX --recursive`, where the program is not installed."""

INFLUX = """\
import os, sys, urllib3
assert sys.argv[1] == "query" and len(sys.argv) == 3, sys.argv
answer = urllib3.PoolManager().request(
    "POST",
    os.environ["INFLUX_HOST"] + "/api/v2/query?org=" + os.environ["INFLUX_ORG"],
    headers={"Authorization": "Token " + os.environ["INFLUX_TOKEN"], "Accept-Encoding": "gzip"},
    json={
        "query": sys.argv[2],
        "type": "flux",
        "dialect": {"annotations": ["group", "datatype", "default"], "delimiter": ",", "header": True},
    },
    retries=False,
)
print(answer.data.decode())
sys.exit(0 if answer.status == 200 else 1)
"""
"""`influx query FLUX`: the request of the program, and its answer as it came."""

TERRAFORM = """\
import os, sys
print(os.environ["OUTPUT_" + sys.argv[-1]], end="")
"""
"""`terraform output -raw NAME`; a real one is applied in `infra/test_apply.py`."""


@dataclass(frozen=True)
class Said:
    """A line that was typed: as it was printed in a guide, as it was typed, what came of it."""

    printed: str
    typed: str
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that was to be read."""
        return self.out + self.err


@dataclass
class Terminal:
    """Terminals of one working folder, and all that was typed there, in order."""

    folder: Path
    programs: Path
    variables: dict[str, str]
    history: list[Said] = field(default_factory=list)

    def type(
        self, printed: str, filled: Mapping[str, str] | None = None, *, first: str = "", timeout_s: float = 120
    ) -> Said:
        """Type a line and wait for its end.

        Args:
            printed: the line, as a guide prints it.
            filled: names of the guide's example -> what to type in their place.
            first: what was typed in this terminal before, for its variables.
            timeout_s: of all of it.
        """
        typed = fill(printed, filled or {})
        answer = subprocess.run(
            ["bash", "-c", f"{first}\n{typed}" if first else typed],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return self._keep(Said(printed, typed, answer.returncode, answer.stdout, answer.stderr))

    @contextmanager
    def typing(self, printed: str, filled: Mapping[str, str] | None = None) -> Iterator["Going"]:
        """Type a line in another terminal, and go on with this one."""
        typed = fill(printed, filled or {})
        out, err = (
            self.folder / f".terminal-{len(self.history)}-{os.urandom(3).hex()}.{one}" for one in ("out", "err")
        )
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {typed}"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        going = Going(self, printed, typed, process, out, err)
        try:
            yield going
        finally:
            children = going.children
            if process.poll() is None:
                process.kill()
            signal_all(children, 9)
            process.wait()
            out.unlink()
            err.unlink()

    def _environment(self) -> dict[str, str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        return {**clean_environment(), "PYTHONPATH": str(CHECKOUT), **self.variables, "PATH": path, "COLUMNS": "160"}

    def _keep(self, said: Said) -> Said:
        self.history.append(said)
        return said


class Going(StartedCommand):
    """A line that was typed and has not ended yet."""

    def __init__(
        self, terminal: Terminal, printed: str, typed: str, process: "subprocess.Popen[str]", out: Path, err: Path
    ) -> None:
        super().__init__(process)
        self._terminal = terminal
        self._printed = printed
        self._typed = typed
        self._out = out
        self._err = err

    @property
    def so_far(self) -> str:
        """What it has printed by now."""
        return self._out.read_text() + self._err.read_text()

    def end(self, timeout_s: float = 90) -> Said:
        """Wait for its end; what came of it."""
        code = self.wait(timeout_s)
        return self._terminal._keep(
            Said(self._printed, self._typed, code, self._out.read_text(), self._err.read_text())
        )


def open_terminal(folder: Path, programs: Path, variables: Mapping[str, str]) -> Terminal:
    """Terminals of a folder whose shells have these variables."""
    programs.mkdir()
    python = shlex.quote(sys.executable)
    wrappers = {"python": python, "ts-migration": f"{python} -m ts_migration.cli.main"}
    stand_ins = {"influx": INFLUX, "terraform": TERRAFORM} | ({} if shutil.which("aws") else {"aws": AWS})
    for name, text in stand_ins.items():
        (programs / f"{name}.py").write_text(text)
        wrappers[name] = f"{python} {shlex.quote(str(programs / f'{name}.py'))}"
    for name, command in wrappers.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    return Terminal(folder, programs, dict(variables))


def fill(line: str, filled: Mapping[str, str]) -> str:
    """A line with other words in the place of some; a word is never part of a longer one."""
    if not filled:
        return line
    names = "|".join(sorted(map(re.escape, filled), key=len, reverse=True))
    return re.sub(rf"(?<![\w-])({names})(?![\w-])", lambda match: filled[match[1]], line)
