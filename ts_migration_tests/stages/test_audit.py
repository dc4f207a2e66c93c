"""The mutation audit on the generated table: thirteen faults caught, no false alarm, nothing left behind."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ts_migration.cli.audit import cells
from ts_migration.config import MigrationConfig
from ts_migration.errors import Refused
from ts_migration.influxdb import reader
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.influxdb.typed_lines import lines_of
from ts_migration.local.audit_table import audit_table
from ts_migration.objects import BULK_PREFIX, PROOF_PREFIX
from ts_migration.operations import audit as auditing
from ts_migration.operations.audit import Audit, AuditSubject, audit
from ts_migration.operations.audit_subject import migrated, smallest_proven, subject_of
from ts_migration.stages import check
from ts_migration.validation.count_comparison import CountComparison
from ts_migration.validation.mutations import MUTATIONS, Impossible
from ts_migration.validation.refused_lines import refused_blocks
from ts_migration.validation.series_points import Points, point_text, whole_series
from ts_migration.validation.verdict import Check
from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.local.timestream.embedded import write_client
from ts_migration_tests.stages.conftest import Stack

pytestmark = pytest.mark.stack

POLICY = RetryPolicy(0)


def buckets(stack: Stack) -> set[str]:
    return {bucket.name for bucket in stack.target.control.buckets_api().find_buckets(limit=100).buckets}


@pytest.fixture(scope="module")
def config(stack: Stack) -> Iterator[MigrationConfig]:
    with audit_table(stack.timestream_url, write_client(stack.timestream_url)) as made:
        yield made


@pytest.fixture(scope="module")
def subject(stack: Stack, config: MigrationConfig) -> Iterator[AuditSubject]:
    with migrated(config, stack.bucket, stack.query, stack.target) as (job, window):
        assert smallest_proven(config, [job], stack.bucket, stack.target, POLICY) == (job, window)
        yield subject_of(config, job, window, stack.bucket, stack.query, seed=7)
    assert job.target_bucket not in buckets(stack)
    for prefix in (BULK_PREFIX, PROOF_PREFIX):
        assert not [found.key for found in stack.bucket.list(prefix) if job.source_table in found.key]


@pytest.fixture(scope="module")
def points(stack: Stack, subject: AuditSubject) -> Points:
    name, window = subject.expectation.mapping.measurement, subject.expectation.window
    return whole_series(reader.points(stack.target, subject.held, name, window))


@pytest.fixture(scope="module")
def found(stack: Stack, subject: AuditSubject) -> Audit:
    before = buckets(stack)
    result = audit(subject, stack.target, POLICY)
    assert buckets(stack) == before
    return result


def test_each_of_thirteen_faults_is_caught_by_the_check_named_in_advance_and_the_clean_copy_raises_no_alarm(
    found: Audit,
) -> None:
    assert found.false_alarms == ()
    assert [finding.name for finding in found.findings if not finding.caught] == []
    assert (found.caught, len(found.findings), found.passed) == (13, 13, True)


def test_no_fault_is_left_to_the_sample_whose_rows_are_random() -> None:
    assert Check.SAMPLE not in {mutation.must_see for mutation in MUTATIONS}
    assert len({mutation.name for mutation in MUTATIONS}) == 13


def test_the_documented_table_is_that_of_a_run(found: Audit) -> None:
    """What the sample sees depends on its rows; the document leaves it out."""
    text = (CHECKOUT / "docs" / "validation.md").read_text(encoding="utf-8")
    section = re.search(r"^## The mutation audit\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    documented = [
        tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        for line in section[1].splitlines()
        if line.startswith("| ") and "must be seen by" not in line
    ]
    seen = [
        replace(finding, seen_by=tuple(one for one in finding.seen_by if one is not Check.SAMPLE))
        for finding in found.findings
    ]
    assert documented == [cells(finding) for finding in seen]


def test_a_check_that_sees_nothing_fails_the_audit(
    stack: Stack,
    subject: AuditSubject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blind = check.check_checksum
    monkeypatch.setattr(check, "check_checksum", lambda *args: replace(blind(*args), passed=True))
    monkeypatch.setattr(auditing, "MUTATIONS", MUTATIONS[3:5])
    result = audit(subject, stack.target, POLICY)
    assert (result.caught, result.passed) == (0, False)


def test_a_false_alarm_fails_the_audit_though_every_fault_is_caught(
    stack: Stack,
    subject: AuditSubject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nervous = check.check_coverage
    monkeypatch.setattr(check, "check_coverage", lambda *args: replace(nervous(*args), passed=False))
    monkeypatch.setattr(auditing, "MUTATIONS", MUTATIONS[4:5])
    result = audit(subject, stack.target, POLICY)
    assert (result.false_alarms, result.caught, result.passed) == ((Check.COVERAGE,), 1, False)


def test_a_copy_that_fails_leaves_no_bucket_behind(
    stack: Stack,
    subject: AuditSubject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise Refused("no")

    before = buckets(stack)
    monkeypatch.setattr(auditing, "write_points", refuse)
    with pytest.raises(Refused):
        audit(subject, stack.target, POLICY)
    assert buckets(stack) == before


def test_a_window_that_is_too_large_is_refused_with_the_way_out(
    stack: Stack,
    subject: AuditSubject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditing, "MOST_VALUES", 10)
    with pytest.raises(Refused, match="leave --config out"):
        audit(subject, stack.target, POLICY)


def told(points: Points) -> dict[tuple[str, int], object]:
    """Every point by series and time, in comparable values."""
    return {
        (repr(sorted(block.tags.items())), time): point_text(block, row)
        for block in points
        for row, time in enumerate(block.times.tolist())
    }


def test_lines_of_points_read_back_as_the_same_points(points: Points) -> None:
    lines = [line for block in points for line in lines_of(block)]
    assert len(lines) == 384
    assert told(tuple(refused_blocks(lines))) == told(points)


CHANGES = {
    "a point dropped": (1, 0, 0),
    "a point added": (0, 1, 0),
    "a point moved by 1 ns": (1, 1, 0),
    "one bit of a float flipped": (0, 0, 1),
    "a tag value swapped": (0, 0, 2),
    "null made 0": (0, 0, 1),
    "a string cut": (0, 0, 1),
    "a whole series missing": (96, 0, 0),
    "two series merged": (96, 0, 96),
    "an integer made float": (0, 0, 384),
    "a field lost": (0, 0, 288),
    "a window loaded twice with other values": (0, 0, 384),
    "all times shifted by 3 h": (12, 12, 372),
}
"""Points that are gone, that are new, and that have other values."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_changes_what_its_name_says_and_nothing_else(mutation, points: Points, subject: AuditSubject) -> None:
    before, after = told(points), {}
    for load in mutation.spoil(points, subject.expectation.window):
        after |= told(load)
    changed = sum(before[key] != after[key] for key in before.keys() & after.keys())
    assert (len(before.keys() - after.keys()), len(after.keys() - before.keys()), changed) == CHANGES[mutation.name]


def test_a_fault_that_the_window_cannot_have_is_told_and_no_pass(points: Points, subject: AuditSubject) -> None:
    one = (replace(points[0], columns=points[0].columns[:1], times=np.array(points[0].times)),)
    for mutation in MUTATIONS:
        if mutation.name in ("two series merged", "a tag value swapped"):
            with pytest.raises(Impossible):
                mutation.spoil(one, subject.expectation.window)


@pytest.mark.parametrize(
    ("rows", "distinct", "points", "agrees"),
    [(10, 10, 10, True), (10, 8, 8, True), (10, 8, 9, False), (10, 10, 9, False)],
)
def test_a_comparison_of_counts_adjusts_what_it_expects_where_rows_collapse(
    rows: int, distinct: int, points: int, agrees: bool
) -> None:
    assert CountComparison(rows, distinct, points).agrees is agrees
