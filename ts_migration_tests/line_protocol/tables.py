"""Any Timestream table, with any options and any rows: strategies of hypothesis. What rows should become is in `told`.

Names and values come from the characters that line protocol gives a meaning, mixed with tame ones so that most tables
get through and every rule is met. A column's name begins with no colon: Timestream allows none in names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from hypothesis import strategies as st

from ts_migration.config import MappingOptions
from ts_migration.line_protocol.rejects import MAX_STRING_BYTES
from ts_migration.timestream.schema import Column, ColumnRole, ColumnType, Measure, TableSchema

VARCHAR, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP = (
    ColumnType.VARCHAR, ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.BOOLEAN, ColumnType.TIMESTAMP
)  # fmt: skip
_POLARS: dict[ColumnType, Any] = {
    VARCHAR: pl.String, BIGINT: pl.Int64, DOUBLE: pl.Float64, BOOLEAN: pl.Boolean, TIMESTAMP: pl.Int64
}  # fmt: skip
NUMBER = "number of the row"
"""Column of the frames that tells where a row went; no table has it."""
_TAKEN = frozenset({NUMBER, "measure_name", "time"})


@dataclass(frozen=True)
class Row:
    """A row's values by column, and whether it is a multi-measure record."""

    values: dict[str, Any]
    multi: bool

    @property
    def name(self) -> str:
        """Its measure_name."""
        return str(self.values["measure_name"])


@dataclass(frozen=True)
class Table:
    """A table, the options of its mapping, and rows.

    Attributes:
        multi: columns of multi-measure records.
        multi_names: measure names of multi-measure records.
        single: types of each single measure.
    """

    dimensions: tuple[str, ...]
    multi: dict[str, ColumnType]
    multi_names: tuple[str, ...]
    single: dict[str, tuple[ColumnType, ...]]
    options: MappingOptions
    measurement: str
    rows: tuple[Row, ...] = ()

    @property
    def value_types(self) -> tuple[ColumnType, ...]:
        """Types that have a column of single measures."""
        return tuple(sorted({kind for kinds in self.single.values() for kind in kinds}))

    @property
    def schema(self) -> TableSchema:
        """As DESCRIBE and SHOW MEASURES tell it."""
        columns = [
            *(Column(name, VARCHAR, ColumnRole.DIMENSION) for name in self.dimensions),
            Column("measure_name", VARCHAR, ColumnRole.MEASURE_NAME),
            Column("time", TIMESTAMP, ColumnRole.TIMESTAMP),
            *(Column(name, kind, ColumnRole.MULTI) for name, kind in self.multi.items()),
            *(Column(value_column(kind), kind, ColumnRole.MEASURE_VALUE) for kind in self.value_types),
        ]
        measures = [
            *(Measure(name, "multi", self.dimensions) for name in self.multi_names),
            *(Measure(name, kind.value, self.dimensions) for name, kinds in self.single.items() for kind in kinds),
        ]
        return TableSchema("db", "t", tuple(columns), tuple(measures))

    @property
    def frame(self) -> pl.DataFrame:
        """The rows as an export holds them, each with its number."""
        types: dict[str, Any] = dict.fromkeys([*self.dimensions, "measure_name"], pl.String)
        types |= {name: _POLARS[kind] for name, kind in self.multi.items()}
        types |= {value_column(kind): _POLARS[kind] for kind in self.value_types}
        types |= {"time_ns": pl.Int64, NUMBER: pl.Int64}
        columns = {
            name: pl.Series(name, [row.values.get(name) for row in self.rows], kind) for name, kind in types.items()
        }
        columns[NUMBER] = pl.Series(NUMBER, range(len(self.rows)), pl.Int64)
        return pl.DataFrame(columns)


def value_column(kind: ColumnType) -> str:
    """The column of single measures of a type."""
    return f"measure_value::{kind}"


_TAME = 'abcXYZ019._-/:,= é"ß😀'
_NASTY = ',= \\"\n\r\t\0#:!~aé😀\x02'
_CURSED = [
    "time", "_time", "_field", "_measurement", "_value", "_start", "_stop", "time_ns", "#", "#!~#", "a#!~#b", "x\\",
    "\\", "a\\\\", "a\\,b", "a\\=b", "a\\ b", 'a\\"b', "a\\b", "\\n", "a::b", '"', '"a"', " ", ",", "=", "\t", "\x02a",
    "*", "^.*$", "^x$", "measure_name", "a\rb", "\ufeffm", "\\\\,", "\\\\=", "\\\\ ",
]  # fmt: skip
_PLAIN_NAMES = (
    "plant",
    "load_mw",
    "cpu",
    "Area",
    "host",
    "temp",
    "x",
    "y",
    "z",
    *(f"n{number}" for number in range(30)),
)

