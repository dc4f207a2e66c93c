"""What `status` says of a table whose newest command came to no window, on an ephemeral instance."""

from collections.abc import Iterator
from contextlib import nullcontext

import dagster as dg
import pytest

from ts_migration.config import parse_config
from ts_migration.orchestration import job_status
from ts_migration.orchestration.job_record import JobBegin, JobEnd, tell_begun, tell_ended
from ts_migration.orchestration.job_status import JobStatus

CONFIG = parse_config(
    """
migration_jobs:
  - job_name: load
    source_database: grid
    source_table: load
    target_bucket: load
    start_time: "2023-01-01T00:00:00Z"
    end_time: "2023-03-31T23:59:59Z"
"""
)


@pytest.fixture
def seen(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(job_status, "open_instance", lambda: nullcontext(instance))
    yield instance


def ran(instance: dg.DagsterInstance, command: str, end: JobEnd, message: str = "") -> None:
    """A command that has worked on the table, from its beginning to its end."""
    job_id = f"{command}-load-20261122t1015-3f2a"
    tell_begun(instance, JobBegin(job_id, job_id, command, "load", "grid.load", "load", "grid/load", "/c.yaml", 3))
    tell_ended(instance, job_id, end, message)


def stands() -> JobStatus:
    (found,) = job_status.status(CONFIG)
    return found


def test_a_command_that_failed_before_its_first_window_is_told_and_not_called_not_begun(
    seen: dg.DagsterInstance,
) -> None:
    assert stands().state == "not begun"

    ran(seen, "execute", JobEnd.FAILED, "a worker process was killed while it started")

    assert (stands().state, stands().cut_short) == ("failed", True)
    assert stands().last_error == "a worker process was killed while it started"


@pytest.mark.parametrize("command", ["rollback", "reset"])
def test_what_was_taken_back_since_is_not_begun(seen: dg.DagsterInstance, command: str) -> None:
    ran(seen, "execute", JobEnd.FAILED, "broken")
    ran(seen, command, JobEnd.SUCCEEDED)

    assert (stands().state, stands().cut_short, stands().last_error) == ("not begun", False, "")
