"""Ids of executions and of the jobs in them: readable, and one time and four digits for all jobs of one execution."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from ts_migration.config import MigrationJob

ALL_JOBS = "migration"
_STAMP = len("20261122t1015-3f2a")


def new_execution_id(jobs: Sequence[MigrationJob]) -> str:
    """The id of one call over some jobs: the job's name (or `migration`), the minute, four random digits."""
    name = jobs[0].slug if len(jobs) == 1 else ALL_JOBS
    return f"{name}-{datetime.now(UTC):%Y%m%dt%H%M}-{secrets.token_hex(2)}"


def job_id_of(execution_id: str, slug: str) -> str:
    """The id of one job in an execution: what can be looked at and cancelled by itself."""
    head, stamp = execution_id[: -_STAMP - 1], execution_id[-_STAMP:]
    kind = head.removesuffix(ALL_JOBS)
    return f"{kind}{slug}-{stamp}" if kind in ("", "validation-") else execution_id
