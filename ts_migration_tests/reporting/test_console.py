"""The report on a terminal: wide, narrow, without colours, and with names that would take it over."""

import io
import shlex
from dataclasses import replace

import pytest
from rich.console import Console

from ts_migration.reporting.console import report, summary_table, windows_table
from ts_migration.reporting.results import results_of
from ts_migration_tests.reporting.example import example
from ts_migration_tests.reporting.proofs import proof, results
from ts_migration_tests.stages.manifests import verdict


def drawn(what: object, width: int = 200, **settings: object) -> str:
    """What is printed on a terminal of a width."""
    written = io.StringIO()
    Console(width=width, file=written, **settings).print(what)
    return written.getvalue()


def test_the_console_sums_up_and_shows_what_failed() -> None:
    assert "1 of 4 proven" in drawn(summary_table(results()))
    text = drawn(report(results()))
    assert "1 changed value, broken by the load" in text
    assert "by tolerance" in text
    assert "1970-01-04: nothing was done yet" in text
    windows = drawn(windows_table(results().tables[0]))
    assert windows.index("1970-01-02") < windows.index("1970-01-01")


@pytest.mark.parametrize("width", [40, 80, 240])
def test_failed_windows_come_first_of_all_tables_and_the_next_command_last(width: int) -> None:
    text = drawn(report(example()), width)
    flat = " ".join(text.split())
    failed, passed = flat.index("window 2023-03-27: checksum"), flat.index("window 2024-08-02: passed")
    assert failed < passed
    # As a shell reads it, wherever it is cut.
    command = shlex.split(text.rpartition("windows blame\n")[2].replace("\\\n", ""))
    assert command == ["ts-migration", "execute", "--config", "migration_config.yaml"]


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_gets_lists_and_no_line_is_wider_than_it(width: int) -> None:
    lines = drawn(report(example()), width).rstrip().splitlines()
    assert max(len(line) for line in lines) <= width
    assert "─" not in "".join(lines)
    assert any("335 of 365 proven" in line for line in lines)


def test_without_colours_every_status_is_still_told() -> None:
    coloured = drawn(report(results()), force_terminal=True, color_system="standard")
    plain = drawn(report(results()), force_terminal=True, no_color=True)
    assert "\x1b[1;31m" in coloured
    assert "\x1b[31m" not in plain and "\x1b[1;31m" not in plain
    for word in ("failed", "passed", "by tolerance", "not proven"):
        assert word in plain


def test_a_name_cannot_take_over_the_terminal_nor_its_markup() -> None:
    text = drawn(report(results()), force_terminal=True, no_color=True)
    assert "\x1b[31m" not in text
    assert r"abc\u202edef\u001b[31m" in text


def test_a_proven_migration_needs_no_next_command() -> None:
    text = drawn(report(results(failed=False)))
    assert "All 2 windows of 1 table hold in InfluxDB exactly what Timestream holds" in " ".join(text.split())
    assert "Next:" not in text


def test_one_window_is_said_in_the_singular() -> None:
    one = proof(failed=False)
    text = drawn(report(results_of([replace(one, windows=one.windows[:1])], "validation")))
    assert "The one window holds in InfluxDB exactly" in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 200])
def test_a_check_of_the_whole_table_that_did_not_pass_is_shown_with_its_evidence(width: int) -> None:
    wrong = verdict("query_equivalence", passed=False, evidence=("peak: 1 different",))
    text = drawn(report(results_of([proof(failed=False)], "validation", table_checks={proof().job: (wrong,)})), width)
    assert "the whole table:" in text
    assert "query_equivalence" in text
    assert "peak: 1 different" in text
