"""The digest's laws: vectorised equals scalar, order and portions do not matter, every mutation changes both lanes."""

import json
import math
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import BlockColumn
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.validation.digest import PointDigest, coverage_from_bytes
from ts_migration.validation.frame_values import rfc3339
from ts_migration.windows import iso
from ts_migration_tests.validation import reference
from ts_migration_tests.validation.reference import Value

START, END = 1_672_531_200_000_000_000, 1_675_209_600_000_000_000

MAPPING = Mapping(
    measurement="balance",
    tags=(TagSource("measure_name", "measure_name"), TagSource("plant", "plant"), TagSource("region", "region")),
    fields=(
        FieldSource("load", "load", FieldType.FLOAT),
        FieldSource("note", "note", FieldType.STRING),
        FieldSource("on", "on", FieldType.BOOLEAN),
        FieldSource("units", "units", FieldType.INTEGER),
        FieldSource("units_wide", "units_wide", FieldType.FLOAT),
        FieldSource("at", "at", FieldType.STRING, rfc3339=True),
    ),
    measure_names=("metrics",),
    dimensions=("plant", "region"),
    injective=True,
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
int64s = st.integers(-(2**63), 2**63 - 1)
rows = st.fixed_dictionaries(
    {
        "plant": st.none() | texts,
        "region": st.sampled_from(["N", "NE", "SE/CO", "", None]),
        "measure_name": st.just("metrics"),
        "time_ns": st.integers(START, END - 1),
        "load": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "note": st.none() | texts,
        "on": st.none() | st.booleans(),
        "units": st.none() | int64s,
        "units_wide": st.none() | st.integers(-(2**53), 2**53),
        "at": st.none() | st.integers(0, 2**63 - 1),
    }
)
SCHEMA = {
    "plant": pl.String, "region": pl.String, "measure_name": pl.String, "time_ns": pl.Int64, "load": pl.Float64, "note": pl.String,
    "on": pl.Boolean, "units": pl.Int64, "units_wide": pl.Int64, "at": pl.Int64,
}  # fmt: skip


def values_of_row(row: dict, mapping: Mapping = MAPPING) -> list[Value]:
    tags = tuple((tag.tag, row[tag.column]) for tag in mapping.tags if row[tag.column])
    found = []
    for source in mapping.fields:
        value = row[source.column]
        if value is None or (source.measure_names is not None and row["measure_name"] not in source.measure_names):
            continue
        if source.type is FieldType.FLOAT:
            value = float(value)
        elif source.rfc3339:
            value = iso(value)
        found.append(Value(mapping.measurement, tags, source.field, row["time_ns"], source.type.value, value))
    return found


def frame_of(found: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(found, schema=SCHEMA)


def digest_of_frames(*frames: pl.DataFrame, mapping: Mapping = MAPPING) -> PointDigest:
    digest = PointDigest(START, END)
    for frame in frames:
        digest.add_frame(frame, mapping)
    return digest


def digest_of_values(values: list[Value]) -> PointDigest:
    """As a bucket gives them back: series by series, a column per field, holes where a point lacks a field."""
    digest = PointDigest(START, END)
    for series, of_series in groupby(sorted(values, key=lambda v: v.tags), key=lambda v: v.tags):
        points = list(of_series)
        times = np.array(sorted({value.time_ns for value in points}), np.int64)
        columns = []
        for (field, kind), of_field in groupby(
            sorted(points, key=lambda v: (v.field, v.kind)), key=lambda v: (v.field, v.kind)
        ):
            dtype = {"float": np.float64, "integer": np.int64, "boolean": np.bool_, "string": object}[kind]
            array, valid = np.zeros(len(times), dtype), np.zeros(len(times), np.bool_)
            for value in of_field:
                where = int(np.searchsorted(times, value.time_ns))
                array[where], valid[where] = value.value, True
            columns.append(BlockColumn(field, FieldType(kind), array, None if valid.all() else valid))
        digest.add_block("balance", dict(series), times, columns)
    return digest


def unique_points(found: list[dict]) -> list[dict]:
    return list({(row["plant"] or "", row["region"] or "", row["time_ns"]): row for row in found}.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=25))
def test_the_vectorised_digest_equals_the_scalar_reference(found: list[dict]) -> None:
    values = [value for row in found for value in values_of_row(row)]
    record = digest_of_frames(frame_of(found)).record()
    assert record.lanes == reference.lanes(values)
    assert record.values == len(values)
    assert record.counts == {f: sum(v.field == f for v in values) for f in {v.field for v in values}}
    assert (record.first_ns, record.last_ns) == (
        (min(v.time_ns for v in values), max(v.time_ns for v in values)) if values else (None, None)
    )
    for index in range(64):
        inside = [value for value in values if reference.time_bin(value, START, END) == index]
        assert record.bin_lanes[index] == reference.lanes(inside)
        assert record.bin_values[index] == len(inside)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, max_size=25))