tame = st.text(_TAME, min_size=1, max_size=5)
nasty = st.text(_NASTY, min_size=1, max_size=6) | st.sampled_from(_CURSED)
any_text = st.text(max_size=8) | st.text(_NASTY, max_size=8) | st.text(_TAME, max_size=8)
plain = st.sampled_from(_PLAIN_NAMES)


def _one_in(many: int) -> st.SearchStrategy[bool]:
    """True once in so many draws; hypothesis likes the ends of a range, so the hit lies inside."""
    return st.integers(0, many - 1).map(lambda drawn: drawn == many // 2)


@st.composite
def names(draw: st.DrawFn) -> str:
    """A name that most often can be said."""
    if draw(_one_in(8)):
        return draw(nasty | st.sampled_from(_CURSED) | st.text(min_size=1, max_size=4))
    return draw(plain | tame)


@st.composite
def column_names(draw: st.DrawFn, most: int) -> list[str]:
    """Distinct names of columns."""
    found = draw(st.lists(names(), min_size=2, max_size=most, unique=True))
    return [name for name in found if name not in _TAKEN and name[0] != ":"]


misleading = st.text('\\\\\\ ,="', max_size=8).map(lambda text: text + "z")
dimension_values = st.none() | st.just("") | plain | tame | any_text | nasty | misleading
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.sampled_from(
    [2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63)]
)  # fmt: skip
times = st.integers(0, 3) | st.integers(-5, 10**19 // 5) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [-(2**63), -(2**63) + 1, -(2**63) + 2, 2**63 - 2, 2**63 - 1, 1_700_000_000 * 10**9, -1]
)  # fmt: skip
floats = st.floats() | st.sampled_from([-0.0, 0.0, 5e-324, -2.2250738585072009e-308, 1.7976931348623157e308, 0.1, 1e22])
VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    VARCHAR: any_text | nasty,
    BIGINT: integers,
    DOUBLE: floats,
    BOOLEAN: st.booleans(),
    TIMESTAMP: times,
}
long_texts = st.builds(
    lambda letter, by, tail: letter * ((MAX_STRING_BYTES + by) // len(letter.encode())) + tail,
    st.sampled_from(["x", "é", "😀"]),
    st.integers(-3, 3),
    st.sampled_from(["", "", "\n", '"', "\\"]),
)
long_dimension_values = st.builds(
    lambda letter, size: letter * (size // len(letter.encode())),
    st.sampled_from(["x", "é", " "]),
    st.integers(65_440, 65_540) | st.integers(32_700, 32_770),
)


rewrite_rules: st.SearchStrategy[dict[str, str]] = st.fixed_dictionaries(
    {},
    optional={
        "trailing_backslash": st.just("drop"),
        "newline_in_tag": st.sampled_from(["space", "escape"]),
        "float_not_finite": st.just("drop"),
        "string_too_long": st.just("cut"),
        "integer_not_exact": st.just("round"),
    },
)


@st.composite
def options_of(
    draw: st.DrawFn,
    dimensions: Sequence[str],
    columns: dict[str, tuple[ColumnType, ...]],
    single: dict[str, tuple[ColumnType, ...]],
) -> MappingOptions:
    """Options that name what the table has, most often. `columns` and `single`: multi and single measures, their types."""
    values = [value_column(kind) for kinds in single.values() for kind in kinds]
    known = [*dimensions, *columns, *single, "measure_name", *values]
    renamed = draw(st.lists(st.sampled_from(known), max_size=2, unique=True))
    rename = {name: draw(st.sampled_from(known) if draw(_one_in(8)) else names()) for name in renamed}
    if draw(_one_in(40)):
        rename["no such column"] = "x"
    single_measure = draw(st.sampled_from(["field_per_measure_name", "value_columns"]))
    keyed = single if single_measure == "field_per_measure_name" else {value_column(BIGINT): (BIGINT,)}
    integers_in = [
        name
        for name, kinds in (columns | keyed).items()
        if kinds in [(BIGINT,), (TIMESTAMP,), (BIGINT, DOUBLE), (DOUBLE, BIGINT)] and (name in columns or single)
    ]
    widened = draw(st.lists(st.sampled_from(integers_in), max_size=2)) if integers_in and draw(_one_in(3)) else []
    if draw(_one_in(20)):
        widened += known[:1]
    types = [rename.get(name, name) for name in widened]
    as_fields = dimensions[:1] if dimensions and draw(_one_in(4)) else ()
    return MappingOptions(
        dimensions_as_fields=tuple(as_fields),
        rename=rename,
        single_measure=single_measure,
        keep_measure_name=draw(st.booleans()),
        types=dict.fromkeys(types, "float"),
        timestamp_measures=draw(st.sampled_from(["integer_ns", "rfc3339"])),
    )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of multi-measure records, of single measures or of both, with rows."""
    columns = draw(column_names(6))
    cut = draw(st.integers(0, min(max(len(columns) - 1, 0), 3)))
    dimensions, measures = tuple(columns[:cut]), columns[cut:]
    kind = draw(st.sampled_from(["multi", "multi", "single", "mixed"]))
    multi = {name: draw(st.sampled_from(ColumnType)) for name in measures} if kind != "single" else {}
    multi_names = tuple(draw(st.lists(names(), min_size=1, max_size=2, unique=True))) if multi else ()
    single_names = draw(st.lists(names(), min_size=1, max_size=3, unique=True)) if kind != "multi" else []
    kinds = st.lists(st.sampled_from(ColumnType), min_size=1, max_size=2, unique=True).map(tuple)
    single = {name: draw(kinds) for name in single_names}
    options = draw(options_of(dimensions, {name: (each,) for name, each in multi.items()}, single))
    table = Table(dimensions, multi, multi_names, single, options, draw(names()))
    choices = [*((name, None) for name in multi_names), *((name, each) for name in single for each in single[name])]
    rows = [
        _row(draw, table, *draw(st.sampled_from(choices)))
        for _ in range(draw(st.integers(1, 6)) if choices and not draw(_one_in(20)) else 0)
    ]
    return replace(table, rows=tuple(rows))


def _row(draw: st.DrawFn, table: Table, name: str, kind: ColumnType | None) -> Row:
    """A multi-measure row, or a single-measure row of a type."""
    row: dict[str, Any] = {dimension: draw(dimension_values) for dimension in table.dimensions}
    columns = table.multi if kind is None else {value_column(kind): kind}
    row |= {column: draw(st.none() | VALUES[each]) for column, each in columns.items()}
    return Row(row | {"measure_name": name, "time_ns": draw(times)}, kind is None)


@st.composite
def long_tables(draw: st.DrawFn) -> Table:
    """Rows at the server's limits of a string and of a key, beside ordinary ones."""
    long_key = "k" * draw(st.sampled_from([1, 200, 32_000]))
    multi = {"text": VARCHAR, "count": BIGINT, long_key: DOUBLE}
    rows = [
        Row(
            {
                "a": draw(st.just("x") | long_dimension_values),
                "b": draw(st.none() | st.just("y, z") | long_dimension_values),
                "measure_name": "m",
                "text": draw(st.none() | st.just("ordinary\n") | long_texts),
                "count": draw(st.none() | st.just(1)),
                long_key: draw(st.none() | st.just(1.5)),
                "time_ns": number,
            },
            multi=True,
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    return Table(("a", "b"), multi, ("m",), {}, MappingOptions(), "limits", tuple(rows))


_FAULTY: dict[ColumnType, st.SearchStrategy[Any]] = {
    VARCHAR: st.sampled_from(["ok", "", "x" * (MAX_STRING_BYTES + 1), 'l\n"\\']),
    BIGINT: st.sampled_from([1, 2**53 + 1, 2**63 - 1, 2**63 - 513, -(2**63), -(2**53) - 1]),
    DOUBLE: st.sampled_from([1.5, -0.0, math.nan, math.inf, -math.inf]),
    BOOLEAN: st.booleans(),
    TIMESTAMP: st.sampled_from([0, 2**53 + 1, -1]),
}
_faulty_tags = st.sampled_from([None, None, "a", "a", "a", "b\\", "b\n", "\n\\", "\\", "a\\ b", "\\,c", "a#!~#\\", " "])


@st.composite
def faulty_tables(draw: st.DrawFn) -> Table:
    """Tables of tame names whose rows often cannot be said: of multi-measure records and single measures side by side.

    Single measures share their types' columns, and only some of them are widened.
    """
    multi = {"m_int": BIGINT, "m_at": TIMESTAMP, "m_float": DOUBLE, "m_text": VARCHAR}
    single: dict[str, tuple[ColumnType, ...]] = {
        "wide": (BIGINT,),
        "exact": (BIGINT,),
        "both": (BIGINT, DOUBLE),
        "text": (VARCHAR, DOUBLE),
        "on": (BOOLEAN,),
    }
    widened = draw(st.sets(st.sampled_from(["m_int", "m_at", "wide", "both"])))
    options = MappingOptions(types=dict.fromkeys(sorted(widened), "float"), keep_measure_name=draw(st.booleans()))
    table = Table(("d", "e"), multi, ("many",), single, options, "faulty")
    choices = [("many", None), *((name, kind) for name, kinds in single.items() for kind in kinds)]
    rows = []
    for number in range(draw(st.integers(3, 8))):
        name, kind = draw(st.sampled_from(choices))
        columns = table.multi if kind is None else {value_column(kind): kind}
        values: dict[str, Any] = {column: draw(st.none() | _FAULTY[each]) for column, each in columns.items()}
        values |= {"d": draw(_faulty_tags), "e": draw(_faulty_tags), "measure_name": name, "time_ns": number}
        rows.append(Row(values, kind is None))
    return replace(table, rows=tuple(rows))
