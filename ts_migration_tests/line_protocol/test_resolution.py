"""Which columns become what, and that all reasons why an exact mapping cannot be made come in one refusal."""

from typing import Any

import pytest

from ts_migration.config import MappingOptions
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.resolution import resolve
from ts_migration.timestream.schema import Column, ColumnRole, ColumnType, Measure, TableSchema

VARCHAR, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP = (
    ColumnType.VARCHAR, ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.BOOLEAN, ColumnType.TIMESTAMP
)  # fmt: skip


def table(
    dimensions: list[str],
    multi: dict[str, ColumnType] | None = None,
    single: dict[str, list[str]] | None = None,
    multi_names: tuple[str, ...] = ("row",),
) -> TableSchema:
    """A table of dimensions, multi-measure columns, and single measures (measure_name -> types)."""
    multi, single = multi or {}, single or {}
    types = sorted({kind for kinds in single.values() for kind in kinds})
    columns = [
        *(Column(name, VARCHAR, ColumnRole.DIMENSION) for name in dimensions),
        Column("measure_name", VARCHAR, ColumnRole.MEASURE_NAME),
        Column("time", TIMESTAMP, ColumnRole.TIMESTAMP),
        *(Column(name, kind, ColumnRole.MULTI) for name, kind in multi.items()),
        *(Column(f"measure_value::{kind}", ColumnType(kind), ColumnRole.MEASURE_VALUE) for kind in types),
    ]
    measures = [
        *(Measure(name, "multi", tuple(dimensions)) for name in multi_names if multi),
        *(Measure(name, kind, tuple(dimensions)) for name, kinds in single.items() for kind in kinds),
    ]
    return TableSchema("db", "t", tuple(columns), tuple(measures))


def mapped(schema: TableSchema, measurement: str = "t", **options: Any) -> Mapping:
    return resolve(schema, MappingOptions(**options), measurement)


def refused(schema: TableSchema, measurement: str = "t", **options: Any) -> str:
    with pytest.raises(Refused) as error:
        mapped(schema, measurement, **options)
    return str(error.value)


def test_a_multi_measure_row_gets_a_field_per_column_and_its_measure_name_as_a_tag() -> None:
    schema = table(["plant", "Area"], {"b": BIGINT, "a": DOUBLE, "s": VARCHAR, "o": BOOLEAN, "t": TIMESTAMP})
    assert mapped(schema) == Mapping(
        "t",
        (TagSource("Area", "Area"), TagSource("measure_name", "measure_name"), TagSource("plant", "plant")),
        (
            FieldSource("a", "a", FieldType.FLOAT),
            FieldSource("b", "b", FieldType.INTEGER),
            FieldSource("o", "o", FieldType.BOOLEAN),
            FieldSource("s", "s", FieldType.STRING),
            FieldSource("t", "t", FieldType.INTEGER),
        ),
        ("row",),
        ("plant", "Area"),
        injective=True,
    )


def test_a_single_measure_row_gets_a_field_named_by_its_measure_name() -> None:
    mapping = mapped(table(["d"], single={"temp": ["double"], "on": ["boolean"]}))
    assert mapping.tags == (TagSource("d", "d"),)
    assert mapping.fields == (
        FieldSource("measure_value::boolean", "on", FieldType.BOOLEAN, ("on",)),
        FieldSource("measure_value::double", "temp", FieldType.FLOAT, ("temp",)),
    )


def test_two_types_of_one_measure_name_get_their_types_as_suffix() -> None:
    mapping = mapped(table(["d"], single={"temp": ["double", "bigint"], "on": ["boolean"]}))
    assert [field.field for field in mapping.fields] == ["on", "temp_bigint", "temp_double"]


def test_integers_and_doubles_of_one_measure_name_can_be_widened_to_one_float_field() -> None:
    mapping = mapped(table(["d"], single={"temp": ["double", "bigint"]}), types={"temp": "float"})
    assert [(field.column, field.field, field.type) for field in mapping.fields] == [
        ("measure_value::bigint", "temp", FieldType.FLOAT),
        ("measure_value::double", "temp", FieldType.FLOAT),
    ]


def test_value_columns_keep_the_keys_of_other_tools_and_the_measure_name_as_a_tag() -> None:
    mapping = mapped(table(["d"], single={"temp": ["double"]}), single_measure="value_columns")
    assert mapping.fields == (FieldSource("measure_value::double", "measure_value::double", FieldType.FLOAT),)
    assert TagSource("measure_name", "measure_name") in mapping.tags


def test_a_mixed_table_tags_only_its_multi_measure_rows() -> None:
    mapping = mapped(table(["d"], {"a": DOUBLE}, {"temp": ["double"]}))
    assert TagSource("measure_name", "measure_name", ("row",)) in mapping.tags
    assert mapping.measure_names == ("row", "temp")


