"""The distinct series of a batch of rows: their escaped heads, order, field keys and what cannot be said of them.

Tags repeat in telemetry, so all work on their text (escaping, limits, reserved characters) is done once per distinct
combination and joined back to the rows. The rows' values are in `encoder`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ts_migration.columns import named
from ts_migration.errors import Permanent
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.names import KEY_SEPARATOR, escaped_key, escaped_measurement
from ts_migration.line_protocol.rejects import MAX_KEY_BYTES, Reason

MEASURE_NAME = "measure_name"

# Columns that the series frame adds start with a colon: no name in Timestream may hold one but measure_value::<type>.
RANK = ":rank"
HEAD = ":head"
REASON = ":reason"
REASON_COLUMN = ":column"

_EARLY_SPACE = r"[^\\](?:\\\\)+ "
"""A backslash before a space reads back as it is (seen on real servers), but the server's line cutter takes the two
backslashes of its spelling for a pair and the space for the end of the tags: see `_miscounted`."""
_CUT_BY = re.compile(r'\\.|[ ,="]', re.DOTALL)

_RESERVED_BYTES = 4
"""Bytes that the server adds between series key and field key."""


@dataclass(frozen=True)
class Lane:
    """Fields that one column is written to, all of one type: one field for every row, or one per measure_name."""

    column: str
    type: FieldType
    rfc3339: bool
    sources: tuple[FieldSource, ...]
    gated: bool

    @property
    def key(self) -> str:
        """Column of the series frame that holds a comma and the `lane_key`, NULL where the lane does not speak."""
        return f":key {self.type} {self.rfc3339} {self.column}"

    @property
    def field(self) -> str:
        """Column of the series frame that holds the position in `sources`."""
        return f":field {self.type} {self.rfc3339} {self.column}"


def lane_key(source: FieldSource) -> str:
    """What stands before a field's value: escaped key, equals sign, and the quote that opens a string."""
    return escaped_key(source.field) + ('="' if source.type is FieldType.STRING else "=")


def lanes(mapping: Mapping) -> tuple[Lane, ...]:
    """The mapping's fields, those of one column and type together, in the order of their first field key."""
    known = set(mapping.measure_names)
    result: list[Lane] = []
    grouped: dict[tuple[str, FieldType, bool], list[FieldSource]] = {}
    for source in mapping.fields:
        if source.measure_names is None or known <= set(source.measure_names):
            result.append(Lane(source.column, source.type, source.rfc3339, (source,), gated=False))
        else:
            grouped.setdefault((source.column, source.type, source.rfc3339), []).append(source)
    result += [Lane(*kind, tuple(sources), gated=True) for kind, sources in grouped.items()]
    return tuple(sorted(result, key=lambda lane: (lane.sources[0].field, lane.column)))


def identity(mapping: Mapping) -> list[str]:
    """Columns that the series of a row depends on: those of its tags, and measure_name, always looked at for drift."""
    return list(dict.fromkeys([*(tag.column for tag in mapping.tags), MEASURE_NAME]))


def distinct_series(frame: pl.DataFrame, mapping: Mapping, all_lanes: Sequence[Lane]) -> pl.DataFrame:
    """One row per distinct combination of the identity columns, sorted by series.

    Adds RANK (order of the series, by the bytes of the head), HEAD (measurement, tags and the space before the fields),
    REASON and REASON_COLUMN (NULL where the series can be said), and each gated lane's key and field.

    Raises:
        Permanent: a measure_name is not the mapping's: the source has drifted.
    """
    series = frame.select(named(name) for name in identity(mapping)).unique(maintain_order=True)
    check_measure_names(series, mapping)
    rare = _rare_characters(series, mapping)
    tags = [_tag(tag, mapping, tag.column in rare.special) for tag in mapping.tags]
    head = [pl.lit(escaped_measurement(mapping.measurement)), *tags, pl.lit(" ")]
    series = series.with_columns(pl.concat_str(head, ignore_nulls=True).alias(HEAD))
    reason, column = _reason(series, mapping, rare.doubtful)
    series = series.with_columns(reason.alias(REASON), column.alias(REASON_COLUMN))
    gated = [lane for lane in all_lanes if lane.gated]
    if gated:
        series = series.with_columns(expression for lane in gated for expression in _lane_columns(lane))
    # Not the row's number: NULL and empty dimensions, or measure names that are no tag, share one series.
    return series.sort(HEAD).with_columns(pl.col(HEAD).rle_id().alias(RANK))


def check_measure_names(series: pl.DataFrame, mapping: Mapping) -> None:
    """Refuse rows of a measure_name that the mapping does not know."""
    names = series[MEASURE_NAME].unique()
    unknown = names.filter(~names.is_in(list(mapping.measure_names)).fill_null(False)).to_list()
    if unknown:
        raise drift(f"the export holds rows of the measure_name {', '.join(map(repr, unknown[:5]))}")


def drift(what: str) -> Permanent:
    """The source has changed since its mapping was frozen."""
    return Permanent(
        f"{what}, which the table's frozen mapping does not know",
        next_step="run `ts-migration reset JOB` to resolve the job's mapping anew; windows already loaded are redone",
    )


def _applies(tag: TagSource, mapping: Mapping) -> pl.Expr | None:
    """Condition that a tag is limited to, or None."""
    if tag.measure_names is None or set(mapping.measure_names) <= set(tag.measure_names):
        return None
    return pl.col(MEASURE_NAME).is_in(list(tag.measure_names))