def test_what_a_bucket_gives_back_has_the_digest_and_coverage_of_the_export(found: list[dict]) -> None:
    found = unique_points(found)
    exported = digest_of_frames(frame_of(found))
    read_back = digest_of_values([value for row in found for value in values_of_row(row)])
    assert exported.record() == read_back.record()
    assert np.array_equal(exported.coverage, read_back.coverage)
    assert exported.series == read_back.series


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, min_size=2, max_size=20), st.randoms(), st.integers(0, 20))
def test_order_and_portions_do_not_matter(found: list[dict], random, cut: int) -> None:
    whole = digest_of_frames(frame_of(found))
    shuffled = list(found)
    random.shuffle(shuffled)
    parts = [digest_of_frames(frame_of(part)) for part in (shuffled[:cut], shuffled[cut:])]
    parts[0].merge(parts[1])
    assert parts[0].record() == whole.record()
    assert parts[0].series == whole.series
    assert parts[0].coverage_bytes() == whole.coverage_bytes()


POINTS = [
    Value("balance", (("plant", plant), ("region", "N")), field, START + hour * 3_600_000_000_000, kind, value)
    for plant in ("A", "B")
    for hour in (1, 2, 3)
    for field, kind, value in (
        ("load", "float", 10.5 + hour),
        ("units", "integer", hour),
        ("note", "string", f"n{hour}"),
    )
]


def swap_values(points: list[Value]) -> list[Value]:
    one, other = points[0], points[3]
    return [replace(one, value=other.value), replace(other, value=one.value), *points[1:3], *points[4:]]


def swap_series(points: list[Value]) -> list[Value]:
    one, other = points[0], points[9]
    return [replace(one, tags=other.tags), replace(other, tags=one.tags, value=99.0), *points[1:9], *points[10:]]


MUTATIONS = {
    "a value lost": lambda p: p[1:],
    "a value twice": lambda p: [*p, p[0]],
    "two values of one series swapped": swap_values,
    "a value moved to another series": swap_series,
    "all times shifted by one nanosecond": lambda p: [replace(v, time_ns=v.time_ns + 1) for v in p],
    "one time shifted by one nanosecond": lambda p: [replace(p[0], time_ns=p[0].time_ns + 1), *p[1:]],
    "two times swapped with their values kept": lambda p: [
        replace(p[0], time_ns=p[3].time_ns),
        replace(p[3], time_ns=p[0].time_ns),
        *p[1:3],
        *p[4:],
    ],
    "the lowest bit of a float": lambda p: [replace(p[0], value=math.nextafter(p[0].value, math.inf)), *p[1:]],
    "an integer one more": lambda p: [p[0], replace(p[1], value=p[1].value + 1), *p[2:]],
    "one up and one down": lambda p: [p[0], replace(p[1], value=p[1].value + 1), *p[2:4], replace(p[4], value=p[4].value - 1), *p[5:]],
    "an integer written as float": lambda p: [p[0], replace(p[1], kind="float", value=1.0), *p[2:]],
    "an integer written as boolean": lambda p: [p[0], replace(p[1], kind="boolean", value=True), *p[2:]],
    "a text with a space more": lambda p: [*p[:2], replace(p[2], value="n1 "), *p[3:]],
    "a field renamed": lambda p: [replace(p[0], field="Load"), *p[1:]],
    "a tag lost": lambda p: [replace(p[0], tags=p[0].tags[:1]), *p[1:]],
    "the sign of zero": lambda p: p,
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_changes_both_lanes(name: str) -> None:
    points = POINTS if name != "the sign of zero" else [replace(POINTS[0], value=0.0), *POINTS[1:]]
    mutated = (
        [replace(points[0], value=-0.0), *points[1:]] if name == "the sign of zero" else MUTATIONS[name](list(points))
    )
    before, after = digest_of_values(points).record(), digest_of_values(mutated).record()
    if name == "a value twice":
        after = digest_of_values(points)
        again = digest_of_values([points[0]])
        after.merge(again)
        after = after.record()
    assert before.lanes[0] != after.lanes[0]
    assert before.lanes[1] != after.lanes[1]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 63), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**62))
def test_any_flipped_bit_of_value_or_time_changes_both_lanes(bit: int, value: float, offset: int) -> None:
    base = Value("m", (), "f", START + offset % (END - START), "float", value)
    bits = reference.bits("float", value) ^ (1 << bit)
    flipped = replace(base, value=np.array([bits], np.uint64).view(np.float64)[0].item())
    if reference.bits("float", flipped.value) != bits:
        return  # a NaN that Python made quiet
    one, other = digest_of_values([base]).record(), digest_of_values([flipped]).record()
    assert all(a != b for a, b in zip(one.lanes, other.lanes, strict=True))


