"""Completion in bash, zsh and fish, as the shells ask for it, and a help that is there before anybody looks away."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ts_migration_tests.cli.test_help import commands
from ts_migration_tests.embedded_stack import CHECKOUT, clean_environment

PROGRAM = Path(sys.executable).parent / "ts-migration"
HELP_S = 0.3

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the program is not installed beside this Python")


def asked(**variables: str) -> list[str]:
    """What the program answers a shell, a line each."""
    answer = subprocess.run(
        [PROGRAM], env={**environment(), **variables}, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in answer.stderr
    return answer.stdout.splitlines()


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])
    return {**clean_environment(), "PATH": path, "PYTHONPATH": str(CHECKOUT)}


def test_bash_completes_commands_and_options_with_the_function_that_is_installed() -> None:
    script = subprocess.run(
        [PROGRAM], env={**environment(), "_TS_MIGRATION_COMPLETE": "source_bash"}, capture_output=True, text=True
    ).stdout
    assert "complete -o default -F _ts_migration_completion ts-migration" in script
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("bash is not installed")
    lines = "\n".join(
        [
            script,
            'COMP_WORDS=(ts-migration rest); COMP_CWORD=1; _ts_migration_completion ts-migration; echo "${COMPREPLY[@]}"',
            "COMP_WORDS=(ts-migration execute --cancel); COMP_CWORD=2; _ts_migration_completion ts-migration",
            'echo "${COMPREPLY[@]}"',
        ]
    )
    answer = subprocess.run([shell, "-c", lines], env=environment(), capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["restore-export", "--cancel-job"]


def test_zsh_is_told_commands_with_their_helps() -> None:
    told = "\n".join(asked(_TS_MIGRATION_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="ts-migration local fau"))
    assert told.startswith("_arguments") and '"faults":"Tell the embedded servers' in told
    source = "\n".join(asked(_TS_MIGRATION_COMPLETE="source_zsh"))
    assert source.strip().startswith("#compdef ts-migration")


def test_fish_is_told_commands_with_their_helps() -> None:
    variables = {"_TYPER_COMPLETE_ARGS": "ts-migration roll", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    (line,) = asked(_TS_MIGRATION_COMPLETE="complete_fish", **variables)
    assert line.startswith("rollback\tDelete exactly what a job wrote")
    assert "complete --command ts-migration" in "\n".join(asked(_TS_MIGRATION_COMPLETE="source_fish"))


def test_every_command_is_offered() -> None:
    words = {"COMP_WORDS": "ts-migration ", "COMP_CWORD": "1"}
    offered = set(asked(_TS_MIGRATION_COMPLETE="complete_bash", **words))
    assert offered == {name.split()[0] for name in commands()}


def test_help_takes_less_than_a_third_of_a_second_of_the_processor() -> None:
    """Its own time, for the machine that runs the tests may do other things; the quickest of three."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, "--help"], env=environment(), capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < HELP_S
