"""The whole-table checks: windows, totals, cardinality."""

from ts_migration.validation.table import TableTotals, WindowResult, check_table

WINDOWS = [WindowResult(f"2023-0{n}-01", "proven", "", {"f": 10, "g": 5}, 3, 0) for n in (1, 2, 3)]
TOTALS = TableTotals({"f": 30, "g": 15}, 4)


def judged(windows=WINDOWS, expected=3, totals=TOTALS, tolerance=0.0):
    return {verdict.check: verdict for verdict in check_table(windows, expected, totals, tolerance)}


def test_a_table_whose_windows_are_proven_and_whose_totals_agree_passes() -> None:
    assert all(verdict.passed and verdict.severity == "ERROR" for verdict in judged().values())


def test_a_window_that_is_not_there_fails() -> None:
    verdict = judged(WINDOWS[:2], totals=TableTotals({"f": 20, "g": 10}, 4))["all_windows_proven"]
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
    verdict = judged(totals=TableTotals({"f": 29, "g": 15, "h": 1}, 4))["totals"]
    assert not verdict.passed
    assert verdict.stage == "load"
    assert verdict.evidence == (
        "field 'f': the windows hold 30 values, InfluxDB counts 29",
        "field 'h': the windows hold 0 values, InfluxDB counts 1",
    )
    assert judged(totals=TableTotals({"f": 29, "g": 15}, 4), tolerance=0.1)["totals"].severity == "WARN"


def test_lines_that_the_server_refused_explain_what_is_missing() -> None:
    refused = WindowResult("2023-02-01", "passed", "", {"f": 10, "g": 5}, 3, 1)
    assert judged([WINDOWS[0], refused, WINDOWS[2]], totals=TableTotals({"f": 29, "g": 14}, 4))["totals"].passed


def test_fewer_series_than_one_window_has_fail_and_strange_series_warn() -> None:
    assert not judged(totals=TableTotals(TOTALS.counts, 2))["cardinality"].passed
    strange = judged(totals=TableTotals(TOTALS.counts, 12))["cardinality"]
    assert (strange.passed, strange.severity) == (True, "WARN")
    assert "at least 3 series that this job did not write" in strange.evidence[0]
