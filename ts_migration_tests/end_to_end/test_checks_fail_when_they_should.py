"""Each of the five checks, against a bucket or an export that was spoiled in a way that only a true comparison can see.

A small table is migrated once in three windows. Every test spoils February, checks all three windows, and puts
everything back; January and March must stay proven throughout.
"""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from isal import isal_zlib

from ts_migration.errors import Permanent
from ts_migration.manifests import LineProtocolManifest, LoadManifest, require_manifest
from ts_migration.timestream.readings import sample_rows
from ts_migration.validation.coverage_cells import coverage_of_cells
from ts_migration.windows import iso
from ts_migration_tests.end_to_end.proven_table import (
    EMPTY_SHARD,
    FIRST,
    HOUR,
    SAMPLED_ROWS,
    SEED,
    ProvenTable,
    proven_table,
)

pytestmark = pytest.mark.stack

ITAIPU = ",measure_name=metrics,plant=Itaipu,subsystem=S"
TUCURUI = ",measure_name=metrics,plant=Tucurui"
SECOND = FIRST + 6 * HOUR
"""Itaipu's second row of February: no `units`."""
LOAD, NEXT_LOAD, LOAD_OF_TUCURUI = "5.428571428571431", "5.714285714285715", "5.571428571428573"
RESERVE = "1082.6666666666667"
SOURCE_GAP = "a gap of the source: no values on either side from 2023-02-05T19:30:00Z to 2023-02-12T19:30:00Z"
WHOLE_ROW = f"load_mw={LOAD},reserve_mw={RESERVE},units=248i"
"""Itaipu's first row of February."""


HISTOGRAM = "manifests/histogram.bin"


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProvenTable]:
    with proven_table(tmp_path_factory.mktemp("checks")) as table:
        yield table


@pytest.fixture
def table(proven: ProvenTable) -> Iterator[ProvenTable]:
    yield proven
    proven.restore()


def failed(verdicts: dict[str, object]) -> set[str]:
    return {name for name, verdict in verdicts.items() if not verdict.passed}


def told(verdict: object) -> str:
    return "\n".join(verdict.evidence)


# record_count


