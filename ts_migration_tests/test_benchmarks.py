"""What `make bench` promises of itself: medians of ratios, budgets that decide the exit code, and a sink that answers."""

import gzip
import json
from pathlib import Path

import pytest
import urllib3

from benchmarks import __main__ as bench
from benchmarks.rows import Row, bounded, compared
from benchmarks.sink import running_sink
from benchmarks.telemetry import FILE_ROWS, START, Telemetry, rows_of


def test_a_ratio_is_the_median_of_each_runs_own() -> None:
    row = compared("load", "a loop", [50.0, 100.0, 30.0], [100.0, 100.0, 300.0], "lines/s", at_least=0.5)
    assert (row.ratio, row.value, row.limit, row.met, row.runs) == (0.5, 50.0, 100.0, True, 3)


def test_a_cost_above_its_bound_is_not_met() -> None:
    assert bounded("memory", "1 GiB", [2000.0], 1024, "MiB").met is False
    assert bounded("memory", "1 GiB", [1024.0], 1024, "MiB").met is True


def row(met: bool | None) -> Row:
    return Row("part", "limit", 1.0, 1.0, "rows/s", 1.0, "ratio at least 1", met)


@pytest.mark.parametrize(("found", "code"), [([row(True), row(None)], 0), ([row(False)], 1), (None, 1)])
def test_a_budget_that_is_not_met_or_a_benchmark_that_failed_ends_with_1_after_all_have_run(
    found: list[Row] | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measured(name: str, runs: int) -> list[Row] | None:
        asked.append(name)
        return found if name == "one" else [row(True)]

    monkeypatch.setattr(bench, "measured", measured)
    assert bench.run(["one", "two"], runs=1, keep=False) == code
    assert asked == ["one", "two"]


def test_results_of_a_whole_run_are_kept_and_name_no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(bench, "measured", lambda name, runs: [row(True)])
    bench.run(["one"], runs=1, keep=True)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {
        "date", "cpus", "load_average_before", "load_average_after", "seconds", "versions", "rows",
    }  # fmt: skip
    assert [Row(**each) for each in kept["rows"]] == [row(True)]


def test_the_sink_inflates_a_body_and_keeps_the_connection() -> None:
    with running_sink() as url, urllib3.PoolManager(maxsize=1) as pool:
        for lines in (3, 70_000):
            body = gzip.compress(b"m f=1 1\n" * lines)
            answer = pool.request("POST", f"{url}/api/v2/write", body=body, headers={"Content-Encoding": "gzip"})
            assert (answer.status, answer.headers["X-Lines"]) == (204, str(lines))
        assert pool.connection_from_url(url).num_connections == 1


def test_telemetry_is_hourly_in_200_series_inside_its_window() -> None:
    rows = rows_of(FILE_ROWS - 200, FILE_ROWS)
    assert rows["time_ns"].to_pylist() == [START + (FILE_ROWS // 200 - 1) * 3_600 * 10**9] * 200
    assert len(set(zip(rows["plant"].to_pylist(), rows["unit"].to_pylist(), strict=True))) == 200
    assert rows["time_ns"][0].as_py() < Telemetry(FILE_ROWS).window.end_ns