def test_fields_of_one_column_are_told_apart_by_their_measure_name() -> None:
    mapping = Mapping(
        "m",
        (TagSource("host", "host"), TagSource("measure_name", "measure_name", ("multi",))),
        (
            FieldSource("measure_value::double", "cpu", FieldType.FLOAT, ("cpu",)),
            FieldSource("measure_value::double", "memory", FieldType.FLOAT, ("memory",)),
            FieldSource("total", "total", FieldType.FLOAT, ("multi",)),
        ),
        ("cpu", "memory", "multi"),
        ("host",),
        True,
    )
    found = [
        {"host": "a", "measure_name": "cpu", "time_ns": START, "measure_value::double": 1.0, "total": None},
        {"host": "a", "measure_name": "memory", "time_ns": START, "measure_value::double": 2.0, "total": None},
        {"host": "b", "measure_name": "multi", "time_ns": START + 5, "measure_value::double": 9.0, "total": 3.0},
    ]
    schema = {
        "host": pl.String,
        "measure_name": pl.String,
        "time_ns": pl.Int64,
        "measure_value::double": pl.Float64,
        "total": pl.Float64,
    }
    record = digest_of_frames(pl.DataFrame(found, schema=schema), mapping=mapping).record()
    assert record.counts == {"cpu": 1, "memory": 1, "total": 1}
    assert record.lanes == reference.lanes(
        [
            Value("m", (("host", "a"),), "cpu", START, "float", 1.0),
            Value("m", (("host", "a"),), "memory", START, "float", 2.0),
            Value("m", (("host", "b"), ("measure_name", "multi")), "total", START + 5, "float", 3.0),
        ]
    )


def test_a_row_outside_the_window_is_refused() -> None:
    row = {**dict.fromkeys(SCHEMA), "measure_name": "metrics", "time_ns": END, "load": 1.0}
    with pytest.raises(Permanent, match="outside the window"):
        digest_of_frames(frame_of([row]))


def test_a_column_of_another_type_than_its_field_is_refused() -> None:
    row = {**dict.fromkeys(SCHEMA), "measure_name": "metrics", "time_ns": START, "units": 1}
    with pytest.raises(Permanent, match="'units' has the type String"):
        digest_of_frames(frame_of([row]).with_columns(pl.col("units").cast(pl.String)))


def test_the_coverage_survives_its_compression() -> None:
    digest = digest_of_values(POINTS)
    body = digest.coverage_bytes()
    assert np.array_equal(coverage_from_bytes(body), digest.coverage)
    assert digest.coverage.sum() == len(POINTS)
    assert digest.coverage[reference.series_bucket(POINTS[0]), 0] > 0
    with pytest.raises(Permanent, match="damaged"):
        coverage_from_bytes(body[:-5])


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1))
def test_the_text_of_timestamp_measures_is_that_of_the_windows(times: list[int]) -> None:
    assert rfc3339(pl.Series(times, dtype=pl.Int64)).to_list() == [iso(time) for time in times]


def test_many_series_are_counted_once_each_over_frames_that_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ts_migration.validation.frame_values._REMEMBERED_SERIES", 50)
    found = [
        {
            **dict.fromkeys(SCHEMA),
            "measure_name": "metrics",
            "plant": f"p{n % 120}",
            "time_ns": START + n,
            "load": 1.0 * n,
        }
        for n in range(400)
    ]
    parts = digest_of_frames(*(frame_of(found[at : at + 40]) for at in range(0, 400, 40)))
    assert parts.series == 120
    assert parts.record().lanes == reference.lanes([value for row in found for value in values_of_row(row)])


def published_vectors() -> list[tuple[Value | None, tuple[int, int]]]:
    text = (Path(__file__).resolve().parents[2] / "docs" / "digest.md").read_text()
    found: list[tuple[Value | None, tuple[int, int]]] = []
    for line in text[text.index("## Vectors") :].splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
        if len(cells) != 8 or cells[0] in ("measurement", "---"):
            continue
        expected = (int(cells[6], 16), int(cells[7], 16))
        if cells[0] == "all of them":
            found.append((None, expected))
            continue
        tags = tuple(json.loads(cells[1]).items())
        found.append((Value(cells[0], tags, cells[2], int(cells[3]), cells[4], json.loads(cells[5])), expected))
    return found


def test_the_published_vectors_are_what_is_computed() -> None:
    vectors = published_vectors()
    values = [value for value, _ in vectors if value is not None]
    assert len(values) == 6
    for value, expected in vectors:
        chosen = values if value is None else [value]
        assert reference.lanes(chosen) == expected
        digest = PointDigest(-1, 2**63 - 1)
        for each in chosen:
            dtype = {"float": np.float64, "integer": np.int64, "boolean": np.bool_, "string": object}[each.kind]
            column = BlockColumn(each.field, FieldType(each.kind), np.array([each.value], dtype))
            digest.add_block(each.measurement, dict(each.tags), np.array([each.time_ns], np.int64), [column])
        assert digest.record().lanes == expected


@pytest.mark.parametrize("column", ["*", "^x$"])
def test_a_dimension_whose_name_polars_would_take_for_a_pattern_has_its_own_values(column: str) -> None:
    rows = {"x": ["a", "b"], "measure_name": ["m", "m"], "f": [1.5, 2.5], "time_ns": [START, START + 1]}
    digests = []
    for name in (column, "plain"):
        fields = (FieldSource("f", "f", FieldType.FLOAT),)
        mapping = Mapping("m", (TagSource(name, "d"), TagSource("x", "x")), fields, ("m",), (name, "x"), injective=True)
        digests.append(digest_of_frames(pl.DataFrame({name: ["c", None]} | rows), mapping=mapping).record())
    assert digests[0] == digests[1]
