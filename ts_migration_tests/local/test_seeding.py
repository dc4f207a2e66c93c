"""What is seeded is what the file says: decimal text becomes the nearest double, times without an offset are UTC."""

import csv
import gzip
import io
import re

import polars as pl
import pytest

from ts_migration.errors import ConfigurationError, Missing, Permanent
from ts_migration.local import seeding
from ts_migration.local.seeding import FileLayout
from ts_migration.windows import iso
from ts_migration_tests.shared_material import shared


def test_decimal_text_becomes_the_nearest_double_and_empty_becomes_null(tmp_path):
    path = tmp_path / "CURVA_CARGA_x.csv.gz"
    texts = ["10455.81799999", "0E-8", "-7402.51200000", "", "2373.7", "9007199254740993", "1e-320"]
    rows = [f"SE;SUDESTE/CENTRO-OESTE;2023-01-01 {hour:02d}:00:00;{text}" for hour, text in enumerate(texts)]
    header = ";".join(seeding.LOAD_COLUMNS)
    path.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))
    frame = seeding.load_curve([path])
    assert frame["val_cargaenergiahomwmed"].to_list() == [float(text) if text else None for text in texts]
    assert frame["time"].to_list()[1] - frame["time"].to_list()[0] == 3_600_000_000_000
    assert iso(frame["time"][0]) == "2023-01-01T00:00:00Z"


def test_the_load_curve_of_2023_is_read_exactly():
    path = shared("data/ons/CURVA_CARGA_2023.csv.gz")
    frame = seeding.load_curve([path])
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode()), delimiter=";"))
    texts = [row["val_cargaenergiahomwmed"] for row in rows]
    assert frame["val_cargaenergiahomwmed"].to_list() == [float(text) if text else None for text in texts]
    assert frame["nom_subsistema"].to_list() == [row["nom_subsistema"] for row in rows]


def test_the_whole_load_curve_has_the_rows_and_the_gaps_that_its_publisher_says():
    folder = shared("data/ons")
    frame = seeding.load_curve(sorted(folder.glob("CURVA_CARGA*")))
    assert frame.height == 873_016
    assert frame["val_cargaenergiahomwmed"].null_count() == 259
    assert frame.select("id_subsistema", "time").n_unique() == frame.height
    assert (iso(frame["time"].min()), iso(frame["time"].max())) == ("2000-01-01T00:00:00Z", "2024-11-24T23:00:00Z")


def test_the_balance_is_read_in_spite_of_its_misspelt_header():
    frame = seeding.energy_balance([shared("data/ons/balanco_energia_subsistema_2023-01.csv")])
    assert frame.columns[:3] == ["id_subsistema", "nom_subsistema", "time"]
    assert frame["val_carga"][0] == float("10455.81799999")
    assert frame["val_intercambio"].min() < 0


@pytest.mark.parametrize(
    ("text", "utc"),
    [("2023-01-01T00:00:00-03:00", "2023-01-01T03:00:00Z"), ("2023-01-01T00:00:00", "2023-01-01T00:00:00Z")],
)
def test_a_time_with_an_offset_is_converted_and_one_without_is_utc(text, utc):
    frame = pl.read_csv(io.StringIO(f"at\n{text}\n"), try_parse_dates=True)
    assert iso(frame.select(seeding._as_ns(frame, "at")).item()) == utc


@pytest.mark.stack
def test_a_csv_file_is_seeded(embedded_stack, tmp_path):
    layout = FileLayout("csv_data", "own", dimensions=("unit",), measures=("mw",), time="at")
    assert seeding.seed_file(embedded_stack.timestream_url, _csv(tmp_path), layout)[0].records_stored == 1


@pytest.mark.stack
def test_a_parquet_file_with_nanoseconds_is_seeded(embedded_stack, tmp_path):
    path = tmp_path / "own.parquet"
    pl.DataFrame({"unit": ["A"], "time": [1_672_531_200_123_456_789], "mw": [1]}).write_parquet(path)
    layout = FileLayout("csv_data", "parquet_table", dimensions=("unit",), measures=("mw",))
    assert seeding.seed_file(embedded_stack.timestream_url, path, layout)[0].records_stored == 1


def test_what_is_missing_is_told_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        seeding.seed_file("http://127.0.0.1:9", _csv(tmp_path), FileLayout("d", "", (), ()))
    assert caught.value.problems == ("--table is required", "--measures is required")


def test_a_column_that_the_file_does_not_have_is_refused_with_those_it_has(tmp_path):
    layout = FileLayout("d", "t", ("unti",), ("mw",), time="at")
    with pytest.raises(ConfigurationError, match="no column 'unti'; its columns are unit, at, mw"):
        seeding.seed_file("http://127.0.0.1:9", _csv(tmp_path), layout)


def test_a_time_column_that_holds_no_times_is_refused(tmp_path):
    layout = FileLayout("d", "t", ("at",), ("mw",), time="unit")
    with pytest.raises(ConfigurationError, match="the column 'unit' is String and no time"):
        seeding.seed_file("http://127.0.0.1:9", _csv(tmp_path), layout)


def test_a_file_that_is_not_there_and_a_folder_without_ons_files_are_told(tmp_path):
    with pytest.raises(Missing, match="no file"):
        seeding.seed_file("http://127.0.0.1:9", tmp_path / "x.csv", FileLayout("d", "t", (), ("m",)))
    with pytest.raises(Missing, match="holds no CURVA_CARGA"):
        seeding.seed_ons("http://127.0.0.1:9", tmp_path, "d")


def test_a_file_that_is_no_parquet_is_one_message(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no parquet")
    with pytest.raises(Permanent, match="cannot be read"):
        seeding.seed_file("http://127.0.0.1:9", path, FileLayout("d", "t", (), ("m",)))


def _csv(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("unit,at,mw\nA,2023-01-01T00:00:00,1.5\n")
    return path


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("1", "9223372036854775808"), "holds 9223372036854775808 in row 2, which BIGINT"),
        (("-9223372036854775809", "0"), "holds -9223372036854775809 in row 1"),
    ],
)
def test_an_integer_that_no_bigint_holds_is_refused_with_its_row(tmp_path, cells, words):
    path = tmp_path / "load.csv"
    path.write_text("time,plant,load\n" + "".join(f"2023-01-0{n},a,{cell}\n" for n, cell in enumerate(cells, 1)))
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        seeding.seed_file("http://127.0.0.1:1", path, FileLayout("d", "t", ("plant",), ("load",), "time"))


def test_times_in_mixed_forms_are_refused_with_some_of_them(tmp_path):
    path = tmp_path / "load.csv"
    path.write_text("time,plant,load\n2023-01-01 00:00:00,a,1\n02/01/2023,a,2\n")
    with pytest.raises(ConfigurationError, match="no time: '2023-01-01 00:00:00', '02/01/2023'"):
        seeding.seed_file("http://127.0.0.1:1", path, FileLayout("d", "t", ("plant",), ("load",), "time"))
