"""Every fault of every service befalls the migration of a small table: it ends proven, nothing lost, nothing twice.

A fault that never happened fails its test: `FaultyStack.fault` asks the server what each rule has hit.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ts_migration.errors import Transient
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService
from ts_migration.operations.findings import FindingStatus
from ts_migration.operations.influxdb_look import look_at_influxdb
from ts_migration.orchestration.resources import current_environment
from ts_migration_tests.end_to_end.faulty_stack import FaultyStack, attempts, exported, faulty_stack, migrated, tried

pytestmark = pytest.mark.stack

TIMESTREAM, INFLUXDB, S3 = FaultyService.TIMESTREAM, FaultyService.INFLUXDB, FaultyService.S3
UNLOAD = "Query UNLOAD*"
WRITE = "POST /api/v2/write*"
BOTO_TRIES = 6
"""Requests of one call of boto3's, as `aws.client` sets it up."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    with faulty_stack(tmp_path_factory.mktemp("faults")) as one:
        yield one


def rule(service: FaultyService, kind: str, on: str = "", **options: Any) -> FaultRule:
    return FaultRule(service, FaultKind(kind), on, **options)


def proven_under(stack: FaultyStack, *rules: FaultRule) -> Any:
    """A fresh table, migrated while servers misbehave, is proven; its migration."""
    migration = stack.table()
    with stack.fault(*rules):
        verdicts = migrated(migration)
    assert verdicts.status == "proven", [verdict for verdict in verdicts.verdicts if not verdict.passed]
    return migration


PASSING = [
    rule(TIMESTREAM, "throttle", UNLOAD, times=2),
    rule(TIMESTREAM, "error", "Query SELECT*", every=2, times=2),
    rule(TIMESTREAM, "unavailable", "Query*", times=3),
    rule(TIMESTREAM, "reset", "Query*", every=2, times=4),
    rule(TIMESTREAM, "slow", "Query*", delay_s=0.05),
    rule(TIMESTREAM, "lost-answer", "Query next page*", times=2),
    rule(TIMESTREAM, "cut-answer", every=2, times=5),
    rule(INFLUXDB, "throttle", WRITE, times=3),
    rule(INFLUXDB, "error", WRITE, every=2, times=4),
    rule(INFLUXDB, "unavailable", WRITE, times=3),
    rule(INFLUXDB, "reset", WRITE, every=2, times=3),
    rule(INFLUXDB, "slow", delay_s=0.05),
    rule(INFLUXDB, "lost-answer", "POST /api/v2/buckets*", times=1),
    rule(INFLUXDB, "cut-answer", "GET /query*", every=2, times=3),
    rule(S3, "throttle", "PUT *", times=2),
    rule(S3, "error", every=3, times=8),
    rule(S3, "unavailable", "GET */manifests/*", times=3),
    rule(S3, "reset", every=3, times=8),
    rule(S3, "slow", delay_s=0.02),
    rule(S3, "cut-answer", "GET *", every=3, times=4),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.service}-{fault.kind}")
def test_a_fault_that_passes_leaves_a_proven_window(stack, fault):
    proven_under(stack, fault)


# Longer than boto3's patience


@pytest.mark.parametrize("kind", ["error", "reset"])
def test_the_tools_own_retries_go_on_where_those_of_boto3_end(stack, kind):
    migration = proven_under(stack, rule(TIMESTREAM, kind, UNLOAD, times=2 * BOTO_TRIES + 1))
    # The same query throughout: the service knows it by its token.
    assert len(attempts(migration)) == 1


def test_a_stage_that_s3_kept_from_ending_is_done_again(stack):
    proven_under(stack, rule(S3, "error", "PUT */line-protocol/part-*", times=2 * BOTO_TRIES + 1))


# What a server asks


