"""When `execute` rolls back by itself: only what failed for good, only where the configuration says so."""

from pathlib import Path

import pytest

from ts_migration.cli import execute, rollback
from ts_migration.cli.work import Work
from ts_migration.config import Environment, parse_config
from ts_migration.errors import Refused
from ts_migration.orchestration.execution_result import ExecutionResult, JobResult

CONFIG = """
migration_jobs:
  - {job_name: a, source_database: d, source_table: t, target_bucket: b, start_time: 2023-01-01, end_time: 2024-01-01,
     rollback_enabled: %s}
"""


@pytest.mark.parametrize(
    ("enabled", "failed", "for_good", "rolled_back"),
    [(True, 2, 2, ["a"]), (True, 2, 1, []), (True, 0, 0, []), (False, 2, 2, [])],
    ids=["all for good", "one by an outage", "nothing failed", "not enabled"],
)
def test_a_job_is_rolled_back_by_itself_only_where_it_failed_for_good(
    enabled, failed, for_good, rolled_back, monkeypatch, capsys
):
    done: list[str] = []
    monkeypatch.setattr(rollback, "perform", lambda _work, job, _reason, region: done.append(job))
    config = parse_config(CONFIG % str(enabled).lower())
    result = JobResult("a", "d.t", "b", windows=3, ran=3, failed=failed, for_good=for_good)
    work = Work(config, Path("c.yaml"), Environment())
    execute._roll_back(work, ExecutionResult("id", (result,), 1.0, interrupted=False), None)
    assert done == rolled_back
    told = capsys.readouterr().err
    assert ("ts-migration rollback a --dry-run" in told) == (failed > 0 and not enabled)


def test_a_rollback_that_is_refused_is_told_and_changes_no_exit_code(monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise Refused("no copy of them was kept")

    monkeypatch.setattr(rollback, "perform", refuse)
    result = JobResult("a", "d.t", "b", windows=1, failed=1, for_good=1)
    work = Work(parse_config(CONFIG % "true"), Path("c.yaml"), Environment())
    execute._roll_back(work, ExecutionResult("id", (result,), 1.0, interrupted=False), None)
    assert "not rolled back: no copy of them was kept" in capsys.readouterr().err
