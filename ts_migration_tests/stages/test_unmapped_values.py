"""What a mapping has no place for is counted in frames as it is taken away."""

import polars as pl

from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.stages.range_source import only_mapped, unmapped_values

MAPPING = Mapping(
    "grid",
    (TagSource("plant", "plant"),),
    (
        FieldSource("mw", "mw", FieldType.FLOAT, measure_names=("load",)),
        FieldSource("hz", "hz", FieldType.FLOAT, measure_names=("load", "frequency")),
        FieldSource("note", "note", FieldType.STRING),
    ),
    ("frequency", "load"),
    ("plant",),
    False,
)


def frame(*rows: tuple[str, float | None, float | None, str | None]) -> pl.DataFrame:
    schema = {"measure_name": pl.String, "mw": pl.Float64, "hz": pl.Float64, "note": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(plant=pl.lit("Itaipu"))


def test_a_row_of_an_unknown_measure_and_a_value_that_no_field_takes_of_its_measure_are_counted() -> None:
    known = frame(("load", 1.0, 50.0, "a"), ("frequency", None, 50.1, None))
    strange = frame(("weather", 1.0, 2.0, "sun"), ("frequency", 7.5, 50.2, None))

    assert unmapped_values(known, MAPPING) == 0
    assert unmapped_values(pl.concat([known, strange]), MAPPING) == 2
    assert unmapped_values(only_mapped(strange, MAPPING), MAPPING) == 0
    assert unmapped_values(strange.clear(), MAPPING) == 0
