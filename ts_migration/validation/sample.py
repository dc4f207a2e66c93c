"""sample: rows asked again of Timestream at random times against the same points of the bucket, bit for bit.

Independent of the export: rows are never chosen from it. Here the rows become values to look for, the values are
looked up in the points read back, and the verdict is made. Pure functions.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ts_migration.influxdb.blocks import BlockColumn, SeriesBatch
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.validation.batch_hashes import BatchKeys
from ts_migration.validation.hashing import I64, StringHashes, typed, value_bits
from ts_migration.validation.point_values import FramePoints, value_text
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Severity, Stage, Verdict
from ts_migration.windows import iso

if TYPE_CHECKING:
    from ts_migration.validation.readings import Reading


@dataclass(frozen=True, slots=True)
class SampledValue:
    """One value of a sampled row: key (mix(k) of lane 0), typed bits, texts for people, tags of its series, field."""

    key: int
    bits: int
    point: str
    value: str
    tags: dict[str, str] = field(default_factory=dict)
    field: str = ""


@dataclass(frozen=True, slots=True)
class SampledRow:
    """One row of Timestream as the mapping makes a point of it. A row without a value is no point and is left out."""

    time_ns: int
    values: tuple[SampledValue, ...]


def sampled_rows(frame: pl.DataFrame, mapping: Mapping) -> tuple[SampledRow, ...]:
    """Rows of Timestream, in the shape of export frames, as values to look for."""
    points = FramePoints(mapping)
    points.add(frame)
    rows: dict[int, list[SampledValue]] = {}
    times: dict[int, int] = {}
    for value in points.table().iter_rows(named=True):
        named = points.named(value["part"], value["field"], value["row"])
        times[value["row"]] = value["time"]
        source = mapping.fields[value["field"]]
        sampled = SampledValue(value["key"], value["bits"], named.point, named.value, named.tags, source.field)
        rows.setdefault(value["row"], []).append(sampled)
    return tuple(SampledRow(times[row], tuple(rows[row])) for row in sorted(rows))


class SampleLookup:
    """Picks the sample's values out of the points that are read back anyway."""

    def __init__(self, rows: Iterable[SampledRow]) -> None:
        self.found: dict[tuple[int, int], tuple[int, str]] = {}
        """(key, time) -> typed bits and text of the value in the bucket."""
        wanted: dict[int, set[int]] = {}
        for row in rows:
            for value in row.values:
                wanted.setdefault(value.key, set()).add(row.time_ns)
        self._times = {key: np.array(sorted(times), np.int64) for key, times in wanted.items()}
        self._wanted = np.array(sorted(wanted), np.uint64)
        self._strings = StringHashes()

    def look(self, batch: SeriesBatch, keys: BatchKeys | None = None) -> None:
        """Remember the wanted values of a batch; its keys, where they are made already."""
        if not self._times or not len(batch.times):
            return
        own = (keys or BatchKeys.of(batch)).mixed[0]
        starts = np.cumsum(batch.lengths) - batch.lengths
        for index, series in np.argwhere(np.isin(own, self._wanted)).tolist():
            rows = slice(int(starts[series]), int(starts[series] + batch.lengths[series]))
            self._find(int(own[index, series]), batch.times[rows], batch.columns[index].of(rows))

    def _find(self, key: int, times: I64, column: BlockColumn) -> None:
        """Look the wanted times of one series and field up in its points."""
        wanted = self._times[key]
        inside = wanted[(wanted >= times[0]) & (wanted <= times[-1])]
        rows = np.searchsorted(times, inside)
        for row, time in zip(rows.tolist(), inside.tolist(), strict=True):
            if times[row] == time and (column.valid is None or column.valid[row]):
                self.found[key, time] = self._value(column.values[row : row + 1], column.kind)

    def _value(self, values: np.ndarray, kind: FieldType) -> tuple[int, str]:
        if kind is FieldType.STRING:
            bits = typed(self._strings.of(values.tolist(), 1), kind)
        else:
            bits = value_bits(values, kind)
        return int(bits[0]), value_text(values.tolist()[0], kind)


@dataclass(frozen=True, slots=True)
class SampleFault:
    """A sampled value that the bucket does not hold as it is, and its time."""

    value: SampledValue
    time_ns: int


