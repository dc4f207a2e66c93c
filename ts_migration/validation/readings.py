"""What each side says about one window: the inputs of the checks.

Values only; how they are read is in `stages.check`.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ts_migration.line_protocol.rules import FLOAT_NOT_FINITE
from ts_migration.manifests import DigestRecord
from ts_migration.validation.sample import SampledRow


@dataclass(frozen=True)
class SourceReading:
    """What Timestream says now.

    Attributes:
        rows: rows in the window.
        values: field key -> values that the mapping makes of the non-NULL measures; fields without any are left out.
        first_ns, last_ns: edges of the rows' times.
        sample: rows at random times, as points, never chosen from the export.
        sample_quarantined: sampled rows that were left out because their kind is in the quarantine.
        unmapped: what came to the source after the mapping was frozen, such as `column 'q'` -> values in the window.
        bin_rows: rows of each time bin; asked only where the rows of the window are not those that were exported.
    """

    rows: int
    values: dict[str, int]
    first_ns: int | None
    last_ns: int | None
    sample: tuple[SampledRow, ...] = ()
    sample_quarantined: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)
    bin_rows: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExportReading:
    """What the manifests of export and conversion say.

    Attributes:
        rows: rows of the export's manifest.
        accounted_rows: points + merged + quarantined + empty of the conversion.
        quarantined: rows that could not be encoded.
        empty: rows without a single value, which are no points.
        values: field key -> values encoded.
        expected: digest of the export frames: what the bucket must hold.
        coverage: values by series bucket and time bin, uint64 [4096, 64]; None where its object is gone or damaged.
        series: distinct series.
        frame_failures: what pandera found in the exported batches; None where it did not look at them.
        spoiled_parts: line protocol objects that are not what the conversion wrote; looked for only where the bucket
            differs from the export.
        rewritten: rule -> rows that are written as it says, and not as the source has them.
    """

    rows: int
    accounted_rows: int
    quarantined: int
    empty: int
    values: dict[str, int]
    expected: DigestRecord
    coverage: npt.NDArray[np.uint64] | None
    series: int
    frame_failures: tuple[str, ...] | None
    spoiled_parts: tuple[str, ...] = ()
    rewritten: dict[str, int] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Rows without a value that the source has, because a rule drops it."""
        return self.rewritten.get(FLOAT_NOT_FINITE, 0)


@dataclass(frozen=True)
class TargetReading:
    """What InfluxDB says now.

    Attributes:
        counts: field key -> values, counted by the server apart from the read-back.
        digest: digest of all points read back.
        coverage: values by series bucket and time bin, uint64 [4096, 64].
        series: distinct series in the window.
        field_types: field key -> types over all shards of the bucket.
        window_types: field key -> types over the shards of the window, of fields with several types in the bucket.
        read_types: field key -> types of the values read back from the window.
        tag_keys: tag keys of the points read back.
        refused: lines that the server refused while loading.
        bucket: its name.
        sample: (k, time) of the sample's values -> typed bits found; absent where there is no value.
        expires_before_ns: the bucket's retention deletes points before this time; None where it keeps them for ever.
        untouched: values that were there before the load and that it left: all else here is without them.
        untouched_gone: those of them that are not there any more, or have another value.
    """

    counts: dict[str, int]
    digest: DigestRecord
    coverage: npt.NDArray[np.uint64]
    series: int
    field_types: dict[str, tuple[str, ...]]
    read_types: dict[str, tuple[str, ...]]
    tag_keys: tuple[str, ...]
    refused: int = 0
    bucket: str = ""
    window_types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sample: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    expires_before_ns: int | None = None
    untouched: int = 0
    untouched_gone: int = 0


@dataclass(frozen=True)
class Reading:
    """Both sides of one window, and the tolerance on counts (a share, 0 to 1)."""

    source: SourceReading
    export: ExportReading
    target: TargetReading
    count_tolerance: float = 0.0
    sample_threshold: float = 1.0
