"""Two answers to one question compared: columns by name, rows by what they are about, floats with a tolerance. Pure.

An empty text and null count as one, and carriage returns as nothing: Flux's annotated CSV cannot tell them. How often
and how fast systems were asked is in `query_verdicts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from ts_migration.columns import named
from ts_migration.windows import iso

EXAMPLES = 3
"""Rows of each kind of difference that are shown."""
_OTHER_NAMES = {"time": "_time"}
"""Columns that the systems name differently by themselves."""
_BESIDE = frozenset({"_start", "_stop", "_time", "_measurement", "_field", "time"})
"""Columns that InfluxDB adds unasked; looked at only where Timestream's answer has a column for them."""
_SOURCE, _TARGET = "\0source:", "\0target:"
_SCALE = "\0scale"
_ROW, _HERE, _THERE = "\0row", "\0here", "\0there"
"""Names of working columns, which no answer can have."""
_NUMBERS = ("integer", "float")


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """What makes two answers alike.

    Attributes:
        columns: column of Timestream's answer -> that of InfluxDB's, where the names differ.
        ordered: whether rows must come in the same order.
        relative, absolute: by how much floats may differ; the larger of the two counts.
        scale: column of Timestream's answer that is not compared and says how large the numbers were that a float was
            made of. `relative` is then a share of it too: a mean of numbers that cancel out keeps their rounding.
        trusted: whether InfluxDB's text is known to ask the right thing, so that an empty answer lacks rows. Of another
            text an empty answer says no more than that it may be wrong.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False
    relative: float = 0.0
    absolute: float = 0.0
    scale: str | None = None
    trusted: bool = False

    @property
    def tolerance(self) -> str:
        """What floats may differ by, as text."""
        parts = [f"{self.relative:g} of the larger float"] if self.relative else []
        return " or ".join([*parts, *([f"{self.absolute:g}"] if self.absolute else [])]) or "0"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of two answers.

    Attributes:
        source_rows, target_rows: of Timestream and InfluxDB.
        missing: rows that only Timestream answered.
        extra: rows that only InfluxDB answered.
        different: rows of both whose numbers differ.
        problems: why rows could not be compared, a line each.
        examples: lines that show rows that differ, with both values.
    """

    source_rows: int
    target_rows: int
    missing: int = 0
    extra: int = 0
    different: int = 0
    problems: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both systems gave the same answer, and one that says anything."""
        return bool(self.source_rows and self.target_rows) and not (
            self.missing or self.extra or self.different or self.problems
        )

    @property
    def summary(self) -> str:
        """What was found, in a line."""
        if self.problems:
            return "; ".join(self.problems)
        if self.same:
            return f"{_rows(self.source_rows)}, the same in both"
        counts = {"only in Timestream": self.missing, "only in InfluxDB": self.extra, "different": self.different}
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        return f"{_rows(self.source_rows)} in Timestream, {self.target_rows:,} in InfluxDB: {told}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def compare_answers(source: pl.DataFrame, target: pl.DataFrame, rules: AnswerRules) -> Comparison:
    """Compare Timestream's answer with InfluxDB's.

    Without an order, a row is looked up by its texts, times and booleans; its numbers are what is compared. Where
    several rows have the same texts and times, they are compared in the order of their numbers.

    Args:
        source: Timestream's answer.
        target: InfluxDB's.
        rules: see there.
    """
    if rules.trusted and len(source) and not len(target):
        return Comparison(len(source), 0, missing=len(source))
    compared = source.drop(rules.scale) if rules.scale else source
    pairs, problems = _paired(compared, target, rules.columns)
    counts = (len(source), len(target))
    empty = [name for name, count in zip(("Timestream", "InfluxDB"), counts, strict=True) if not count]
    if empty:
        problems.append(f"{' and '.join(empty)} answered no row, which proves nothing")
    kinds, unlike = _kinds(source, target, pairs)
    problems += unlike
    if problems:
        return Comparison(*counts, problems=tuple(problems))
    one = _canonical(source, {mine: mine for mine in pairs}, kinds, rules.scale)
    other = _canonical(target, pairs, kinds, None)
    keys = [] if rules.ordered else [name for name in pairs if kinds[name] not in _NUMBERS]
    values = [name for name in pairs if name not in keys]
    joined = _numbered(one, keys, values, rules.ordered, _SOURCE, _HERE).join(
        _numbered(other, keys, values, rules.ordered, _TARGET, _THERE),
        on=[*(named(name) for name in keys), pl.col(_ROW)],
        how="full",
        coalesce=True,
        nulls_equal=True,
        maintain_order="left_right",
    )
    differs = pl.any_horizontal([_differs(name, kinds[name], rules) for name in values] or [pl.lit(False)])
    both = joined.filter(pl.col(_HERE) & pl.col(_THERE))
    different = both.filter(differs)
    missing, extra = joined.filter(pl.col(_THERE).is_null()), joined.filter(pl.col(_HERE).is_null())
    examples = [
        *_shown_different(different, keys, values, kinds, rules),
        *(f"only in Timestream: {text}" for text in _shown(missing, keys, values, kinds, _SOURCE)),
        *(f"only in InfluxDB: {text}" for text in _shown(extra, keys, values, kinds, _TARGET)),
    ]
    return Comparison(*counts, len(missing), len(extra), len(different), (), tuple(examples))


def _paired(source: pl.DataFrame, target: pl.DataFrame, columns: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Column of Timestream's answer -> that of InfluxDB's, and a line for every column without a counterpart.

    A column that is null in every row needs none: InfluxDB has no column for a tag or field without a value.
    """
    pairs, problems = {}, []
    for name in columns:
        if name not in source.columns and len(source):
            problems.append(f"`columns` names {name!r}, which Timestream's answer has not")
    for name in source.columns:
        theirs = columns.get(name) or (name if name in target.columns else _OTHER_NAMES.get(name, name))
        if theirs in target.columns:
            pairs[name] = theirs
        elif len(target) and source[name].null_count() < len(source):
            problems.append(f"InfluxDB's answer has no column {theirs!r} (it has {_names(target)})")
    taken = set(pairs.values())
    for name in target.columns:
        needed = name not in taken and name not in _BESIDE and target[name].null_count() < len(target)
        if needed and len(source) and not _is_blank(target[name]):
            problems.append(f"Timestream's answer has no column {name!r} (it has {_names(source)})")
    return pairs, problems