def faults_of(reading: "Reading") -> list[SampleFault]:
    """The sampled values that the bucket does not hold, row by row."""
    return [fault for row in reading.source.sample for fault in _faults(row, reading)]


def _faults(row: SampledRow, reading: "Reading") -> list[SampleFault]:
    found = reading.target.sample
    return [
        SampleFault(value, row.time_ns)
        for value in row.values
        if found.get((value.key, row.time_ns), (None, ""))[0] != value.bits
    ]


def check_sample(reading: "Reading", counted: Verdict) -> Verdict:
    """The share of sampled rows whose values are all in the bucket, bit for bit, against the threshold.

    Values that are missing within the tolerance on counts are left out, as they are for the checksum: else the same
    bucket would pass or fail by whether a missing row was drawn. What is there and differs always counts.

    Args:
        reading: both sides.
        counted: the verdict of record_count, which tells whether a tolerance was used.
    """
    rows, found = reading.source.sample, reading.target.sample
    lines: list[str] = []
    agreeing = tolerated = 0
    may_be_missing = _may_be_missing(reading, counted)
    for row in rows:
        faults = _faults(row, reading)
        tolerated += bool(faults) and all(
            fault.value.field in may_be_missing and (fault.value.key, row.time_ns) not in found for fault in faults
        )
        agreeing += not faults
        lines += [
            f"{value.point} at {iso(row.time_ns)}: Timestream has {value.value}, bucket "
            + (f"has {found[value.key, row.time_ns][1]}" if (value.key, row.time_ns) in found else "has nothing")
            for value in (fault.value for fault in faults)
        ]
    nothing = bool(reading.source.values) and not rows and not reading.source.sample_quarantined
    compared = len(rows) - tolerated
    share = agreeing / compared if compared else 1.0
    passed = share >= reading.sample_threshold and not nothing
    if nothing:
        lines = ["Timestream has rows in the window, but returned none for the sample"]
    if reading.source.sample_quarantined:
        lines.append(f"{reading.source.sample_quarantined:,} sampled rows are in the quarantine and were left out")
    if tolerated:
        lines.insert(0, f"{tolerated:,} sampled rows miss values within record_count_tolerance and were left out")
    return Verdict(
        check=Check.SAMPLE,
        passed=passed,
        severity=Severity.WARN if passed and agreeing < len(rows) else Severity.ERROR,
        expected=f"{len(rows):,} rows asked again of Timestream",
        actual=f"{agreeing:,} of them in the bucket, bit for bit ({share:.2%})",
        difference=f"{len(rows) - agreeing:,} rows" if agreeing < len(rows) else "0",
        tolerance=f"accuracy at least {reading.sample_threshold:.2%}",
        stage=None if agreeing == len(rows) and not nothing else _stage(reading),
        evidence=tuple(lines[:EVIDENCE_ROWS]),
    )


def _may_be_missing(reading: "Reading", counted: Verdict) -> frozenset[str]:
    """Fields of which no more sampled values are missing than record_count has found too few, and tolerates.

    Field by field: a value that is missing in a field whose count is right has been moved, and no count would tell.
    """
    if not counted.passed or counted.severity is not Severity.WARN:
        return frozenset()
    missing = Counter(
        value.field
        for row in reading.source.sample
        for value in row.values
        if (value.key, row.time_ns) not in reading.target.sample
    )
    return frozenset(name for name, count in missing.items() if count <= _too_few(reading, name))


def _too_few(reading: "Reading", name: str) -> int:
    """Values of a field that the counts lack; those that were kept out or refused are not lacking."""
    source, export, target = (
        side.get(name, 0) for side in (reading.source.values, reading.export.values, reading.target.counts)
    )
    kept_out = reading.export.quarantined + reading.export.dropped
    unexported = source - export if source - export > kept_out else 0
    unwritten = export - target if export - target > reading.target.refused else 0
    return max(0, min(source - target, unexported + unwritten))


def _stage(reading: "Reading") -> Stage:
    """Where export and bucket agree, it is the export that is not (or no longer) what Timestream holds."""
    return Stage.EXPORT if reading.export.expected.lanes == reading.target.digest.lanes else Stage.LOAD