def test_dimensions_become_fields_where_asked_and_then_rows_may_collide() -> None:
    mapping = mapped(table(["d", "e"], {"a": DOUBLE}), dimensions_as_fields=("e",))
    assert FieldSource("e", "e", FieldType.STRING) in mapping.fields
    assert "e" not in [tag.tag for tag in mapping.tags]
    assert not mapping.injective


def test_a_dropped_measure_name_tells_rows_apart_only_where_there_is_but_one() -> None:
    assert mapped(table(["d"], {"a": DOUBLE}), keep_measure_name=False).injective
    assert not mapped(table(["d"], {"a": DOUBLE}, multi_names=("x", "y")), keep_measure_name=False).injective


def test_timestamps_become_text_where_asked() -> None:
    mapping = mapped(table(["d"], {"at": TIMESTAMP}), timestamp_measures="rfc3339")
    assert mapping.fields == (FieldSource("at", "at", FieldType.STRING, rfc3339=True),)


def test_names_are_changed_where_asked_and_tags_stay_sorted_by_their_new_bytes() -> None:
    mapping = mapped(table(["a", "b"], {"v": DOUBLE}), rename={"a": "z", "v": "value", "measure_name": "kind"})
    assert [tag.tag for tag in mapping.tags] == ["b", "kind", "z"]
    assert [field.field for field in mapping.fields] == ["value"]


def test_tags_are_sorted_with_their_escapes_as_the_server_sorts_them() -> None:
    mapping = mapped(table(["A FOO", ",", "0", "APPLE"], {"v": DOUBLE}), keep_measure_name=False)
    assert [tag.tag for tag in mapping.tags] == ["0", "APPLE", "A FOO", ","]


def test_a_mapping_survives_its_json_with_its_digest() -> None:
    mapping = mapped(table(["d"], {"a": DOUBLE}, {"temp": ["double", "bigint"]}))
    assert Mapping.from_json(mapping.to_json()) == mapping
    assert Mapping.from_json(mapping.to_json()).digest == mapping.digest


def test_all_problems_come_in_one_refusal_a_line_each() -> None:
    text = refused(
        table(["time_", "x\\", "same"], {"v": DOUBLE, "w": BIGINT, "_field": BOOLEAN}),
        measurement="#m",
        rename={"time_": "time", "same": "v", "nope": "n"},
        dimensions_as_fields=("ghost",),
        types={"v": "float", "zz": "float"},
    )
    lines = [
        "measurement '#m' starts with '#'",
        "tag 'time' (column 'time_') is reserved",
        "ends in a backslash",
        "field '_field' (column '_field') is reserved",
        "'v' would be a tag (column 'same') and a field (column 'v')",
        "rename: there is no column or measure_name 'nope'; known: ",
        "dimensions_as_fields: there is no dimension 'ghost'; dimensions: same, time_, x\\",
        "types: there is no field 'zz'",
        "types: the field 'v' is float",
    ]
    assert "for 9 reasons" in text
    assert len(text.splitlines()) == 1 + len(lines)
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rename": {"d": "x", "e": "x"}}, "'d' and 'e' would all become the tag 'x'"),
        ({"rename": {"v": "x", "w": "x"}}, "'v' and 'w' would all become the field 'x'"),
        ({"rename": {"v": "x", "s": "x"}}, "the field 'x' would have two types: 'v' float, 's' string"),
        ({"rename": {"v": "#!~#"}}, "uses inside its own keys"),
        ({"rename": {"v": "a\\=b"}}, "backslash before"),
        ({"types": {"v": "float"}}, "the field 'v' is float; only an integer"),
        ({"types": {"s": "float"}}, "the field 's' is string; only an integer"),
    ],
)
def test_what_would_merge_or_mislead_is_refused(options: dict[str, Any], words: str) -> None:
    assert words in refused(table(["d", "e"], {"v": DOUBLE, "w": DOUBLE, "s": VARCHAR}), **options)


@pytest.mark.parametrize("name", ["reg\\=ion", "a\\,b", 'a\\"b', "a\\\\ b", "\x02", "a\\b"])
def test_tag_keys_that_servers_read_back_as_they_are_need_no_other_name(name: str) -> None:
    assert TagSource("d", name) in mapped(table(["d"], {"v": DOUBLE}), rename={"d": name}).tags


@pytest.mark.parametrize("name", ["\x02", "a\\,b", "a\\\\ b", "a=b"])
def test_measurements_that_servers_read_back_as_they_are_need_no_other_name(name: str) -> None:
    assert mapped(table(["d"], {"v": DOUBLE}), measurement=name).measurement == name


@pytest.mark.parametrize("name", ["\tm", "a\\ b", "a\\=b", 'a\\"b', "a\\\\=b", "#m", "m\\"])
def test_measurements_that_servers_would_read_as_others_are_refused(name: str) -> None:
    assert f"measurement {name!r} " in refused(table(["d"], {"v": DOUBLE}), measurement=name)


