"""The mutation audit: copies of a proven window are spoiled in thirteen ways, and the checks have to see each of them.

The source's side is read once; a copy is a bucket of its own that is deleted at the end, whatever happens. Ways to
spoil are in `validation.mutations`, which window it is, in `audit_subject`.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ts_migration.errors import Refused
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import delete, ensure
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.influxdb.typed_lines import write_points
from ts_migration.stages.expectation import Expectation, read_held, verdicts_on
from ts_migration.validation.count_comparison import CountComparison
from ts_migration.validation.mutations import MUTATIONS, Impossible, Loads, Mutation
from ts_migration.validation.series_points import Points, whole_series
from ts_migration.validation.verdict import Check

MOST_VALUES = 1_000_000
"""Values of a window that is audited: held in memory, some 700 MiB with its copies, and copied fourteen times."""

_BUCKET_PREFIX = "ts-migration-audit-"
_SHARD_GROUP_S = 30 * 86_400


@dataclass(frozen=True)
class AuditSubject:
    """A proven window.

    Attributes:
        expectation: what a bucket must hold of it.
        held: name of the bucket that does.
        source_records: distinct tags and times of its rows, for the comparison of counts.
    """

    expectation: Expectation
    held: str
    source_records: int


@dataclass(frozen=True)
class Finding:
    """What became of one class: the checks that failed, and whether a comparison of counts sees it, too.

    `impossible` says why the window cannot be spoiled in this way; nothing was checked then.
    """

    name: str
    must_see: Check
    seen_by: tuple[Check, ...] = ()
    counts_differ: bool = False
    impossible: str = ""

    @property
    def caught(self) -> bool:
        """Whether the check that was named in advance saw it."""
        return self.must_see in self.seen_by


@dataclass(frozen=True)
class Audit:
    """What an audit came to."""

    points: int
    false_alarms: tuple[Check, ...]
    """Checks that failed on the clean copy."""
    clean_counts_differ: bool
    findings: tuple[Finding, ...]

    @property
    def caught(self) -> int:
        """Classes that were caught."""
        return sum(finding.caught for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Every class was caught, and the clean copy raised no alarm."""
        return not self.false_alarms and self.caught == len(MUTATIONS)


def audit(
    subject: AuditSubject, target: Target, policy: RetryPolicy, report: Callable[[str], None] = lambda _: None
) -> Audit:
    """Check a clean copy of the window, then a spoiled one for each class.

    Raises:
        Refused: the window has too many values.
        MigrationError: a copy could not be written or read.
    """
    expectation = subject.expectation
    if expectation.reading.expected.values > MOST_VALUES:
        raise Refused(
            f"the smallest proven window has {expectation.reading.expected.values:,} values",
            where=str(expectation.window),
            allowed=f"at most {MOST_VALUES:,}: it is held in memory and copied {len(MUTATIONS) + 1} times",
            next_step="leave --config out: a generated table is audited then",
        )
    measurement, window = expectation.mapping.measurement, expectation.window
    points = retrying(lambda: whole_series(reader.points(target, subject.held, measurement, window)), policy)
    false_alarms, counted = _judged(subject, (points,), target, policy)
    report(f"clean copy: {_names(false_alarms) or 'no alarm'}")
    findings = []
    for mutation in MUTATIONS:
        finding = _spoiled(subject, mutation, points, target, policy)
        report(f"{mutation.name}: {finding.impossible or _names(finding.seen_by) or 'no check'}")
        findings.append(finding)
    return Audit(sum(len(block.times) for block in points), false_alarms, not counted.agrees, tuple(findings))


def _spoiled(subject: AuditSubject, mutation: Mutation, points: Points, target: Target, policy: RetryPolicy) -> Finding:
    try:
        loads = mutation.spoil(points, subject.expectation.window)
    except Impossible as reason:
        return Finding(mutation.name, mutation.must_see, impossible=f"it has {reason}")
    seen_by, counted = _judged(subject, loads, target, policy)
    return Finding(mutation.name, mutation.must_see, seen_by, not counted.agrees)


def _judged(
    subject: AuditSubject, loads: Loads, target: Target, policy: RetryPolicy
) -> tuple[tuple[Check, ...], CountComparison]:
    """The checks that fail on a copy, and the comparison of counts."""
    expectation = subject.expectation
    measurement, window = expectation.mapping.measurement, expectation.window
    with scratch_bucket(target, policy) as copy:
        for load in loads:
            write_points(target, copy, load, policy)
        found = read_held(target, copy, measurement, window, expectation.source.sample, policy)
        verdicts = verdicts_on(expectation, found, target, policy)
        held = retrying(lambda: _points_of(target, copy, expectation), policy)
    failed = tuple(verdict.check for verdict in verdicts if not verdict.passed)
    return failed, CountComparison(expectation.source.rows, subject.source_records, held)


def _points_of(target: Target, bucket: str, expectation: Expectation) -> int:
    batches = reader.batches(target, bucket, expectation.mapping.measurement, expectation.window)
    return sum(len(batch.times) for batch in batches)


@contextmanager
def scratch_bucket(target: Target, policy: RetryPolicy) -> Iterator[str]:
    """The name of an empty bucket that is deleted afterwards, also after an error."""
    name = _BUCKET_PREFIX + secrets.token_hex(6)
    made = retrying(lambda: ensure(target, name, _SHARD_GROUP_S), policy)
    try:
        yield name
    finally:
        retrying(lambda: delete(target, made), policy)


def _names(checks: tuple[Check, ...]) -> str:
    return ", ".join(checks)
