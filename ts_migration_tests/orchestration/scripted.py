"""The real definitions, over stages that follow a script: what Dagster makes of them is under test, not what they do.

Assets, checks, jobs, leases and S3 are real; export, conversion, load and check give manifests made up here.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from ts_migration.config import MigrationConfig, MigrationJob, parse_config
from ts_migration.errors import MigrationError
from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest, VerdictsManifest
from ts_migration.orchestration import window_assets, window_checks
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window
from ts_migration_tests.local.s3 import ACCESS_KEY, SECRET_KEY
from ts_migration_tests.stages.manifests import DIGEST, five, window_manifests

JANUARY, FEBRUARY, MARCH = "2023-01-01", "2023-02-01", "2023-03-01"
CONFIG = """
migration_jobs:
  - job_name: load
    source_database: grid
    source_table: load
    target_bucket: load
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-03-31T23:59:59Z
migration_settings: {max_retry_attempts: 2, retry_delay_seconds: 0.001}
"""


def without_environment(patch: pytest.MonkeyPatch) -> None:
    """No variable that names a server."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "INFLUX", "S3_EXPORT", "TS_MIGRATION", "DAGSTER_HOME")):
            patch.delenv(name)


def with_environment(patch: pytest.MonkeyPatch, s3_url: str) -> None:
    """Variables that name the S3 of a test, and an InfluxDB that nobody asks."""
    without_environment(patch)
    variables = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "S3_EXPORT_BUCKET": "export",
        "INFLUXDB_URL": "http://127.0.0.1:9",
        "INFLUXDB_TOKEN": "t",
        "INFLUXDB_ORG": "o",
    }
    for name, value in variables.items():
        patch.setenv(name, value)


@dataclass
class Script:
    """What the stages of `load` do.

    Attributes:
        errors: raised by the exports to come, one by one.
        failing: (window, check) that fail.
        passing: windows that pass and are not proven.
        attempt: of the exports; another one gives other digests down the chain.
        calls: how often each stage was called.
    """

    patch: pytest.MonkeyPatch
    config: MigrationConfig = field(default_factory=lambda: parse_config(CONFIG))
    errors: list[MigrationError] = field(default_factory=list)
    failing: set[tuple[str, str]] = field(default_factory=set)
    passing: set[str] = field(default_factory=set)
    attempt: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        schema = TableSchema("grid", "load", ())
        given = {
            "schema_of": schema,
            "begin_table": (None, None),
            "current_export": None,
            "refuse_collisions": None,
            "frozen_mapping": None,
        }
        for name, value in given.items():
            self.patch.setattr(window_assets, name, lambda *_, value=value, **__: value)
        self.patch.setattr(window_assets, "export_window", self._export)
        self.patch.setattr(window_assets, "convert_window", lambda job, table, window, *_, **__: self._convert(window))
        self.patch.setattr(window_assets, "load_window", lambda job, table, window, *_, **__: self._load(window))
        self.patch.setattr(window_checks, "schema_of", lambda *_: schema)
        self.patch.setattr(window_checks, "check_window", lambda config, job, window, *_, **__: self._check(window))
        self.definitions = build_definitions(self.config)

    @property
    def job(self) -> MigrationJob:
        return self.config.migration_jobs[0]

    @property
    def names(self) -> TableNames:
        return TableNames.of(self.config, self.job)

    def run(self, instance: dg.DagsterInstance, key: str, *assets: dg.AssetKey, **tags: str) -> Any:
        """Run the window job, or some of its assets."""
        job = self.definitions.resolve_job_def(self.names.job)
        return job.execute_in_process(
            partition_key=key, instance=instance, raise_on_error=False, asset_selection=assets or None, tags=tags
        )

    def run_all(self, instance: dg.DagsterInstance) -> None:
        """Every window of the grid."""
        for key in self.job.grid.keys:
            self.run(instance, key)

    # The stages

    def _export(self, job: MigrationJob, place: Any, window: Window, *_: Any, **__: Any) -> ExportManifest:
        self.calls["export"] += 1
        if self.errors:
            raise self.errors.pop(0)
        return self._manifests(window)[0]

    def _convert(self, window: Window) -> LineProtocolManifest:
        self.calls["convert"] += 1
        return self._manifests(window)[1]

    def _load(self, window: Window) -> LoadManifest:
        self.calls["load"] += 1
        return self._manifests(window)[2]

    def _check(self, window: Window) -> VerdictsManifest:
        self.calls["check"] += 1
        changes = {check: {"passed": False, "stage": "load"} for key, check in self.failing if key == window.key}
        status = "failed" if changes else "passed" if window.key in self.passing else "proven"
        found = window_manifests(window, status=status, verdicts=five(**changes)).verdicts
        assert found is not None
        return found

    def _manifests(self, window: Window) -> tuple[ExportManifest, LineProtocolManifest, LoadManifest]:
        """A chain of a window without rows: nothing is missing in it."""
        made = window_manifests(window)
        assert made.export and made.converted and made.loaded
        export = made.export.model_copy(update={"rows": 0, "queries": (f"attempt {self.attempt[window.key]}",)})
        nothing = DIGEST.model_copy(update={"values": 0})
        converted = made.converted.model_copy(
            update={"parent": export.digest, "rows": 0, "points": 0, "values": {}, "expected": nothing}
        )
        return export, converted, made.loaded.model_copy(update={"parent": converted.digest})
