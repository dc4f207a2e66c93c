"""`execute` is killed in the middle of each stage and started again: it goes on, and what was finished is left alone.

One migration is killed four times, once in a stage, alternately with its worker process and without it. Nothing sleeps
for luck: files of the embedded S3 tell which stage is at work, and the processes stand still while that is asked.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
import pytest

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, StartedCommand, signal_all, start_command
from ts_migration_tests.end_to_end.history import runs, unfinished
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.target import count, plain_client

pytestmark = pytest.mark.stack

TABLE = f"{DATABASE}/turbines"
ROWS = 3_000
"""A window; 300 requests of 10 lines."""
ACKNOWLEDGED = 100
"""Requests after which a load is killed: fewer than the ledger's first page in S3 needs, so the journal alone has them."""
DAYS = ["2023-01-01", "2023-01-02", "2023-01-03", "2023-01-04"]
CONFIG = f"""\
migration_jobs:
  - job_name: "Turbines"
    source_database: "{DATABASE}"
    source_table: "turbines"
    target_bucket: "turbines"
    start_time: "{DAYS[0]}T00:00:00Z"
    end_time: "{DAYS[-1]}T23:59:59Z"
    window: day
    batch_size: 10
migration_settings:
  parallel_jobs: 1
"""
WAIT_S = 90


def exporting(objects: Objects) -> bool:
    """Some windows are exported and others are not."""
    exported = [objects.has(day, "export") for day in DAYS]
    return any(exported) and not all(exported)


def converting(objects: Objects) -> bool:
    """A window's parts are there, its manifest is not."""
    return any(
        any((objects.bulk / day / "line-protocol").glob("*")) and not objects.has(day, "line_protocol")
        for day in DAYS[1:]
    )


def loading(objects: Objects) -> bool:
    """A journal tells of a load in its midst."""
    journals = (objects.folder / ".ts_migration" / "dagster" / "journals").glob("*.journal")
    return any(path.read_bytes().count(b"\n") >= ACKNOWLEDGED for path in journals) and any(
        any((objects.proof / day / "ledger").glob("*/*")) and not objects.has(day, "load") for day in DAYS[1:]
    )


def checking(objects: Objects) -> bool:
    """A window is loaded and still leased, and has no verdicts."""
    return any(
        objects.has(day, "load") and not objects.has(day, "verdicts") and objects.path(day, "lease").is_file()
        for day in DAYS[1:]
    )


STAGES: dict[str, tuple[Callable[[Objects], bool], bool, str]] = {
    # How the stage is recognised, whether the worker is killed with its parent, and what makes it last long enough.
    "export": (exporting, False, "s3 slow --on *PUT*/export.json --every 2 --delay 0.5"),
    "conversion": (converting, True, "s3 slow --on *PUT*/line_protocol.json --delay 0.3"),
    "load": (loading, True, "influxdb slow --on *POST*/api/v2/write* --delay 0.01"),
    "checks": (checking, False, "influxdb slow --on *GET*/query* --delay 0.1"),
}


@dataclass(frozen=True)
class Killed:
    """What a killed `execute` left: windows that were proven, to the byte, and Dagster's unfinished runs."""

    finished: dict[str, dict[str, bytes]]
    unfinished: int
    workers_left: list[int]


@dataclass(frozen=True)
class Journey:
    """A migration that was killed in every stage and ended well."""

    stack: EmbeddedStack
    objects: Objects
    killed: dict[str, Killed]
    last: str


