"""A job from the outside: another shell looks at it, cancels it, goes on with it; its process is stopped by signals.

InfluxDB is slow, so that windows are at work for seconds. One story, for every command costs seconds. How a killed process
looks is in `test_operations_story`.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from ts_migration_tests.embedded_stack import EmbeddedStack, StartedCommand, configuration, start_command
from ts_migration_tests.end_to_end.history import history, runs, unfinished
from ts_migration_tests.end_to_end.proven_table import seed_plants

pytestmark = pytest.mark.stack

CONFIG = "cancelled.yaml"
TABLE, SLUG = "stopped", "stopped-job"
WINDOWS = ("--config", CONFIG, "--window", "2023-01-01..2023-03-01")
VALIDATE = ("-m", "ts_migration.cli.main", "validate", "--config", CONFIG, "--parallel-jobs", "1")
EXECUTE = ("-m", "ts_migration.cli.main", "execute", *WINDOWS)
WAIT_S = 60


@dataclass(frozen=True)
class Ended:
    """How a job that somebody ended looks from outside: exit codes, what was told, statuses of its runs."""

    job_id: str
    code: int
    told: str
    job: "subprocess.CompletedProcess[str]"
    unfinished: int
    statuses: list[str]


@dataclass(frozen=True)
class Story:
    """What happened to the job, in this order."""

    running: "subprocess.CompletedProcess[str]"
    cancelled: Ended
    seconds: float
    cancelled_again: "subprocess.CompletedProcess[str]"
    unknown: "subprocess.CompletedProcess[str]"
    status: "subprocess.CompletedProcess[str]"
    terminated_twice: Ended
    terminated_s: float
    resumed: "subprocess.CompletedProcess[str]"
    last: "subprocess.CompletedProcess[str]"
    monitored: "subprocess.CompletedProcess[str]"
    status_while_checked: "subprocess.CompletedProcess[str]"
    validation: Ended


@pytest.fixture(scope="module")
def story(embedded_stack: EmbeddedStack) -> Iterator[Story]:
    stack = embedded_stack
    seed_plants(stack, TABLE)
    text = configuration(TABLE, end="2023-03-31T23:59:59Z").rstrip() + "\n    write_connections: 1\n"
    stack.write_config(text + "    batch_size: 4\n", CONFIG)
    # Made before two processes look at it: Dagster makes its tables without a lock.
    stack.run("status", "--config", CONFIG)
    slow = "influxdb slow --on *POST*/api/v2/write* --delay 3"
    assert stack.run("local", "faults", "set", *slow.split()).returncode == 0
    try:
        yield told(stack)
    finally:
        stack.run("local", "faults", "clear")


def told(stack: EmbeddedStack) -> Story:
    with start_command(*EXECUTE, cwd=stack.folder) as command:
        job_id = await_load(stack, command)
        running = stack.run("execute", "--job-id", job_id)
        answer = stack.run("execute", "--cancel-job", job_id)
        seconds = float(re.search(r"within ([\d.]+) s", answer.stdout)[1])
        cancelled = ended(stack, job_id, command, answer.stdout)
    again = stack.run("execute", "--cancel-job", job_id)
    unknown = stack.run("execute", "--cancel-job", "no-such-job")
    status = stack.run("status", "--config", CONFIG)
    with start_command(*EXECUTE, cwd=stack.folder) as command:
        job_id = await_load(stack, command)
        unanswered = "influxdb slow --on *GET*/api/v2/buckets* --delay 60"
        assert stack.run("local", "faults", "set", *unanswered.split()).returncode == 0
        began = time.monotonic()
        os.kill(command.pid, signal.SIGTERM)
        time.sleep(0.5)
        os.kill(command.pid, signal.SIGHUP)
        command.wait(WAIT_S)
        terminated_s = time.monotonic() - began
        terminated = ended(stack, job_id, command, "")
    assert stack.run("local", "faults", "clear").returncode == 0
    resumed = stack.run("execute", "--config", CONFIG, "--resume")
    last = stack.run("execute", "--config", CONFIG, "--resume")
    slow = "influxdb slow --on *GET*/query* --delay 6"
    assert stack.run("local", "faults", "set", *slow.split()).returncode == 0
    with start_command(*VALIDATE, cwd=stack.folder) as command:
        job_id = await_step(stack, command, "checks", "validation-")
        monitored = stack.run("monitor", "--auto-discover", "--json", "--max-duration", "1")
        checked = stack.run("status", "--config", CONFIG)
        validation = ended(stack, job_id, command, stack.run("execute", "--cancel-job", job_id).stdout)
    assert stack.run("local", "faults", "clear").returncode == 0
    return Story(
        running, cancelled, seconds, again, unknown, status, terminated, terminated_s, resumed, last, monitored, checked,
        validation,
    )  # fmt: skip


def await_load(stack: EmbeddedStack, command: StartedCommand) -> str:
    """Wait until a window of a new job is being loaded; the job's id."""
    return await_step(stack, command, "influxdb_bucket")