@dataclass(frozen=True)
class _Rare:
    """Columns that hold characters to be escaped, and columns that hold any that may not be sayable at all."""

    special: frozenset[str]
    doubtful: frozenset[str]


def _rare_characters(series: pl.DataFrame, mapping: Mapping) -> _Rare:
    """One look at each tag column, so that clean ones, which most are, are neither escaped nor tested further."""
    columns = [tag.column for tag in mapping.tags]
    patterns = {"special": "[,= ]", "doubtful": rf"[\\\n]|{KEY_SEPARATOR}"}
    found = series.select(
        named(column).str.contains(pattern).any().alias(f"{kind} {column}")
        for column in columns
        for kind, pattern in patterns.items()
    )
    result = {kind: frozenset(c for c in columns if found[f"{kind} {c}"].item()) for kind in patterns}
    return _Rare(result["special"], result["doubtful"])


def _tag(tag: TagSource, mapping: Mapping, special: bool) -> pl.Expr:
    """`,key=value`, NULL where the row has no such tag: a NULL or empty value makes none."""
    value = named(tag.column)
    for character in (",", "=", " ") if special else ():
        value = value.str.replace_all(character, "\\" + character, literal=True)
    text = pl.concat_str(pl.lit(f",{escaped_key(tag.tag)}="), value)
    present = named(tag.column) != ""
    condition = _applies(tag, mapping)
    return pl.when(present if condition is None else present & condition).then(text)


def _reason(series: pl.DataFrame, mapping: Mapping, doubtful: frozenset[str]) -> tuple[pl.Expr, pl.Expr]:
    """Why a series cannot be said, and the column it was found in; the first reason in the order of the tags."""
    tests: list[tuple[Reason, str, pl.Expr]] = []
    for tag in mapping.tags:
        if tag.column not in doubtful:
            continue
        value, condition = named(tag.column), _applies(tag, mapping)
        faults = {
            Reason.TAG_HOLDS_LINE_FEED: value.str.contains("\n", literal=True),
            Reason.TAG_ENDS_IN_BACKSLASH: value.str.ends_with("\\"),
            Reason.TAG_HOLDS_SEPARATOR: value.str.contains(KEY_SEPARATOR, literal=True),
        }
        tests += [
            (reason, tag.column, test if condition is None else test & condition) for reason, test in faults.items()
        ]
    if doubtful:
        suspects = series.filter(pl.col(HEAD).str.contains(_EARLY_SPACE))[HEAD].unique()
        misread = [head for head in suspects if _miscounted(head)]
        tests.append((Reason.TAGS_MISREAD, "", pl.col(HEAD).is_in(misread)))
    if not tests:
        return pl.lit(None, pl.String), pl.lit(None, pl.String)
    reasons = [pl.when(test).then(pl.lit(reason.value)) for reason, _, test in tests]
    columns = [pl.when(test).then(pl.lit(column)) for _, column, test in tests]
    return pl.coalesce(reasons), pl.coalesce(columns)


def long_keys(series: pl.DataFrame, all_lanes: Sequence[Lane]) -> pl.Expr | None:
    """Test of rows for a field with which the series key is longer than the server takes; None where no key comes near.

    Of rows and not of series: one that lacks the field with the long key can be said.
    """
    # HEAD ends in one space that is not part of the key.
    around = _RESERVED_BYTES - 1
    longest_head = series[HEAD].str.len_bytes().max()
    longest_key = max(_key_bytes(source) for lane in all_lanes for source in lane.sources)
    if not isinstance(longest_head, int) or longest_head + around + longest_key <= MAX_KEY_BYTES:
        return None
    head = pl.col(HEAD).str.len_bytes().cast(pl.Int64) + around
    tests = []
    for lane in all_lanes:
        if lane.gated:
            closing = len(lane_key(lane.sources[0]).encode()) - _key_bytes(lane.sources[0])
            key = pl.col(lane.key).str.len_bytes().cast(pl.Int64) - len(",") - closing
        else:
            key = pl.lit(_key_bytes(lane.sources[0]))
        tests.append(named(lane.column).is_not_null() & (head + key > MAX_KEY_BYTES))
    return pl.any_horizontal(tests)


def _key_bytes(source: FieldSource) -> int:
    return len(escaped_key(source.field).encode())


def _miscounted(head: str) -> bool:
    """Whether the server's line cutter has lost count at the end of a head.

    From the first space that it takes for the end of the tags it counts commas and equals signs to know where strings
    begin. One that stands behind a pair of backslashes spoils the count, and then a line feed inside a string cuts the
    line. Source: scanLine in influxdb 2.x models/points.go.
    """
    in_fields = quoted = False
    equals = commas = 0
    for character in _CUT_BY.findall(head):
        if character == " ":
            in_fields = True
        elif not in_fields:
            continue
        elif character == '"':
            quoted ^= equals > commas
        elif not quoted:
            equals += character == "="
            commas += character == ","
    return quoted or equals != commas


def _lane_columns(lane: Lane) -> tuple[pl.Expr, pl.Expr]:
    names: list[str] = []
    keys: list[str] = []
    positions: list[int] = []
    for position, source in enumerate(lane.sources):
        for name in source.measure_names or ():
            names.append(name)
            keys.append(f",{lane_key(source)}")
            positions.append(position)
    measure = pl.col(MEASURE_NAME)
    return (
        measure.replace_strict(names, keys, default=None, return_dtype=pl.String).alias(lane.key),
        measure.replace_strict(names, positions, default=None, return_dtype=pl.UInt32).alias(lane.field),
    )