def test_a_dropped_point_fails_record_count_field_by_field(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")

    verdict = table.verdicts()["record_count"]

    assert (verdict.passed, verdict.stage) == (False, "load")
    assert verdict.evidence == (
        "field 'load_mw': 168 values were encoded, InfluxDB counts 167",
        "field 'reserve_mw': 168 values were encoded, InfluxDB counts 167",
        "field 'units': 134 values were encoded, InfluxDB counts 133",
    )


def test_a_value_dropped_from_a_point_that_stays_fails_record_count_for_its_field_alone(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{ITAIPU} load_mw={LOAD},reserve_mw={RESERVE} {FIRST}")

    verdict = table.verdicts()["record_count"]

    assert verdict.evidence == ("field 'units': 134 values were encoded, InfluxDB counts 133",)


@pytest.mark.parametrize(
    ("field", "time_ns", "value"),
    [("units=0i", SECOND, "0 (integer)"), ('note=""', FIRST, "'' (string)")],
    ids=["zero", "empty_text"],
)
def test_a_null_made_a_value_fails_record_count_and_is_shown_as_extra(
    table: ProvenTable, field: str, time_ns: int, value: str
) -> None:
    table.write(f"{ITAIPU} {field} {time_ns}")

    verdicts = table.verdicts()

    name = field.partition("=")[0]
    assert verdicts["record_count"].evidence[0].startswith(f"field '{name}': ")
    assert verdicts["checksum"].evidence[0] == (
        f"extra: plants,measure_name=metrics,plant=Itaipu,subsystem=S {name} at {iso(time_ns)}: Timestream has nothing, "
        f"export has nothing, line protocol has nothing, bucket has {value}; broken by the load"
    )


def test_a_row_lost_from_an_export_that_says_it_is_whole_fails_record_count_and_blames_the_export(
    table: ProvenTable,
) -> None:
    table.rewrite_export(lambda rows: rows.slice(1))
    table.convert(table.spoiled)
    table.load_anew()

    verdicts = table.verdicts()

    assert (verdicts["record_count"].passed, verdicts["record_count"].stage) == (False, "export")
    assert "Timestream has 168 rows now, the export 167" in told(verdicts["record_count"])
    assert verdicts["checksum"].passed, "the bucket is what the export says"


# checksum


def test_the_last_bit_of_a_float_fails_the_checksum_and_nothing_else(table: ProvenTable) -> None:
    table.write(f"{ITAIPU} load_mw=5.428571428571432 {FIRST}")

    verdicts = table.verdicts()

    assert failed(verdicts) == {"checksum"}
    assert verdicts["checksum"].stage == "load"
    assert verdicts["checksum"].difference == "0 missing, 0 extra, 1 changed values"
    assert verdicts["checksum"].evidence[0] == (
        "changed: plants,measure_name=metrics,plant=Itaipu,subsystem=S load_mw at "
        "2023-02-01T00:00:00.000000001Z: Timestream has 5.428571428571431 (float), export has 5.428571428571431 (float), "
        "line protocol has 5.428571428571431 (float), bucket has 5.428571428571432 (float); broken by the load"
    )


@pytest.mark.parametrize(
    "lines",
    [
        (f"{ITAIPU} load_mw={NEXT_LOAD} {FIRST}", f"{ITAIPU} load_mw={LOAD} {SECOND}"),
        (f"{ITAIPU} load_mw={LOAD_OF_TUCURUI} {FIRST}", f"{TUCURUI} load_mw={LOAD} {FIRST}"),
        (f"{ITAIPU} load_mw={RESERVE},reserve_mw={LOAD} {FIRST}",),
        (f"{TUCURUI} reserve_mw=-0 {FIRST}",),
        (f'{TUCURUI} note="shift 249 " {FIRST}',),
    ],
    ids=["swapped_times", "swapped_series", "swapped_fields", "the_sign_of_zero", "a_trailing_space"],
)
def test_what_leaves_every_count_as_it_was_fails_the_checksum_alone(table: ProvenTable, lines: tuple[str, ...]) -> None:
    table.write(*lines)

    verdicts = table.verdicts()

    assert failed(verdicts) == {"checksum"}
    changed = [line for line in verdicts["checksum"].evidence if line.startswith("changed: ")]
    assert len(changed) == (1 if lines[0].startswith(TUCURUI) else 2)


def test_a_point_shifted_by_a_nanosecond_fails_the_checksum_and_is_shown_at_both_times(table: ProvenTable) -> None:
    table.delete(SECOND, SECOND + 1, plant="Itaipu")
    table.write(f'{ITAIPU} load_mw={NEXT_LOAD},note="shift 250",reserve_mw=1083.3333333333333 {SECOND + 1}')

    verdicts = table.verdicts()

    assert failed(verdicts) == {"checksum"}
    assert verdicts["checksum"].difference == "3 missing, 3 extra, 0 changed values"
    lines = verdicts["checksum"].evidence
    assert [line.partition(" at ")[2].partition(": Time")[0] for line in lines[:6]] == [
        *["2023-02-01T06:00:00.000000001Z"] * 3,
        *["2023-02-01T06:00:00.000000002Z"] * 3,
    ]
    assert "bucket has nothing; broken by the load" in lines[0]
    assert "Timestream has nothing, export has nothing, line protocol has nothing, bucket has" in lines[3]


def test_a_spoiled_member_is_not_loaded(table: ProvenTable) -> None:
    table.rewrite_member(0, lambda text: text.replace(LOAD, "6.5"), adjust_index=False)

    with pytest.raises(Permanent, match=r"part-00000\.lp\.gz"):
        table.load_anew()


def test_a_spoiled_member_whose_index_agrees_fails_the_checksum_and_blames_the_conversion(table: ProvenTable) -> None:
    table.rewrite_member(0, lambda text: text.replace(LOAD, "6.5"), adjust_index=True)
    table.load_anew()

    verdicts = table.verdicts()

    assert failed(verdicts) == {"checksum"}
    assert verdicts["checksum"].stage == "conversion"
    spoiled, changed, *_ = verdicts["checksum"].evidence
    assert spoiled.endswith("2023-02-01/line-protocol/part-00000.lp.gz is not what the conversion wrote")
    assert changed.endswith(
        "export has 5.428571428571431 (float), line protocol has 6.5 (float), bucket has 6.5 (float); "
        "broken by the conversion"
    )


# sample


def sampled(table: ProvenTable) -> dict[str, object]:
    """The first row that the sample of these tests asks for."""
    rows = sample_rows(table.query, table.describe(), table.spoiled, SAMPLED_ROWS, SEED).sort("time_ns")
    return rows.filter(pl.col("plant") == "Itaipu").row(0, named=True)


def test_a_value_changed_at_a_sampled_row_fails_the_sample_with_both_values(table: ProvenTable) -> None:
    row = sampled(table)
    table.write(f"{ITAIPU} load_mw=1e308 {row['time_ns']}")

    verdicts = table.verdicts()

    assert failed(verdicts) == {"sample", "checksum"}
    assert verdicts["sample"].stage == "load"
    assert verdicts["sample"].evidence == (
        f"changed: plants,measure_name=metrics,plant=Itaipu,subsystem=S load_mw at {iso(row['time_ns'])}: "
        f"Timestream has {row['load_mw']!r} (float), export has {row['load_mw']!r} (float), "
        f"line protocol has {row['load_mw']!r} (float), bucket has 1e+308 (float); broken by the load",
    )


def test_a_sampled_row_that_is_gone_fails_the_sample(table: ProvenTable) -> None:
    row = sampled(table)
    table.delete(row["time_ns"], row["time_ns"] + 1, plant="Itaipu")

    assert "bucket has nothing" in told(table.verdicts()["sample"])


def test_an_export_that_altered_a_value_is_seen_by_the_sample_alone_for_it_asks_the_source_again(
    table: ProvenTable,
) -> None:
    row = sampled(table)

    def altered(rows: pa.Table) -> pa.Table:
        here = pc.and_(pc.equal(rows["time_ns"], row["time_ns"]), pc.equal(rows["plant"], "Itaipu"))
        values = pc.if_else(here, 1e308, rows["load_mw"])
        return rows.set_column(rows.schema.get_field_index("load_mw"), rows.schema.field("load_mw"), values)

    table.rewrite_export(altered)
    table.convert(table.spoiled)
    table.load_anew()

    verdicts = table.verdicts()

    assert failed(verdicts) == {"sample"}
    assert verdicts["sample"].stage == "export"
    assert "bucket has 1e+308 (float)" in verdicts["sample"].evidence[0]


# schema


def test_a_foreign_tag_key_fails_the_schema(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{ITAIPU},operator=me {WHOLE_ROW} {FIRST}")

    verdicts = table.verdicts()

    assert {"schema", "checksum", "coverage"} == failed(verdicts)
    assert verdicts["schema"].evidence == ("tag 'operator' is in the window and not in the mapping",)


def test_a_foreign_field_fails_the_schema(table: ProvenTable) -> None:
    table.write(f"{ITAIPU} load=1 {FIRST}")

    verdict = table.verdicts()["schema"]

    assert (verdict.passed, verdict.stage) == (False, "load")
    assert verdict.evidence == ("field 'load' (float) is in the window and not in the mapping",)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("units=3.5", "field 'units': mapped to integer, the window holds float and integer"),
        ("load_mw=3i", "field 'load_mw': mapped to float, the window holds float and integer"),
        ('units="three"', "field 'units': mapped to integer, the window holds integer and string"),
        ("note=true", "field 'note': mapped to string, the window holds boolean and string"),
    ],
)
def test_a_field_of_another_type_in_another_shard_fails_the_schema_of_its_window(
    table: ProvenTable, field: str, words: str
) -> None:
    table.write(f"{ITAIPU} {field} {EMPTY_SHARD[0] + HOUR}")

    verdict = table.verdicts()["schema"]

    assert (verdict.passed, verdict.stage) == (False, "load")
    assert words in verdict.evidence


def test_exported_batches_that_nobody_looked_at_are_no_pass(table: ProvenTable) -> None:
    converted, loaded = table.own.manifest("line_protocol"), table.own.manifest("load")
    unseen = require_manifest(LineProtocolManifest, table.bucket, converted, "").model_copy(update={"frames": None})
    load = require_manifest(LoadManifest, table.bucket, loaded, "").model_copy(update={"parent": unseen.digest})
    unseen.write(table.bucket, converted)
    load.write(table.bucket, loaded)

    verdicts = table.verdicts()

    assert failed(verdicts) == {"schema"}
    assert verdicts["schema"].stage == "export"


# coverage


@pytest.mark.parametrize("body", [b"", b"no histogram", None], ids=["empty", "damaged", "gone"])
def test_a_histogram_that_cannot_be_read_fails_the_coverage_and_is_the_conversions_to_make_again(
    table: ProvenTable, body: bytes | None
) -> None:
    histogram_of(table, None)
    if body is None:
        table.bucket.delete(HISTOGRAM)
    else:
        table.bucket.put(HISTOGRAM, body)

    verdicts = table.verdicts()

    assert failed(verdicts) == {"coverage"}
    assert verdicts["coverage"].stage == "conversion"


def test_a_histogram_with_a_cell_that_cannot_be_fails_the_coverage_too(table: ProvenTable) -> None:
    histogram_of(table, {-1: 3})

    verdicts = table.verdicts()

    assert failed(verdicts) == {"coverage"}
    assert verdicts["coverage"].stage == "conversion"


def test_a_histogram_of_many_cells_is_read_from_its_object(table: ProvenTable) -> None:
    cells = histogram_of(table, None)
    table.bucket.put(HISTOGRAM, isal_zlib.compress(coverage_of_cells(cells).astype("<u4")))
    table.delete(FIRST, FIRST + 1, plant="Itaipu")

    verdict = table.verdicts()["coverage"]

    assert (verdict.passed, verdict.stage) == (False, "load")
    assert "3 values missing" in told(verdict)


def histogram_of(table: ProvenTable, cells: dict[int, int] | None) -> dict[int, int]:
    """Have the manifest hold these cells, or name the object; the cells that it held."""
    converted, loaded = (table.own.manifest(stage) for stage in ("line_protocol", "load"))
    found = require_manifest(LineProtocolManifest, table.bucket, converted, "")
    changed = found.model_copy(update={"coverage_cells": cells, "coverage_key": "" if cells else HISTOGRAM})
    changed.write(table.bucket, converted)
    load = require_manifest(LoadManifest, table.bucket, loaded, "")
    load.model_copy(update={"parent": changed.digest}).write(table.bucket, loaded)
    return found.coverage_cells or {}


def test_points_moved_to_another_time_bin_fail_the_coverage_though_every_count_is_equal(table: ProvenTable) -> None:
    moved = FIRST + 15 * HOUR
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{ITAIPU} {WHOLE_ROW} {moved}")

    verdicts = table.verdicts()

    assert verdicts["record_count"].passed
    assert (verdicts["coverage"].passed, verdicts["coverage"].stage) == (False, "load")
    assert verdicts["coverage"].evidence == (
        "2023-02-01T00:00:00Z to 2023-02-01T21:00:00Z: 3 values missing, 3 too many, in 1 of the series buckets",
        SOURCE_GAP,
    )


def test_points_moved_into_a_gap_are_named_with_the_gap(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{ITAIPU} {WHOLE_ROW} {EMPTY_SHARD[0] + 24 * HOUR}")

    verdicts = table.verdicts()

    assert verdicts["record_count"].passed
    lines = [line for line in verdicts["coverage"].evidence if "gap of the source" not in line]
    assert [line.partition(": ")[2] for line in lines] == [
        "3 values missing, 0 too many, in 1 of the series buckets",
        "0 values missing, 3 too many, in 1 of the series buckets",
    ]


def test_points_moved_to_another_series_of_the_same_bin_fail_the_coverage(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{TUCURUI} {WHOLE_ROW} {FIRST + HOUR}")

    verdicts = table.verdicts()

    assert verdicts["record_count"].passed
    assert "3 values missing, 3 too many, in 2 of the series buckets" in told(verdicts["coverage"])


def test_the_first_point_shifted_to_the_edge_fails_the_coverage_by_its_edge(table: ProvenTable) -> None:
    table.delete(FIRST, FIRST + 1, plant="Itaipu")
    table.write(f"{ITAIPU} {WHOLE_ROW} {FIRST - 1}")

    verdicts = table.verdicts()

    assert failed(verdicts) == {"coverage", "checksum"}
    assert verdicts["coverage"].evidence == (
        "the first point of the export is at 2023-02-01T00:00:00.000000001Z, of the bucket at 2023-02-01T00:00:00Z",
        SOURCE_GAP,
    )
