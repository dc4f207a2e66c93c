"""The whole-table checks: windows, totals, cardinality, late arrivals."""

from dataclasses import replace

from ts_migration.validation.table import SourceTotals, TableTotals, WindowResult, check_table

WINDOWS = [
    WindowResult(f"2023-0{n}-01", "proven", "", {"f": 10, "g": 5}, series=3, refused=0, rows=10) for n in (1, 2, 3)
]
TOTALS = TableTotals({"f": 30, "g": 15}, series=4, with_fields=7)
SOURCE = SourceTotals((10, 10, 10), series=4, with_fields=7)
CATCH_UP = "`ts-migration catch-up --only j`"


def judged(windows=WINDOWS, expected=3, totals=TOTALS, tolerance=0.0, source=SOURCE):
    source = replace(source, rows=source.rows[: len(windows)])
    verdicts = check_table(windows, expected, source, totals, tolerance, CATCH_UP)
    return {verdict.check: verdict for verdict in verdicts}


def test_a_table_whose_windows_are_proven_and_whose_totals_agree_passes() -> None:
    assert all(verdict.passed and verdict.severity == "ERROR" for verdict in judged().values())


def test_a_window_that_is_not_there_fails() -> None:
    verdict = judged(WINDOWS[:2], totals=TableTotals({"f": 20, "g": 10}, 4, 7))["all_windows_proven"]
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert "1 windows of the grid are not there" in verdict.evidence[0]


def test_a_failed_window_fails_and_is_named() -> None:
    failed = WindowResult("2023-02-01", "failed", "checksum failed", {"f": 10, "g": 5}, 3, 0)
    verdict = judged([WINDOWS[0], failed, WINDOWS[2]])["all_windows_proven"]
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert verdict.evidence == ("window 2023-02-01: failed: checksum failed",)


def test_a_window_that_only_passed_is_not_proven_and_warns() -> None:
    passed = WindowResult("2023-02-01", "passed", "2 rows quarantined", {"f": 10, "g": 5}, 3, 0)
    verdict = judged([WINDOWS[0], passed, WINDOWS[2]])["all_windows_proven"]
    assert (verdict.passed, verdict.severity) == (False, "WARN")


def test_totals_that_differ_name_the_field() -> None:
    verdict = judged(totals=TableTotals({"f": 29, "g": 15, "h": 1}, 4, 7))["totals"]
    assert not verdict.passed
    assert verdict.stage == "load"
    assert verdict.evidence == (
        "field 'f': the windows hold 30 values, InfluxDB counts 29",
        "field 'h': the windows hold 0 values, InfluxDB counts 1",
    )
    assert judged(totals=TableTotals({"f": 29, "g": 15}, 4, 7), tolerance=0.1)["totals"].severity == "WARN"


def test_lines_that_the_server_refused_explain_what_is_missing() -> None:
    refused = WindowResult("2023-02-01", "passed", "", {"f": 10, "g": 5}, 3, 1)
    assert judged([WINDOWS[0], refused, WINDOWS[2]], totals=TableTotals({"f": 29, "g": 14}, 4, 7))["totals"].passed


def test_an_accepted_window_passes_with_a_warning_that_says_who_accepted_it() -> None:
    passed = WindowResult("2023-02-01", "passed", "1 row quarantined; accepted by me", {}, 3, 0, rows=10, accepted=True)
    verdict = judged([WINDOWS[0], passed, WINDOWS[2]])["all_windows_proven"]
    assert (verdict.passed, verdict.severity) == (True, "WARN")
    assert verdict.actual == "3 windows: 1 passed, 2 proven, 1 of them accepted"
    assert verdict.difference == "1 windows, all of them accepted"
    assert verdict.evidence == ("window 2023-02-01: passed: 1 row quarantined; accepted by me",)


def test_one_accepted_window_does_not_stand_for_another_one() -> None:
    accepted, passed = (replace(WINDOWS[0], status="passed", reason="r", accepted=each) for each in (True, False))
    verdict = judged([accepted, passed, WINDOWS[2]])["all_windows_proven"]
    assert (verdict.passed, verdict.severity, verdict.difference) == (False, "WARN", "2 windows")


def test_a_series_that_is_not_in_the_bucket_fails_cardinality_and_so_does_one_that_the_source_does_not_have() -> None:
    for series, with_fields in ((3, 7), (5, 7), (4, 6), (4, 8)):
        verdict = judged(totals=replace(TOTALS, series=series, with_fields=with_fields))["cardinality"]
        assert (verdict.passed, verdict.stage) == (False, "load")
    assert verdict.evidence == ("Timestream has 7 series with field keys, InfluxDB 8",)


def test_rows_kept_out_explain_missing_series_and_no_extra_ones() -> None:
    windows = [replace(WINDOWS[0], kept_out=1), *WINDOWS[1:]]
    fewer = judged(windows, totals=replace(TOTALS, series=3, with_fields=5))["cardinality"]
    assert (fewer.passed, fewer.severity) == (True, "WARN")
    assert fewer.evidence[0] == "Timestream has 4 series, InfluxDB 3: rows were kept out"
    assert not judged(windows, totals=replace(TOTALS, series=2, with_fields=5))["cardinality"].passed
    assert not judged(windows, totals=replace(TOTALS, series=5))["cardinality"].passed


def test_rows_that_expired_in_the_source_explain_series_that_only_the_bucket_has_left() -> None:
    source = SourceTotals((9, 10, 10), series=3, with_fields=6)
    verdict = judged(source=source)["cardinality"]
    assert (verdict.passed, verdict.severity) == (True, "WARN")
    assert "expired in Timestream since the export" in verdict.evidence[0]


def test_where_the_source_cannot_count_its_series_the_windows_are_the_bounds() -> None:
    unknown = SourceTotals(SOURCE.rows, None, None)
    assert judged(source=unknown)["cardinality"].passed
    assert not judged(source=unknown, totals=replace(TOTALS, series=2))["cardinality"].passed
    assert not judged(source=unknown, totals=replace(TOTALS, series=10))["cardinality"].passed


def test_a_window_that_grew_fails_late_arrivals_and_the_command_that_mends_it_is_told() -> None:
    verdict = judged(source=replace(SOURCE, rows=(10, 12, 9)))["late_arrivals"]
    assert (verdict.passed, verdict.severity, verdict.stage) == (False, "ERROR", "export")
    assert verdict.difference == f"1 window grew by 2 rows, 1 window shrank by 1 rows; next: {CATCH_UP}"
    assert verdict.evidence == (
        f"{CATCH_UP} exports, loads and checks those windows again",
        "window 2023-02-01: 10 rows were exported, Timestream has 12 now: 2 came late",
        "window 2023-03-01: 10 rows were exported, Timestream has 9 now: expired by its retention or deleted since; "
        "the bucket keeps them",
    )


def test_a_window_that_grew_within_the_tolerance_and_one_that_shrank_are_warnings() -> None:
    grown = judged(source=replace(SOURCE, rows=(10, 12, 10)), tolerance=0.2)["late_arrivals"]
    assert (grown.passed, grown.severity) == (True, "WARN")
    shrunk = judged(source=replace(SOURCE, rows=(10, 10, 1)))["late_arrivals"]
    assert (shrunk.passed, shrunk.severity, shrunk.stage) == (True, "WARN", None)
    assert "catch-up" not in shrunk.difference
