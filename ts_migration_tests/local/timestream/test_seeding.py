"""Bulk seeding over HTTP: frames, Parquet, CSV and the generator; all of a frame or none of it."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ts_migration.local.timestream.generator import EXAMPLES
from ts_migration.local.timestream.seed import SeedRefusedError, SeedSpec, read_csv, seed, seed_parquet
from ts_migration_tests.local.timestream.conftest import Table
from ts_migration_tests.local.timestream.embedded import query_client, write_client
from ts_migration_tests.shared_material import shared

START, END = 1_672_531_200_000_000_000, 1_704_067_200_000_000_000


def spec(**changes: object) -> SeedSpec:
    fields = {
        "database": "seeded",
        "table": f"t-{uuid.uuid4().hex[:8]}",
        "kind": "multi",
        "dimensions": ("plant",),
        "measure_name": "m",
        "measures": ("value",),
    }
    return SeedSpec.model_validate({**fields, **changes})


def table_of(server: str, made: SeedSpec) -> Table:
    return Table(server, write_client(server), query_client(server), made.database, made.table)


FRAME = pl.DataFrame(
    {"plant": ["a", "b", None], "time": [1, 1, 1_700_000_000_771_000_678], "value": [0.1, -2.5, 1e300]},
    schema_overrides={"time": pl.Int64},
)


def test_a_frame_of_every_type_reads_back_exactly(server: str) -> None:
    frame = FRAME.with_columns(
        count=pl.Series([2**63 - 1, -(2**63), None]),
        small=pl.Series([1, 2, 3], dtype=pl.Int8),
        ok=pl.Series([True, None, False]),
        note=pl.Series(['say "x"', "água", None]),
        seen=pl.Series([1, 2, 3]).cast(pl.Datetime("ns")),
        plant=pl.col("plant").cast(pl.Categorical),
    )
    made = spec(measures=("value", "count", "small", "ok", "note", "seen"))
    report = seed(server, made, frame)
    assert (report.rows_read, report.records_stored) == (3, 3)
    table = table_of(server, made)
    sql = (
        f'SELECT plant, to_nanoseconds(time), value, "count", small, ok, note, to_nanoseconds(seen) FROM {table.quoted}'
    )
    assert sorted(table.rows(sql), key=str) == sorted(
        [
            ["a", "1", "0.1", str(2**63 - 1), "1", "true", 'say "x"', "1"],
            ["b", "1", "-2.5", str(-(2**63)), "2", None, "água", "2"],
            [None, "1700000000771000678", "1.0E300", None, "3", "false", None, "3"],
        ],
        key=str,
    )
    described = table.write.describe_table(**table.address)["Table"]
    assert described["MagneticStoreWriteProperties"] == {"EnableMagneticStoreWrites": True}


def test_single_measure_rows_take_their_name_from_the_column(server: str) -> None:
    made = spec(kind="single", measure_name=None, measures=("value", "count"))
    report = seed(server, made, FRAME.with_columns(count=pl.Series([1, None, None], dtype=pl.Int64)))
    assert report.records_stored == 4
    table = table_of(server, made)
    sql = f'SELECT measure_name, "measure_value::double", "measure_value::bigint" FROM {table.quoted} ORDER BY 1, 2'
    assert table.rows(sql) == [
        ["count", None, "1"],
        ["value", "-2.5", None],
        ["value", "0.1", None],
        ["value", "1.0E300", None],
    ]


def test_single_measure_rows_may_bring_their_names_in_a_column(server: str) -> None:
    frame = pl.DataFrame(
        {"plant": ["a"] * 3, "time": [1, 1, 2], "name": ["x", "y", "x"], "d": [1.5, None, 2.5], "s": [None, "on", None]}
    )
    made = spec(kind="single", measure_name=None, measure_name_column="name", measures=("d", "s"))
    seed(server, made, frame)
    table = table_of(server, made)
    assert table.rows(f"SHOW MEASURES FROM {table.quoted}") == [["x", "double", None], ["y", "varchar", None]]
    with pytest.raises(SeedRefusedError, match="several measure columns"):
        seed(server, made, frame.with_columns(s=pl.lit("off"), time=pl.col("time") + 10))


def test_a_row_without_any_value_is_counted_not_stored(server: str) -> None:
    report = seed(server, spec(), FRAME.with_columns(value=pl.Series([1.0, None, None])))
    assert (report.rows_read, report.records_stored, report.rows_without_value) == (3, 1, 2)


def test_the_same_frame_again_stores_nothing_and_another_value_is_refused(server: str) -> None:
    made = spec()
    seed(server, made, FRAME)
    again = seed(server, made, FRAME)
    assert (again.records_stored, again.repetitions) == (0, 3)
    with pytest.raises(SeedRefusedError, match="1 records contradict"):
        seed(server, made, FRAME.with_columns(value=pl.Series([0.1, -2.5, 7.0])))
    table = table_of(server, made)
    assert len(table.rows(f"SELECT * FROM {table.quoted}")) == 3


def test_one_key_with_two_values_in_a_frame_is_refused(server: str) -> None:
    doubled = pl.concat([FRAME, FRAME])
    assert seed(server, spec(), doubled).repetitions == 3
    with pytest.raises(SeedRefusedError, match="different values"):
        seed(server, spec(), pl.concat([FRAME, FRAME.with_columns(pl.col("value") * 2)]))


def test_a_second_frame_adds_dimensions_and_measures(server: str) -> None:
    made = spec()
    seed(server, made, FRAME)
    wider = made.model_copy(update={"dimensions": ("plant", "line"), "measures": ("value", "more")})
    seed(server, wider, FRAME.with_columns(line=pl.lit("L1"), more=pl.lit(True)))
    table = table_of(server, made)
    rows = table.rows(f"SELECT plant, line, value, more FROM {table.quoted} WHERE value < 1 ORDER BY 1, 2")
    assert rows == [
        ["a", "L1", "0.1", "true"],
        ["a", None, "0.1", None],
        ["b", "L1", "-2.5", "true"],
        ["b", None, "-2.5", None],
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pl.lit(float("nan")).alias("value"), "NaN or infinities"),
        (pl.lit("").alias("plant"), "empty strings"),
        (pl.lit(-1).alias("time"), "negative times"),
        (pl.lit(None, dtype=pl.Int64).alias("time"), "3 NULLs"),
        (pl.lit("x" * 2049).alias("plant"), "2049 bytes"),
        (pl.lit(b"x").alias("value"), "none that Timestream can store"),
    ],
)
def test_what_timestream_cannot_store_is_refused_as_a_whole(server: str, change: pl.Expr, reason: str) -> None:
    made = spec()
    with pytest.raises(SeedRefusedError, match=reason):
        seed(server, made, FRAME.with_columns(change))
    table = table_of(server, made)
    with pytest.raises(table.write.exceptions.ResourceNotFoundException):
        table.write.describe_table(**table.address)


def test_a_missing_column_is_named(server: str) -> None:
    with pytest.raises(SeedRefusedError, match=r"lacks the columns \['value'\]"):
        seed(server, spec(), FRAME.drop("value"))


def test_a_reserved_name_is_refused(server: str) -> None:
    with pytest.raises(SeedRefusedError, match="reserved"):
        seed(server, spec(dimensions=("ts_plant",)), FRAME.rename({"plant": "ts_plant"}))


def test_a_parquet_file_is_seeded_as_it_is(server: str, tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    times = pa.array([datetime(2023, 1, 1, tzinfo=UTC)], type=pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"plant": ["a"], "time": times, "value": [1.5]}), path)
    made = spec()
    assert seed_parquet(server, made, path).records_stored == 1
    table = table_of(server, made)
    assert table.rows(f"SELECT time FROM {table.quoted}") == [["2023-01-01 00:00:00.000000000"]]


def test_the_operators_csv_is_seeded_with_its_empty_values_counted(server: str) -> None:
    path = shared("data/ons/curva_carga_2018-02_2018-11.csv")
    frame = read_csv(path, separator=";")
    made = spec(
        kind="single",
        dimensions=("id_subsistema", "nom_subsistema"),
        measure_name=None,
        measures=("val_cargaenergiahomwmed",),
        time="din_instante",
    )
    report = seed(server, made, frame)
    assert report.rows_read == len(frame)
    assert report.records_stored == frame["val_cargaenergiahomwmed"].count()
    assert report.rows_without_value == frame["val_cargaenergiahomwmed"].null_count()


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_generator_makes_the_same_rows_again_in_any_number_of_pieces(name: str) -> None:
    example = EXAMPLES[name]
    once = pa.concat_tables(example.frames(rows=5_000, start=START, end=END))
    again = pa.concat_tables(example.frames(rows=5_000, start=START, end=END))
    other = pa.concat_tables(example.frames(rows=5_000, start=START, end=END, seed=1))
    assert once.equals(again)
    assert not once.equals(other)
    times = once["time"].to_numpy()
    assert len(once) == 5_000
    assert times.min() >= START
    assert times.max() < END
    keys = once.select([*example.spec.dimensions, "time"]).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == 5_000


def test_the_generators_tables_are_seeded_whole(server: str) -> None:
    for name, example in EXAMPLES.items():
        frames = example.frames(rows=260_000 if name == "exchange_data" else 2_000, start=START, end=END)
        report = seed(server, example.spec, frames)
        assert report.records_stored == report.rows_read
    (row,) = query_client(server).query(QueryString='SELECT count(*) FROM "energy_data"."exchange_data"')["Rows"]
    assert row["Data"] == [{"ScalarValue": "260000"}]


def test_a_specification_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        spec(measure_name_column="x")
    with pytest.raises(ValueError, match="one constant measure_name"):
        spec(kind="single", measures=("a", "b"))
    with pytest.raises(ValueError, match="needs measure_name"):
        spec(measure_name=None)
