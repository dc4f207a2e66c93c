"""Which job `repair --table` means."""

from pathlib import Path

import pytest

from ts_migration.cli.repair import job_of_table
from ts_migration.cli.work import Work
from ts_migration.config import Environment, parse_config
from ts_migration.errors import Refused

JOB = """
  - {{job_name: {name}, source_database: {database}, source_table: {table}, target_bucket: {bucket},
     start_time: 2023-01-01T00:00:00Z, end_time: 2023-12-31T23:59:59Z}}
"""
WORK = Work(
    parse_config(
        "migration_jobs:"
        + JOB.format(name="Load Data", database="grid", table="load", bucket="a")
        + JOB.format(name="plants", database="grid", table="plants", bucket="b")
        + JOB.format(name="plants of old", database="archive", table="plants", bucket="c")
        + JOB.format(name="flows", database="archive", table="flows", bucket="d")
    ),
    Path("migration_config.yaml"),
    Environment.read({}),
)


@pytest.mark.parametrize(
    ("table", "slug"),
    [
        ("Load Data", "load-data"),
        ("load-data", "load-data"),
        ("grid.load", "load-data"),
        ("load", "load-data"),
        ("plants", "plants"),
        ("archive.plants", "plants-of-old"),
        ("flows", "flows"),
    ],
)
def test_a_job_is_meant_by_its_name_its_slug_its_source_or_its_table(table: str, slug: str) -> None:
    assert job_of_table(WORK, table).slug == slug


@pytest.mark.parametrize("table", [None, "grid.flows", "nothing"])
def test_what_names_no_job_or_several_is_told_with_what_there_is(table: str | None) -> None:
    with pytest.raises(Refused) as refused:
        job_of_table(WORK, table)

    assert "archive.plants (plants-of-old)" in str(refused.value)
