"""Dagster's history of a working folder, read through the home that the folder's `.env` names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ts_migration_tests.embedded_stack import EmbeddedStack

UNFINISHED = [
    status for status in dg.DagsterRunStatus if status.value not in ("SUCCESS", "FAILURE", "CANCELED")
]  # fmt: skip


@contextmanager
def history(stack: EmbeddedStack) -> Iterator[dg.DagsterInstance]:
    """The instance that commands and Dagit of the folder use."""
    with dg.DagsterInstance.from_config(stack.variables["DAGSTER_HOME"]) as instance:
        yield instance


def runs(stack: EmbeddedStack) -> list[dg.DagsterRun]:
    """Every run there has been; none where no instance was ever made."""
    home = stack.variables.get("DAGSTER_HOME")
    if home is None or not Path(home, "history").exists():
        return []
    with history(stack) as instance:
        return list(instance.get_runs())


def unfinished(stack: EmbeddedStack) -> list[dg.DagsterRun]:
    """Runs that Dagster takes for queued or running."""
    return [run for run in runs(stack) if run.status in UNFINISHED]


def materialized(stack: EmbeddedStack, table: str) -> set[str]:
    """Partitions of a table's bucket that were ever materialised."""
    with history(stack) as instance:
        return instance.get_materialized_partitions(dg.AssetKey([*table.split("/"), "influxdb_bucket"]))