@pytest.mark.parametrize("name", ["a\\ b", "a\\\\\\ b", "a\\"])
def test_tag_keys_that_servers_would_misread_are_refused(name: str) -> None:
    assert f"tag {name!r} " in refused(table(["d"], {"v": DOUBLE}), rename={"d": name})


@pytest.mark.parametrize("name", ["\tf", "a\\ b", "a\\=b", "a\\,b", 'a\\"b', 'a\\\\"b', "a\\\\"])
def test_field_keys_that_servers_would_misread_are_refused(name: str) -> None:
    assert f"field {name!r} " in refused(table(["d"], {"v": DOUBLE}), rename={"v": name})


def test_two_single_measures_of_one_field_are_refused_for_their_rows_would_become_one_point() -> None:
    schema = table(["d"], single={"a": ["double"], "b": ["double"]})
    assert "would all become the field 'x'" in refused(schema, rename={"a": "x", "b": "x"})


def test_single_and_multi_measures_of_one_name_and_two_types_are_refused() -> None:
    schema = table(["d"], {"temp": BIGINT}, {"temp": ["double"]})
    assert "the field 'temp' would have two types" in refused(schema)


def test_single_and_multi_measures_of_one_name_and_type_lie_in_different_series() -> None:
    mapping = mapped(table(["d"], {"temp": DOUBLE}, {"temp": ["double"]}))
    assert [field.field for field in mapping.fields] == ["temp", "temp"]
    assert "all become the field" in refused(
        table(["d"], {"temp": DOUBLE}, {"temp": ["double"]}), keep_measure_name=False
    )


def test_integers_of_a_single_measure_can_be_widened_to_the_float_of_a_multi_measure_of_its_name() -> None:
    schema = table(["d"], {"temp": DOUBLE}, {"temp": ["bigint", "double"]})
    assert "two types" in refused(table(["d"], {"temp": DOUBLE}, {"temp": ["bigint"]}))
    assert {(field.field, field.type) for field in mapped(schema, types={"temp": "float"}).fields} == {
        ("temp", FieldType.FLOAT)
    }
    assert "all become the field 'temp'" in refused(schema, types={"temp": "float"}, keep_measure_name=False)


def test_a_dimension_as_field_is_refused_where_it_would_be_written_once_per_measure() -> None:
    schema = table(["d"], single={"a": ["double"], "b": ["double"]})
    assert "once per measure" in refused(schema, dimensions_as_fields=("d",))
    assert mapped(schema, dimensions_as_fields=("d",), single_measure="value_columns").fields


def test_a_dimension_as_field_is_refused_where_it_has_the_name_of_the_measure_beside_it() -> None:
    schema = table(["note"], single={"note": ["varchar"]})
    assert "all become the field 'note'" in refused(schema, dimensions_as_fields=("note",))


@pytest.mark.parametrize(
    ("schema", "options"),
    [
        (table(["mw"], single={"mw": ["double"]}), {}),
        (table(["mw"], single={"mw": ["varchar"]}), {"dimensions_as_fields": ("mw",)}),
        (table(["d"], {"mw": VARCHAR}, {"mw": ["double"]}), {}),
        (table(["d"], {"mw": DOUBLE}, {"mw": ["double"]}), {"keep_measure_name": False}),
    ],
)
def test_where_two_sources_have_one_name_the_way_out_is_not_to_rename_both(
    schema: TableSchema, options: dict[str, Any]
) -> None:
    assert "set mapping.single_measure: value_columns" in refused(schema, **options)
    assert "set mapping.single_measure: value_columns" in refused(schema, **options, rename={"mw": "x"})
    assert mapped(schema, **options, single_measure="value_columns").fields


def test_single_measures_that_meet_in_one_field_are_told_by_their_names() -> None:
    text = refused(table(["d"], single={"temp": ["double", "bigint"], "temp_bigint": ["bigint"]}))
    assert "measure_name 'temp' ('measure_value::bigint') and measure_name 'temp_bigint'" in text
    assert "use mapping.rename" in text


def test_a_table_that_uses_the_name_of_the_exact_time_is_refused() -> None:
    assert "'time_ns'" in refused(table(["time_ns"], {"a": DOUBLE}))


def test_a_table_without_measures_is_refused() -> None:
    assert "holds no measure" in refused(table(["d"]))


def test_a_measure_type_that_influxdb_lacks_is_refused() -> None:
    schema = table(["d"], {"a": DOUBLE})
    odd = TableSchema("db", "t", schema.columns, (*schema.measures, Measure("odd", "timeseries", ())))
    assert "measure 'odd' has type 'timeseries'" in refused(odd)
