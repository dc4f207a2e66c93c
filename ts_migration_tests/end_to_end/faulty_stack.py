"""A stack that is told to misbehave while small tables are migrated through the real stages."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ts_migration.aws import client
from ts_migration.errors import Transient
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.local import servers
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService, rules_file, write_rules
from ts_migration.local.faults.setting import SetFault, list_faults, set_fault
from ts_migration.local.state import Service, StackFolder
from ts_migration.manifests import ExportManifest, VerdictsManifest
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.resources import current_environment, target_of
from ts_migration.timestream.query import Retries, TimestreamQuery
from ts_migration_tests.embedded_stack import EmbeddedStack, clean_environment
from ts_migration_tests.stages.conftest import Migration, Stack, new_migration, plant_rows

STAGE_TRIES = 4
"""A stage is tried again by the orchestration as often as max_retry_attempts says, 3 by default."""

IDLE = FaultRule(FaultyService.S3, FaultKind.SLOW, on="no request is called so")
"""Keeps the forwarder in front of S3 between tests: S3 is started anew with its first rule and after its last."""

Result = TypeVar("Result")


@dataclass
class FaultyStack:
    """An embedded stack and the clients that reach it."""

    folder: Path
    clients: Stack
    embedded: EmbeddedStack

    @contextmanager
    def fault(self, *rules: FaultRule) -> Iterator[None]:
        """Servers misbehave while the block runs. Each rule must have hit, as often as it was to at most."""
        for rule in rules:
            set_fault(self.folder, rule)
        try:
            yield
            hits = {done.rule.id: done.hit for done in self.faults()}
            for rule in rules:
                assert hits[rule.id], f"the fault never happened: {rule}"
                assert rule.times is None or hits[rule.id] == rule.times, (rule, hits[rule.id])
        finally:
            self.clear()

    def faults(self) -> list[SetFault]:
        return [done for done in list_faults(self.folder) if done.rule != IDLE]

    def clear(self) -> None:
        for service in FaultyService:
            path = rules_file(StackFolder(self.folder).data(Service(service.value)))
            write_rules(path, [IDLE] if service is FaultyService.S3 else [])

    def table(self, **settings: Any) -> Migration:
        """A table of its own with two months of rows, and a job over it. The first of its two windows is migrated."""
        return new_migration(self.clients, plant_rows(), **settings)


def migrated(migration: Migration) -> VerdictsManifest:
    """A window through all stages, each tried again as the orchestration would."""
    tried(migration.export)
    tried(migration.convert)
    tried(lambda: migration.load(policy=RetryPolicy(3, 0.01)))
    return tried(migration.check)


def tried(stage: Callable[[], Result]) -> Result:
    """A stage, again where it failed for now and its own retries were not used up."""
    for _ in range(STAGE_TRIES - 1):
        try:
            return stage()
        except Transient as error:
            if error.exhausted:
                raise
    return stage()


def exported(migration: Migration) -> ExportManifest:
    """The first window's export."""
    return ExportManifest.model_validate_json(migration.stack.bucket.get(migration.own().manifest("export")))


def attempts(migration: Migration) -> set[str]:
    """Folders that UNLOAD wrote the first window to."""
    prefix = f"{migration.own().bulk}export/"
    return {found.key.removeprefix(prefix).split("/")[0] for found in migration.stack.bucket.list(prefix)}


@contextmanager
def faulty_stack(folder: Path) -> Iterator[FaultyStack]:
    """A stack whose Timestream takes any number of UNLOADs a second. The variables of this process lead to it."""
    embedded = EmbeddedStack(folder)
    with pytest.MonkeyPatch.context() as patch:
        hurried = servers.SERVERS[Service.TIMESTREAM]
        command = hurried.command
        patch.setitem(
            servers.SERVERS,
            Service.TIMESTREAM,
            replace(hurried, command=lambda state, data: [*command(state, data), "--unloads-per-second", "0"]),
        )
        patch.setattr("ts_migration.timestream.unload.PACE.interval_s", 0.0)
        embedded.up()
        try:
            for name in os.environ.keys() - clean_environment().keys():
                patch.delenv(name)
            for name, value in embedded.variables.items():
                patch.setenv(name, value)
            environment = current_environment()
            clients = Stack(
                embedded.timestream_url,
                TimestreamQuery(client("timestream-query"), Retries(3, 0.01)),
                ExportBucket(client("s3"), environment.s3_export_bucket),
                target_of(environment),
            )
            set_fault(folder, IDLE)
            yield FaultyStack(folder, clients, embedded)
        finally:
            embedded.down()