def _is_blank(column: pl.Series) -> bool:
    return column.dtype == pl.String and bool((column.fill_null("") == "").all())


def _names(frame: pl.DataFrame) -> str:
    return ", ".join(map(repr, frame.columns))


def _kinds(source: pl.DataFrame, target: pl.DataFrame, pairs: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Kind of each pair of columns, and a line for each pair that has two. Integers go with floats, as floats."""
    kinds, problems = {}, []
    for mine, theirs in pairs.items():
        there = {_kind(source.schema[mine]), _kind(target.schema[theirs])} - {"nothing"}
        if len(there) == 2 and there <= set(_NUMBERS):
            there = {"float"}
        if len(there) > 1:
            one, other = _kind(source.schema[mine]), _kind(target.schema[theirs])
            problems.append(f"column {mine!r} is {one} in Timestream and {other} in InfluxDB")
        kinds[mine] = next(iter(there), "text")
    return kinds, problems


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Null:
        return "nothing"
    return "time" if dtype.is_temporal() else "text"


_DTYPES = {"integer": pl.Int64, "float": pl.Float64, "boolean": pl.Boolean, "time": pl.Int64, "text": pl.String}


def _canonical(
    frame: pl.DataFrame, columns: Mapping[str, str], kinds: Mapping[str, str], scale: str | None
) -> pl.DataFrame:
    """The compared columns under Timestream's names, in one type a kind, times as ns; and the scale, 0 without one."""
    size = named(scale).cast(pl.Float64) if scale else pl.lit(0.0)
    return frame.select(
        *(_column(theirs, kinds[mine]).alias(mine) for mine, theirs in columns.items()), size.alias(_SCALE)
    )


def _column(name: str, kind: str) -> pl.Expr:
    if kind == "text":
        text = named(name).cast(pl.String).str.replace_all("\r", "", literal=True)
        return pl.when(text != "").then(text)
    if kind == "time":
        return named(name).to_physical().cast(pl.Int64)
    return named(name).cast(_DTYPES[kind], strict=False)


def _numbered(
    frame: pl.DataFrame, keys: list[str], values: list[str], ordered: bool, side: str, there: str
) -> pl.DataFrame:
    """The frame with its values named by their side, and each row with its number among those of its key."""
    if not ordered and values:
        frame = frame.sort([named(name) for name in values], nulls_last=True, maintain_order=True)
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    looked_up = [named(name) for name in keys]
    return frame.select(
        *looked_up,
        (number.over(looked_up) if keys else number).alias(_ROW),
        *(named(name).alias(side + name) for name in (*values, _SCALE)),
        pl.lit(True).alias(there),
    )


def _differs(name: str, kind: str, rules: AnswerRules) -> pl.Expr:
    one, other = pl.col(_SOURCE + name), pl.col(_TARGET + name)
    if kind != "float":
        return one.ne_missing(other)
    size = pl.max_horizontal(one.abs(), other.abs(), pl.col(_SOURCE + _SCALE))
    allowed = pl.max_horizontal(pl.lit(rules.absolute), rules.relative * size)
    both_finite = one.is_finite() & other.is_finite()
    near = both_finite.fill_null(False) & ((one - other).abs() <= allowed).fill_null(False)
    return ~(near | one.eq_missing(other))


def _shown(rows: pl.DataFrame, keys: list[str], values: list[str], kinds: Mapping[str, str], side: str) -> list[str]:
    named = {**{name: name for name in keys}, **{name: side + name for name in values}}
    return [
        ", ".join(f"{name} {_said(row[column], kinds[name])}" for name, column in named.items())
        for row in rows.head(EXAMPLES).iter_rows(named=True)
    ]


def _shown_different(
    rows: pl.DataFrame, keys: list[str], values: list[str], kinds: Mapping[str, str], rules: AnswerRules
) -> list[str]:
    unequal = rows.head(EXAMPLES).with_columns(_differs(name, kinds[name], rules).alias(f"{name}\0") for name in values)
    lines = []
    for row in unequal.iter_rows(named=True):
        about = ", ".join(f"{name} {_said(row[name], kinds[name])}" for name in keys) or f"row {row[_ROW] + 1:,}"
        told = "; ".join(
            f"{name} is {_said(row[_SOURCE + name], kinds[name])} in Timestream "
            f"and {_said(row[_TARGET + name], kinds[name])} in InfluxDB"
            for name in values
            if row[f"{name}\0"]
        )
        lines.append(f"{about}: {told}")
    return lines


def _said(value: object, kind: str) -> str:
    if value is None:
        return "null"
    return iso(value) if kind == "time" and isinstance(value, int) else repr(value)