def test_a_wait_that_timestream_asks_for_is_kept(stack):
    migration, started = stack.table(), time.monotonic()
    with stack.fault(rule(TIMESTREAM, "throttle", UNLOAD, times=1, retry_after_s=1.5)):
        tried(migration.export)
    assert time.monotonic() - started >= 1.5


def test_a_wait_that_influxdb_asks_for_is_kept(stack):
    started = time.monotonic()
    proven_under(stack, rule(INFLUXDB, "throttle", WRITE, times=1, retry_after_s=1.5))
    assert time.monotonic() - started >= 1.5


# Answers that are lost once the work was done


def test_an_unload_whose_answer_is_lost_is_not_begun_a_second_time(stack):
    # Beyond boto3's own retries, which have a token of their own: the tool's retries must be known for the same query.
    migration = proven_under(stack, rule(TIMESTREAM, "lost-answer", UNLOAD, times=BOTO_TRIES + 1))
    keys = [found.key for found in stack.clients.bucket.list(f"{migration.own().bulk}export/")]
    assert len([key for key in keys if key.endswith("_manifest.json")]) == 1
    assert len(attempts(migration)) == len(exported(migration).queries) == 1


def test_writes_whose_answers_are_lost_are_sent_again_and_change_nothing(stack):
    migration = proven_under(stack, rule(INFLUXDB, "lost-answer", WRITE, times=4))
    assert migration.load().points == exported(migration).rows == 248


def test_objects_whose_puts_are_not_answered_are_put_again(stack):
    proven_under(stack, rule(S3, "lost-answer", "PUT *", every=2, times=4))


def test_when_every_third_answer_of_all_three_is_lost_the_window_is_proven_all_the_same(stack):
    shares = {"share": 1 / 3, "seed": 7}
    proven_under(stack, *(rule(service, "lost-answer", **shares) for service in FaultyService))


# UNLOADs that ended well and wrote too little


@pytest.mark.parametrize(
    "kind", ["unload-no-manifest", "unload-missing-file", "unload-wrong-size", "unload-truncated-file"]
)
def test_a_partial_unload_is_never_converted_and_a_fresh_folder_heals_it(stack, kind):
    migration = proven_under(stack, rule(TIMESTREAM, kind, times=1))
    files = exported(migration).files
    folders = {file.key.removeprefix(f"{migration.own().bulk}export/").split("/")[0] for file in files}
    assert len(folders) == 1
    assert len(attempts(migration) - folders) == 1


@pytest.mark.parametrize("kind", ["unload-no-manifest", "unload-truncated-file"])
def test_an_unload_that_is_partial_every_time_ends_as_an_error_without_a_manifest(stack, kind):
    migration = stack.table()
    with stack.fault(rule(TIMESTREAM, kind)), pytest.raises(Transient, match=r"manifest"):
        migration.export()
    assert migration.stack.bucket.get_or_none(migration.own().manifest("export")) is None
    assert len(attempts(migration)) == 4
    assert migrated(migration).status == "proven"


# Too much for one query


@pytest.mark.parametrize("kind", ["query-out-of-memory", "query-timed-out"])
def test_a_window_that_is_too_large_for_one_query_is_exported_in_halves(stack, kind):
    migration = proven_under(stack, rule(TIMESTREAM, kind, UNLOAD, times=1))
    assert len(exported(migration).queries) == 2


# The look at the prerequisites


@pytest.mark.parametrize("kind", ["reset", "lost-answer", "unavailable"])
def test_one_broken_request_does_not_keep_a_migration_from_beginning(stack, kind):
    environment = current_environment()
    with stack.fault(rule(INFLUXDB, kind, every=2, times=3)):
        findings = look_at_influxdb(environment, ["a bucket that is not there"])
    assert [finding.status for finding in findings] == [FindingStatus.ACCESSIBLE] * 2
    buckets = stack.clients.target.control.buckets_api().find_buckets(limit=100).buckets
    names = [bucket.name for bucket in buckets]
    assert not [name for name in names if "probe" in name], "the probe bucket is left behind"