def await_step(stack: EmbeddedStack, command: StartedCommand, step: str, kind: str = "") -> str:
    """Wait until a run of a new job is at a step; the job's id, which begins with `kind`."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert command.poll() is None, f"it ended before the step {step}"
        for run in unfinished(stack):
            with history(stack) as instance:
                steps = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START).records
            found = run.tags["ts_migration/job_id"]
            if found.startswith(kind) and any(step in (each.event_log_entry.step_key or "") for each in steps):
                return found
        time.sleep(0.2)
    raise AssertionError(f"no run came to the step {step}")


def ended(stack: EmbeddedStack, job_id: str, command: StartedCommand, words: str) -> Ended:
    """What a job looks like once its process has ended."""
    code = command.wait(WAIT_S)
    job = stack.run("execute", "--job-id", job_id)
    mine = [run for run in runs(stack) if run.tags.get("ts_migration/job_id") == job_id]
    return Ended(job_id, code, words, job, len(unfinished(stack)), [run.status.value for run in mine])


def test_a_job_has_a_readable_id(story):
    assert re.fullmatch(rf"{SLUG}-\d{{8}}t\d{{4}}-[0-9a-f]{{4}}", story.cancelled.job_id)


def test_another_shell_sees_what_a_job_is_at(story):
    assert story.running.returncode == 0, story.running.stderr
    assert re.search(r"^state +running$", story.running.stdout, re.MULTILINE)
    assert re.search(
        r"^at work +2023-0\d-01: (load|checks|export|conversion|starting)", story.running.stdout, re.MULTILINE
    )


def test_a_cancelled_job_stops_at_once_and_says_so(story):
    assert story.seconds < 10
    assert story.cancelled.code == 130
    assert story.cancelled.job.returncode == 130
    assert re.search(r"^state +cancelled$", story.cancelled.job.stdout, re.MULTILINE)
    assert re.search(rf"{SLUG} .* cancelled ", story.status.stdout)


def test_windows_that_were_at_work_are_cancelled_and_none_failed(story):
    assert story.cancelled.unfinished == 0
    assert story.cancelled.statuses[0] == "CANCELED"
    assert "FAILURE" not in story.cancelled.statuses


def test_a_job_that_is_over_or_unknown_is_not_cancelled_in_silence(story):
    assert story.cancelled_again.returncode == 1
    assert "it had ended before: cancelled" in story.cancelled_again.stderr
    assert story.unknown.returncode == 2
    assert "there is no job 'no-such-job'" in story.unknown.stderr


def test_a_second_signal_stops_at_once_and_leaves_nothing_running(story):
    assert story.terminated_twice.code == 130
    assert story.terminated_s < 20, "no answer of InfluxDB is waited for"
    assert story.terminated_twice.unfinished == 0
    assert story.terminated_twice.statuses[0] == "CANCELED"
    assert "state     cancelled" in story.terminated_twice.job.stdout


def test_it_is_gone_on_with_until_it_is_done(story):
    assert story.resumed.returncode == 0, story.resumed.stdout + story.resumed.stderr
    assert (
        f"going on with {story.terminated_twice.job_id}: {SLUG}, windows 2023-01-01 to 2023-03-01"
        in story.resumed.stderr
    )
    assert "0 failed" in story.resumed.stdout
    assert story.last.returncode == 0
    assert "Nothing to resume" in story.last.stdout


def test_a_validation_is_a_job_that_is_watched_and_cancelled_like_any_other(story):
    update = json.loads(story.monitored.stdout.splitlines()[-1])
    assert [(job["id"], job["state"]) for job in update["jobs"]] == [(story.validation.job_id, "running")]
    assert story.validation.job_id.startswith(f"validation-{SLUG}-")
    assert re.search(rf"{SLUG} .* running \(validate\) ", story.status_while_checked.stdout)
    assert float(re.search(r"within ([\d.]+) s", story.validation.told)[1]) < 10
    assert (story.validation.code, story.validation.unfinished) == (130, 0)
    assert re.search(r"^state +cancelled$", story.validation.job.stdout, re.MULTILINE)
    assert f"next: ts-migration validate --only {SLUG}" in story.validation.job.stderr
