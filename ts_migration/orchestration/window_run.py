"""What the assets and checks of one window share: its lease, the place of its objects, errors told to Dagster."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Refused, Transient
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.objects import ExportBucket, TablePlace, WindowPlace
from ts_migration.orchestration.failures import told_to_dagster
from ts_migration.orchestration.leases import lease_folder
from ts_migration.orchestration.partitions import window_of
from ts_migration.orchestration.resources import ExportBucketResource
from ts_migration.orchestration.run_leases import KEPT_S, run_lease
from ts_migration.orchestration.run_stop import stopped_when_cancelled
from ts_migration.stages.mending import forget_broken_stages, forget_what_follows_the_export
from ts_migration.validation.verdict import Stage
from ts_migration.windows import Window

LEASE_WAIT_S = 120.0
"""How long a run waits for another one on its window before it refuses (and is retried)."""
TOLD_EVERY_S = 30.0


@dataclass(frozen=True)
class WindowRun:
    """A leased window of a table, with the place of its objects. `bucket` is good while the lease is held."""

    window: Window
    table: TablePlace
    bucket: ExportBucket

    @property
    def place(self) -> WindowPlace:
        """Where the window's objects lie."""
        return self.table.window(self.window.key)

    def mend(self, context: dg.AssetExecutionContext, stage: Stage) -> bool:
        """Have what failed checks blame done again, from this stage on; whether that means to export anew."""
        blamed = forget_broken_stages(self.bucket, self.place, since=stage)
        if blamed:
            context.log.info(f"the last checks of this window failed: it is done again from the {blamed.value} on")
        return blamed is Stage.EXPORT

    def mend_the_rest(self, context: dg.AssetExecutionContext, refused: Refused) -> bool:
        """Where a new export was refused, have what follows done again from the old one; whether it needs that."""
        begins = forget_what_follows_the_export(self.bucket, self.place)
        if begins:
            context.log.warning(f"{refused.what}; the window is done again from the {begins.value} on")
        return begins is not None


@contextmanager
def window_run(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    config: MigrationConfig,
    job: MigrationJob,
    export_bucket: ExportBucketResource,
) -> Iterator[WindowRun]:
    """Hold the run's window while a stage works on it, and until the run's checks; errors are told to Dagster."""
    with (
        stopped_when_cancelled(context.instance, context.run),
        told_to_dagster(context, config.migration_settings),
    ):
        window = window_of(context, job.grid)
        table = config.place(job)
        with run_lease(
            export_bucket.bucket(),
            table.window(window.key),
            context.run.run_id,
            lock_folder=lease_folder(context.instance),
            wait_s=LEASE_WAIT_S,
            on_wait=context.log.warning,
            # The checks are a run's last step.
            keep_s=0.0 if isinstance(context, dg.AssetCheckExecutionContext) else KEPT_S,
        ) as bucket:
            yield WindowRun(window, table, bucket)


def retry_policy(config: MigrationConfig) -> RetryPolicy:
    """How requests to InfluxDB are retried."""
    settings = config.migration_settings
    return RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)


def telling_policy(config: MigrationConfig, warn: Callable[[str], None]) -> RetryPolicy:
    """The same, and the run's log tells what is waited for: at once, then every half a minute at most."""
    next_at = 0.0
    telling = threading.Lock()

    def on_retry(error: Transient) -> None:
        nonlocal next_at
        with telling:
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + TOLD_EVERY_S
                warn(f"it waits and tries again: {error}")

    return replace(retry_policy(config), on_retry=on_retry)


def journal_folder(instance: dg.DagsterInstance) -> Path:
    """Where the journals of an instance's loads lie."""
    return Path(instance.root_directory) / "journals"
