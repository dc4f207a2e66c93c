"""Results, the HTML report and the console's tables."""

import html.parser
import io
import json
import re
from dataclasses import replace

from rich.console import Console

from ts_migration.reporting.console import report, summary_table, windows_table
from ts_migration.reporting.html import bytes_text, duration_text, report_html
from ts_migration.reporting.results import MigrationResults, results_of
from ts_migration.stages.proof import TableProof, WindowManifests, window_proof
from ts_migration.windows import Window
from ts_migration_tests.stages.manifests import STANDING, five, verdict, window_manifests

DAY = 86_400 * 10**9
EVIL = '<script>alert("x")</script>'


def proof(failed: bool = True) -> TableProof:
    windows = [Window(n * DAY, (n + 1) * DAY, f"1970-01-0{n + 1}") for n in range(4)]
    wrong = five(
        checksum={"passed": False, "stage": "load", "difference": "1 changed value", "evidence": (f"changed: m,a={EVIL} f",)}
    )  # fmt: skip
    manifests = [
        window_manifests(windows[0]),
        window_manifests(windows[1], status="failed", verdicts=wrong) if failed else window_manifests(windows[1]),
        window_manifests(windows[2], status="passed", verdicts=five(record_count={"severity": "WARN"})),
        WindowManifests(),
    ]
    proofs = tuple(window_proof(window, each, STANDING) for window, each in zip(windows, manifests, strict=True))
    return TableProof(f"load {EVIL}", "energy.load", "bucket", "load", proofs if failed else proofs[:2])


def results(failed: bool = True) -> MigrationResults:
    return results_of([proof(failed)], "validation", configuration="migration_config.yaml")


class Strict(html.parser.HTMLParser):
    """Notes tags that are not closed in order, and anything that would be fetched."""

    VOID = frozenset({"meta", "br", "link", "img", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1] == tag, (tag, self.stack)
        self.stack.pop()


def test_the_report_is_one_well_formed_file_that_fetches_nothing() -> None:
    text = report_html(results())
    parser = Strict()
    parser.feed(text)
    assert parser.stack == []
    assert parser.fetched == []
    assert "script" not in parser.tags
    assert "url(" not in text and "@import" not in text
    assert 'name="viewport"' in text


def test_names_and_values_of_the_data_are_escaped() -> None:
    text = report_html(results())
    assert EVIL not in text
    assert "&lt;script&gt;" in text


def test_the_report_shows_a_square_per_window_and_the_evidence_of_failed_checks() -> None:
    text = report_html(results())
    grid = re.search(r'<ul class="grid".*?</ul>', text, re.S)
    assert grid is not None
    assert re.findall(r'<li class="(\w+)"', grid[0]) == ["proven", "failed", "passed", "missing"]
    assert "changed: m,a=" in text
    assert "broken by the load" in text
    assert "Windows that are not proven: 3" in text


def test_a_proven_table_says_so_and_lists_no_open_windows() -> None:
    text = report_html(results(failed=False))
    assert 'class="badge proven">proven' in text
    assert "Windows that are not proven" not in text


def test_the_json_can_be_read_back_and_names_its_kind() -> None:
    found = results()
    again = MigrationResults.model_validate_json(found.to_bytes())
    assert again == found
    raw = json.loads(found.to_bytes())
    assert (raw["kind"], raw["schema_version"], raw["status"]) == ("validation", 1, "failed")
    assert re.fullmatch(r"migration_results_\d{8}T\d{6}Z\.json", found.file_name)
    table = raw["tables"][0]
    assert table["statuses"] == {"proven": 1, "passed": 1, "failed": 1, "stale": 0, "missing": 1}
    assert (table["rows"], table["points"], table["checks"], table["checks_passed"]) == (30, 30, 15, 14)


def test_the_whole_tables_checks_are_in_json_and_report() -> None:
    checks = {proof().job: (verdict("totals", passed=False, evidence=("field 'f' differs",)),)}
    found = results_of([proof()], "execution", table_checks=checks, job_id="job_1")
    assert found.tables[0].table_checks[0].check == "totals"
    assert "field &#39;f&#39; differs" in report_html(found)


def test_a_check_of_the_whole_table_that_fails_is_a_status_and_shown_with_its_evidence() -> None:
    def with_check(**values: object) -> MigrationResults:
        checks = {proof().job: (verdict("query_equivalence", evidence=("peak: 1 different",), **values),)}
        return results_of([proof(failed=False)], "validation", table_checks=checks)

    assert with_check(passed=True).status == "proven"
    assert with_check(passed=False, severity="WARN").status == "passed"
    failed = with_check(passed=False)
    assert failed.status == failed.tables[0].status == "failed"
    assert "whole table" in drawn(report(failed))
    assert "peak: 1 different" in drawn(report(failed))


def drawn(what: object) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_the_console_sums_up_and_shows_what_failed() -> None:
    assert "1 of 4 proven" in drawn(summary_table(results()))
    text = drawn(report(results()))
    assert "1 changed value, broken by the load" in text
    assert "by tolerance" in text
    assert "1970-01-04: nothing was done yet" in text
    assert drawn(windows_table(results().tables[0])).index("1970-01-02") < drawn(
        windows_table(results().tables[0])
    ).index("1970-01-01")


def test_a_report_of_hundreds_of_failed_windows_stays_bounded() -> None:
    one = proof().windows[1]
    many = TableProof("j", "d.t", "b", "t", tuple(replace(one, window=Window(n, n + 1, f"w{n}")) for n in range(400)))
    text = report_html(results_of([many], "validation"))
    assert text.count("<details") == 201
    assert "200 more are in the JSON results" in text


def test_durations_and_bytes_are_written_for_people() -> None:
    assert [duration_text(s) for s in (0.04, 12, 200, 7500)] == ["0.0 s", "12 s", "3 min 20 s", "2 h 05 min"]
    assert [bytes_text(b) for b in (512, 1500, 2.5e9, 3e12)] == ["512 B", "1.5 kB", "2.5 GB", "3.0 TB"]