def seed(stack: EmbeddedStack) -> None:
    start = datetime(2023, 1, 1, tzinfo=UTC)
    total = ROWS * len(DAYS)
    numbers = pl.int_range(total, eager=True)
    frame = pl.DataFrame(
        {
            "time": numbers * (86_400_000_000_000 // ROWS) + int(start.timestamp()) * 1_000_000_000,
            "turbine": "T" + (numbers % 7).cast(pl.String),
            "mw": numbers / 7,
        }
    )
    frame.write_parquet(stack.folder / "turbines.parquet")
    arguments = "--parquet turbines.parquet --table turbines --dimensions turbine --measures mw"
    answer = stack.run("local", "seed", *arguments.split())
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    stack = EmbeddedStack(tmp_path_factory.mktemp("resume"))
    stack.up()
    try:
        seed(stack)
        stack.write_config(CONFIG)
        objects = Objects(stack, TABLE)
        killed = {name: kill_in(stack, objects, *how) for name, how in STAGES.items()}
        answer = stack.run("execute", timeout_s=WAIT_S * 2)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield Journey(stack, objects, killed, answer.stderr)
    finally:
        stack.down()


def kill_in(
    stack: EmbeddedStack, objects: Objects, at_work: Callable[[Objects], bool], with_worker: bool, slowly: str
) -> Killed:
    """Start `execute`, and kill -9 it while a stage is at work."""
    assert stack.run("local", "faults", "set", *slowly.split()).returncode == 0
    with start_command("-m", "ts_migration.cli.main", "execute", cwd=stack.folder) as command:
        workers = stop_in(command, objects, at_work)
        os.kill(command.pid, signal.SIGKILL)
        if with_worker:
            signal_all(workers, signal.SIGKILL)
        signal_all(workers, signal.SIGCONT)
        assert command.wait(10) == -signal.SIGKILL
        left = await_end(workers)
    assert stack.run("local", "faults", "clear").returncode == 0
    return Killed(objects.finished(), len(unfinished(stack)), left)


def stop_in(command: StartedCommand, objects: Objects, at_work: Callable[[Objects], bool]) -> list[int]:
    """Let the command run until a stage is at work, and leave it and its workers standing still; the workers."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert command.poll() is None, "it ended before the stage was seen at work"
        if at_work(objects):
            workers = command.children
            signal_all([*workers, command.pid], signal.SIGSTOP)
            if at_work(objects):
                return workers
            signal_all([*workers, command.pid], signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the stage was not seen at work")


def await_end(workers: list[int]) -> list[int]:
    """Workers that still live some seconds after their parent has died."""
    deadline = time.monotonic() + 20
    living = workers
    while living and time.monotonic() < deadline:
        living = [pid for pid in living if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110
        time.sleep(0.01)
    return living


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_execute_leaves_no_process_behind(journey, stage):
    assert journey.killed[stage].workers_left == []


def test_every_window_is_proven_in_the_end_and_so_is_the_table(journey):
    assert journey.objects.statuses() == dict.fromkeys(DAYS, "proven")
    assert journey.objects.migrated()["status"] == "proven"
    with plain_client(journey.stack) as client:
        found = count(client, "turbines", "turbines", "2023-01-01T00:00:00Z", "2023-01-05T00:00:00Z")
    assert found == {"mw": ROWS * len(DAYS)}


@pytest.mark.parametrize("stage", STAGES)
def test_windows_that_were_finished_are_not_done_again(journey, stage):
    now = journey.objects.finished()
    for day, manifests in journey.killed[stage].finished.items():
        # To the byte: times of writing, digests and numbers of requests.
        assert now[day] == manifests, day


def test_there_were_finished_windows_and_open_runs_to_go_wrong(journey):
    assert all(journey.killed[stage].finished for stage in ("conversion", "load", "checks"))
    assert all(journey.killed[stage].unfinished for stage in ("conversion", "load", "checks"))


def test_a_killed_load_goes_on_after_what_was_acknowledged(journey):
    resumed = [journey.objects.read(day, "load")["resumed_members"] for day in DAYS]
    assert max(resumed) >= ACKNOWLEDGED
    (window,) = (
        journey.objects.read(day, "load") for day in DAYS if journey.objects.read(day, "load")["resumed_members"]
    )
    assert window["requests"] == window["members"] - window["resumed_members"]
    assert window["members"] == ROWS // 10


def test_dagster_has_no_run_that_is_still_running(journey):
    assert unfinished(journey.stack) == []
    assert {run.status.value for run in runs(journey.stack)} == {"SUCCESS", "FAILURE"}


def test_status_counts_every_window_as_green(journey):
    answer = journey.stack.run("status")
    assert answer.returncode == 0
    assert re.search(r"turbines +migrated +4 +4 +4 +0 +0", answer.stdout), answer.stdout


def test_the_last_execute_says_what_was_done_already(journey):
    done = len(journey.killed["checks"].finished)
    assert f"{done} of 4 windows are done already" in journey.last
