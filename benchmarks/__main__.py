"""`make bench`: every benchmark in a process of its own, one table, and an exit code that says whether budgets hold.

`python -m benchmarks [--only NAME] [--runs N]`. What each row is held against is in README.md of this folder; the
result of the last whole run is in results.json.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

BENCHMARKS = (
    "convert",
    "memory",
    "load",
    "bulk",
    "embedded_influxdb",
    "shard_files",
    "verify",
    "verify_memory",
    "audit",
    "window_overhead",
    "monitor",
    "plan",
)
"""Modules of this folder with `measure(runs) -> list[Row]`, in the order they run."""

RESULTS = Path(__file__).with_name("results.json")
LIBRARIES = ("polars", "pyarrow", "numpy", "influxdb-client")


def measured(name: str, runs: int) -> list[Row] | None:
    """The rows of one benchmark, from a process of its own; None where it failed, its words are on the screen."""
    with tempfile.TemporaryDirectory(prefix="ts-migration-bench-") as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks", "--measure", name, "--runs", str(runs), "--into", str(rows)]
        if subprocess.run(command, check=False).returncode:
            return None
        return [Row(**row) for row in json.loads(rows.read_text())]


def write_rows(name: str, runs: int, into: Path) -> None:
    """What the process of one benchmark does."""
    rows = importlib.import_module(f"benchmarks.{name}").measure(runs)
    into.write_text(json.dumps([asdict(row) for row in rows]))


def figure(number: float) -> str:
    """A number with three digits that say something."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def table(rows: list[Row]) -> Table:
    """All rows for people."""
    result = Table("part", "against", "value", "limit", "unit", "ratio", "budget", "met", "runs", title="benchmarks")
    for row in rows:
        met = {True: "[green]yes", False: "[red]NO", None: ""}[row.met]
        figures = (figure(row.value), figure(row.limit), row.unit, f"{row.ratio:.2f}")
        result.add_row(row.part, row.against, *figures, row.budget, met, str(row.runs))
    return result


def result_file(rows: list[Row], before: float, seconds: float) -> dict[str, object]:
    """What is kept of a whole run. Nothing that names the machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpus": os.cpu_count(),
        "load_average_before": round(before, 2),
        "load_average_after": round(os.getloadavg()[0], 2),
        "seconds": round(seconds),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "rows": [asdict(row) for row in rows],
    }


def run(names: list[str], runs: int, keep: bool) -> int:
    """Run benchmarks one after the other; the exit code: 1 where a budget is not met or a benchmark failed."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    before, started = os.getloadavg()[0], time.monotonic()
    rows: list[Row] = []
    failed = []
    for name in names:
        began = time.monotonic()
        found = measured(name, runs)
        if found is None:
            failed.append(name)
        rows += found or []
        told = "failed" if found is None else f"{len(found)} rows"
        load = os.getloadavg()[0]
        console.print(f"{name}: {told} in {time.monotonic() - began:.0f} s, load average {load:.1f}", style="dim")
    console.print(table(rows))
    if keep and not failed:
        RESULTS.write_text(json.dumps(result_file(rows, before, time.monotonic() - started), indent=1) + "\n")
    over = [f"{row.part} against {row.against}" for row in rows if row.met is False]
    for words in [*(f"budget not met: {each}" for each in over), *(f"benchmark failed: {name}" for name in failed)]:
        console.print(words, style="red")
    return 1 if over or failed else 0


def main() -> int:
    """Read the command line."""
    there = [name for name in BENCHMARKS if Path(__file__).with_name(f"{name}.py").exists()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=there, action="append", help="a benchmark; may be given several times")
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs, of which medians are told (default 3)")
    parser.add_argument("--measure", choices=there, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        write_rows(options.measure, options.runs, options.into)
        return 0
    return run(options.only or there, options.runs, keep=not options.only)


if __name__ == "__main__":
    sys.exit(main())
