"""What a bucket must hold of a range, read once from the source, and the five verdicts on any bucket that should.

The checks of a range and the audit of the checks ask this; a loaded window is judged in `check`, by the same functions.
"""

from dataclasses import dataclass, replace

from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.manifests import ExportManifest, LineProtocolManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.check import differences_of, judge
from ts_migration.stages.target_reading import ask_figures, read_target
from ts_migration.validation.readings import ExportReading, Reading, SourceReading, TargetReading
from ts_migration.validation.sample import SampledRow
from ts_migration.validation.verdict import Verdict
from ts_migration.windows import Window


@dataclass(frozen=True)
class Expectation:
    """Both readings of the source, and where its rows lie to name the points that differ.

    Attributes:
        window: the range.
        mapping: of its rows.
        source: what Timestream says.
        reading: what its export says.
        export, converted: of which `reading` is made.
        bucket: that holds the export's files, if they are still there.
    """

    window: Window
    mapping: Mapping
    source: SourceReading
    reading: ExportReading
    export: ExportManifest
    converted: LineProtocolManifest
    bucket: ExportBucket


def read_held(
    target: Target, held: str, measurement: str, window: Window, sample: tuple[SampledRow, ...], policy: RetryPolicy
) -> TargetReading:
    """What a bucket holds of a range, read once, with the values of the sampled rows.

    Raises:
        Missing: there is no such bucket.
        Transient, Permanent: see `target_reading`.
    """
    figures = retrying(lambda: ask_figures(target, held, measurement, window), policy)
    return retrying(lambda: read_target(target, held, measurement, window, sample, [], figures), policy)


def verdicts_on(
    expectation: Expectation,
    found: TargetReading,
    target: Target,
    policy: RetryPolicy,
    *,
    count_tolerance: float = 0.0,
    sample_threshold: float = 1.0,
) -> tuple[Verdict, ...]:
    """The five verdicts on what was read from a bucket; points that differ are looked for there again.

    None names a stage or a delete: who wrote the bucket, and in which steps, is not known here.
    """
    reading = Reading(expectation.source, expectation.reading, found, count_tolerance, sample_threshold)
    differences = None
    if reading.export.expected.lanes != found.digest.lanes:
        differences = differences_of(
            expectation.bucket,
            expectation.export,
            expectation.converted,
            found.bucket,
            expectation.mapping,
            expectation.window,
            reading,
            target,
            policy,
        )
        differences = replace(differences, extra_span=None) if differences else None
    verdicts = judge(reading, expectation.mapping, expectation.window, differences)
    return tuple(replace(verdict, stage=None) for verdict in verdicts)
