"""Named rules that change what line protocol cannot say exactly, for rows that would otherwise be quarantined.

Off unless the job's `mapping.rewrite` names them; a row that can be said as it is is never touched. Pure: frames in,
frames and counts out. Their names are in `rules`; the tag rules as SQL, for the look at
collisions, are in `timestream.series`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import polars as pl

from ts_migration.columns import named, series_of
from ts_migration.line_protocol.accepted_rows import Sayable
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.line_protocol.rejects import MAX_STRING_BYTES, Reason, Rejects
from ts_migration.line_protocol.rules import (
    FLOAT_NOT_FINITE,
    INTEGER_NOT_EXACT,
    NEWLINE,
    NEWLINE_IN_TAG,
    STRING_TOO_LONG,
    TAG_RULES,
    TRAILING_BACKSLASH,
    Rules,
)
from ts_migration.line_protocol.series import MEASURE_NAME

RULE_OF = {
    Reason.TAG_ENDS_IN_BACKSLASH: TRAILING_BACKSLASH,
    Reason.TAG_HOLDS_LINE_FEED: NEWLINE_IN_TAG,
    Reason.FLOAT_NOT_FINITE: FLOAT_NOT_FINITE,
    Reason.STRING_TOO_LONG: STRING_TOO_LONG,
    Reason.INTEGER_NOT_EXACT: INTEGER_NOT_EXACT,
}
"""Reason of a quarantine -> the rule that would end it; there is none for the others."""

_LARGEST_EXACT = 2**63 - 1024
"""The largest float64 that is an int64, too."""


Form = TypeVar("Form", bound=Sayable, covariant=True)


@dataclass(frozen=True)
class Said(Generic[Form]):
    """A batch of rows that can be said, with those that rules made sayable.

    Attributes:
        batches: in their form: the rows as they are, and, where there are any, the rewritten ones. A row is in one.
        rejects: the rows that cannot be said all the same, as they came from the source.
        rewritten: rule -> rows that are written as it says; a row that two rules change counts for both.
    """

    batches: tuple[Form, ...]
    rejects: Rejects
    rewritten: dict[str, int]

    @property
    def accepted(self) -> pl.DataFrame:
        """The rows that were written or are empty, as the bucket is to hold them."""
        return pl.concat([batch.accepted for batch in self.batches])


def say(
    frame: pl.DataFrame, mapping: Mapping, rules: Rules, form: Callable[[pl.DataFrame, Mapping], Form]
) -> Said[Form]:
    """Bring rows into a form; those that cannot be said are tried once more as the rules rewrite them.

    Raises:
        Permanent: as of `accept`.
    """
    first = form(frame, mapping)
    if not len(first.rejects) or not rules:
        return Said((first,), first.rejects, {})
    changed = rewritten(first.rejects.rows, mapping, rules).with_row_index(_POSITION)
    second = form(changed, mapping)
    written = second.accepted[_POSITION]
    left = pl.Series(range(len(changed)), dtype=written.dtype).is_in(written.implode()).not_()
    before = first.rejects
    rejects = Rejects(before.rows.filter(left), second.rejects.reasons, second.rejects.columns)
    counts = _changed(before.rows.filter(~left), mapping, rules)
    clean = replace(
        second,
        accepted=second.accepted.drop(_POSITION),
        rejects=Rejects(second.rejects.rows.drop(_POSITION), second.rejects.reasons, second.rejects.columns),
    )
    return Said((first, clean), rejects, counts)


def _changed(rows: pl.DataFrame, mapping: Mapping, rules: Rules) -> dict[str, int]:
    """Rule -> rows that it changes. A row that two rules change counts for both."""
    counts: dict[str, int] = {}
    for rule, choice in sorted(rules.items()):
        after = rewritten(rows, mapping, {rule: choice})
        changed = [series_of(after, name).ne_missing(series_of(rows, name)) for name in rows.columns]
        if count := int(pl.select(pl.any_horizontal(*changed).sum()).item()):
            counts[rule] = count
    return counts


_POSITION = ":position"


def rewritten(frame: pl.DataFrame, mapping: Mapping, rules: Rules) -> pl.DataFrame:
    """The frame as the rules change it. Values that can be said stay as they are."""
    # Not measure_name: what a row measures is looked up by it.
    columns = [tag.column for tag in mapping.tags if tag.column != MEASURE_NAME]
    tags = {column: _tag(column, rules) for column in columns} if TAG_RULES & rules.keys() else {}
    return frame.with_columns(tags.values()).with_columns(_fields(frame, mapping, rules).values())


def _tag(column: str, rules: Rules) -> pl.Expr:
    value = named(column)
    if NEWLINE_IN_TAG in rules:
        value = value.str.replace_all("\n", NEWLINE[rules[NEWLINE_IN_TAG]], literal=True)
    if TRAILING_BACKSLASH in rules:
        value = value.str.strip_chars_end("\\")
    return value


def _fields(frame: pl.DataFrame, mapping: Mapping, rules: Rules) -> dict[str, pl.Expr]:
    changed: dict[str, pl.Expr] = {}
    for field in mapping.fields:
        column = named(field.column)
        if field.type is FieldType.STRING and not field.rfc3339 and STRING_TOO_LONG in rules:
            changed[field.column] = column.map_elements(_cut, pl.String)
        elif field.type is FieldType.FLOAT and frame.schema[field.column] == pl.Int64:
            if INTEGER_NOT_EXACT in rules:
                nearest = column.clip(upper_bound=_LARGEST_EXACT).cast(pl.Float64).cast(pl.Int64)
                changed[field.column] = pl.when(_only_widened(field.column, mapping)).then(nearest).otherwise(column)
        elif field.type is FieldType.FLOAT and FLOAT_NOT_FINITE in rules:
            changed[field.column] = pl.when(column.is_finite()).then(column)
    return changed


def _only_widened(column: str, mapping: Mapping) -> pl.Expr:
    """Test of rows in which no field takes an integer as it is: there it stays exact."""
    exact = [field for field in mapping.fields if field.column == column and field.type is not FieldType.FLOAT]
    if any(field.measure_names is None for field in exact):
        return pl.lit(False)
    names = sorted({name for field in exact for name in field.measure_names or ()})
    return pl.col(MEASURE_NAME).is_in(names).not_() if names else pl.lit(True)


def _cut(text: str) -> str:
    """The longest beginning of a text that a string field takes, cut between characters."""
    return text.encode()[:MAX_STRING_BYTES].decode("utf-8", "ignore")
