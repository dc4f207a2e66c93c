"""The HTML report as a file: whole, well formed, escaped, bounded, and readable by eyes that do not see colours."""

import html.parser
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ts_migration.reporting import html as html_report
from ts_migration.reporting.figures import bytes_text, duration_text, moment_text, short_count
from ts_migration.reporting.html import report_html
from ts_migration.reporting.points import PointDifference, point_difference
from ts_migration.reporting.results import results_of
from ts_migration.reporting.visible import shortened, visible
from ts_migration.reporting.words import SIGNS, summary
from ts_migration.stages.proof import TableProof
from ts_migration.windows import Window
from ts_migration_tests.reporting.example import example
from ts_migration_tests.reporting.proofs import CLOSING, EVIL, proof, results
from ts_migration_tests.stages.manifests import verdict

MEGABYTE = 1_000_000
CSS = (Path(html_report.__file__).parent / "templates" / "report.css.j2").read_text(encoding="utf-8")


class Strict(html.parser.HTMLParser):
    """Notes tags that are not closed in order, and anything that would be fetched."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not (value or "").startswith(("#", "data:,")):
                self.fetched.append(value or "")
            if name == "href" and (value or "").startswith("#"):
                self.links.append((value or "")[1:])
            if name == "id":
                self.ids.append(value or "")
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1] == tag, (tag, self.stack)
        self.stack.pop()


def parsed(text: str) -> Strict:
    parser = Strict()
    parser.feed(text)
    return parser


@pytest.mark.parametrize("found", [results(), example(), example(failing=False)], ids=["small", "failing", "proven"])
def test_the_report_is_one_well_formed_file_that_fetches_nothing(found) -> None:
    text = report_html(found)
    parser = parsed(text)
    assert parser.stack == []
    assert parser.fetched == []
    assert parser.tags.count("script") == 1
    assert "url(" not in text and "@import" not in text
    assert 'name="viewport"' in text


def test_every_link_leads_to_a_place_that_there_is() -> None:
    parser = parsed(report_html(example()))
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.links) <= set(parser.ids)
    assert len(parser.links) > 500


def test_names_and_values_of_the_data_are_escaped() -> None:
    text = report_html(results())
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert CLOSING not in text
    assert "a&lt;/details&gt;&lt;/style&gt;&#39;&#34;" in text


def test_characters_that_turn_or_hide_text_are_shown_by_their_codes() -> None:
    text = report_html(results())
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\x1b]", text)
    assert r"abc\u202edef\u001b[31m" in text
    assert visible("plain São Luís") == "plain São Luís"


def test_the_report_shows_a_square_with_a_sign_per_window() -> None:
    cells = re.findall(r'<a class="cell k" data-w data-s="(\w+)"[^>]*>(.)</a>', report_html(results()))
    assert cells == [(status, SIGNS[status]) for status in ("proven", "failed", "passed", "missing")]
    assert len(set(SIGNS.values())) == 5


def test_a_differing_point_has_a_row_with_both_values() -> None:
    text = report_html(results())
    row = re.search(r"<tr><td>changed</td>(.*?)</tr>", text, re.DOTALL)[1]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    assert cells[1:3] == ["1970-01-02T03:00:00.000000001Z", "1.5 (float)"]
    assert cells[3].endswith("(string)")
    assert "Broken by the <b>load</b>" in text
    assert "digests differ" in text


def test_evidence_is_read_as_points_only_where_it_is_of_points() -> None:
    told = "m,a=b at c f at 2023-02-01T00:00:00Z: Timestream has 1.5 (float), bucket has nothing"
    assert point_difference(told) == PointDifference(
        "missing", "m,a=b at c f", "2023-02-01T00:00:00Z", "1.5 (float)", ""
    )
    extra = point_difference("extra: m f at 2023-02-01T00:00:00.5Z: bucket has 'x' (string)")
    assert extra == PointDifference("extra", "m f", "2023-02-01T00:00:00.5Z", "", "'x' (string)")
    text = point_difference(
        "changed: m f at 2023-02-01T00:00:00Z: expected 'a, bucket has; b' (string), bucket has 1 (integer)"
    )
    assert text is not None
    assert (text.expected, text.actual) == ("'a, bucket has; b' (string)", "1 (integer)")
    assert point_difference("field 'f': Timestream has 3 values now, 2 were encoded") is None


def test_a_point_that_was_followed_through_all_places_shows_what_each_has() -> None:
    told = "Timestream has 1.0 (float), export has 1.0 (float), line protocol has 2.0 (float), bucket has nothing; broken by the conversion"
    found = point_difference(f"changed: m f at 2023-02-01T00:00:00Z: {told}")
    assert found == PointDifference("changed", "m f", "2023-02-01T00:00:00Z", "1.0 (float)", "", told)
    unseen = point_difference(
        "extra: m f at 2023-02-01T00:00:00Z: Timestream not looked at (gone), export has nothing, bucket has 1 (integer)"
    )
    assert unseen is not None
    assert (unseen.expected, unseen.actual) == ("", "1 (integer)")


def test_one_window_is_spoken_of_as_one() -> None:
    (table,) = results(failed=False).tables
    one = table.model_copy(update={"windows": table.windows[:1], "values": 1})
    found = results(failed=False).model_copy(update={"tables": (one,)})
    told = (
        "The one window holds in InfluxDB exactly what Timestream holds: 1 value was compared and nothing was left out."
    )
    assert summary(found).found == told
    assert "The one window with its times" in report_html(found)


def test_a_proven_migration_says_so_in_words_and_shows_no_window_to_look_at() -> None:
    text = report_html(results(failed=False))
    assert "<h1>Proven</h1>" in text
    assert "All 2 windows of 1 table hold in InfluxDB exactly what Timestream holds: 40 values were compared" in text
    assert "Windows to look at" not in text
    assert "Next:" not in text


def test_a_manager_reads_how_many_windows_differ_and_that_nothing_may_be_switched() -> None:
    told = summary(results())
    assert told.headline == "Not proven: the two sides differ"
    assert told.found.startswith("1 of 4 windows, in 1 table, differs between Timestream and InfluxDB")
    assert told.found.endswith("The others: 1 proven, 1 passed with a remark, 1 not done yet.")
    assert told.meaning.startswith("Applications must not be switched over.")


def test_the_whole_tables_checks_are_in_the_report() -> None:
    checks = {proof().job: (verdict("totals", passed=False, evidence=("field 'f' differs",)),)}
    text = report_html(results_of([proof()], "execution", table_checks=checks, job_id="job_1"))
    assert "field &#39;f&#39; differs" in text
    assert "job_1" in text


def test_a_command_in_the_evidence_is_shown_whole_however_long_it_is() -> None:
    command = f"influx delete --bucket {'b' * 600} --predicate m"
    line = f"points that are too many: by hand `{command}`, then execute"
    checks = {proof().job: (verdict("totals", passed=False, evidence=(line, "x" * 600)),)}
    text = report_html(results_of([proof()], "execution", table_checks=checks))
    assert command in text
    assert "x" * 600 not in text


def test_checks_of_a_whole_table_that_were_not_made_are_named() -> None:
    made = (verdict("totals"), verdict("cardinality"))
    text = report_html(results_of([proof(failed=False)], "execution", table_checks={proof().job: made}))
    assert "<h1>Not finished</h1>" in text
    assert "all_windows_proven, late_arrivals, query_equivalence, query_performance." in text


def test_what_was_kept_out_the_rates_settings_and_versions_are_in_the_report() -> None:
    text = report_html(example())
    for told in ("tag value ends in a backslash", "mapping.rewrite.float_not_finite", "influxdb v2.7.12", "https://influxdb.ons.example:8086"):  # fmt: skip
        assert told in text
    assert re.search(r"<tr><td>Load</td>.*?points</td><td class=\"n\">\d+ k/s</td>", text, re.DOTALL)


def test_three_tables_and_500_windows_with_failures_are_below_two_megabytes() -> None:
    found = example()
    assert (len(found.tables), sum(len(table.windows) for table in found.tables)) == (3, 500)
    assert len(report_html(found).encode()) < 0.5 * MEGABYTE
    assert len(report_html(example(all_failed=True)).encode()) < 2 * MEGABYTE


def test_a_report_of_hundreds_of_failed_windows_stays_bounded() -> None:
    one = proof().windows[1]
    many = TableProof("j", "d.t", "b", "t", tuple(replace(one, window=Window(n, n + 1, f"w{n}")) for n in range(400)))
    text = report_html(results_of([many], "validation"))
    assert text.count('<details id="w') == 100
    assert "300 more are in the JSON results" in text


def test_a_table_of_very_many_windows_has_a_square_for_a_row_that_is_proven() -> None:
    one = proof().windows[0]
    hour = 3_600 * 10**9
    windows = tuple(replace(one, window=Window(n * hour, (n + 1) * hour, f"w{n}")) for n in range(4_800))
    text = report_html(results_of([TableProof("j", "d.t", "b", "t", windows)], "validation"))
    assert text.count('class="cell many k"') == 200
    assert "2,800 more are in the JSON results" in text
    assert len(text) < 2 * MEGABYTE


def luminance(colour: str) -> float:
    digits = colour * 2 if len(colour) == 3 else colour
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def themes() -> dict[str, dict[str, str]]:
    """Colours by name: by day, by night, on paper."""
    blocks = [
        dict(re.findall(r"--([\w-]+): #([0-9a-f]{3,6})\b", block))
        for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    ]
    return dict(zip(("light", "dark", "print"), blocks, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    colours = themes()[theme]
    pairs = [(status, f"{status}-bg") for status in SIGNS]
    pairs += [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("page", "card", "wash")]
    pairs.append(("failed-ink", "card"))
    for ink, ground in pairs:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (theme, ink, ground)


def test_numbers_are_written_for_people() -> None:
    assert [duration_text(s) for s in (0.04, 12, 200, 7500)] == ["0.0 s", "12 s", "3 min 20 s", "2 h 05 min"]
    assert [bytes_text(b) for b in (512, 1500, 2.5e9, 3e12)] == ["512 B", "1.5 kB", "2.5 GB", "3.0 TB"]
    assert [short_count(n) for n in (7, 950, 12_345, 310_000, 1_400_000)] == ["7", "950", "12.3 k", "310 k", "1.4 M"]
    assert moment_text("2023-02-01T00:00:00Z") == "2023-02-01 00:00 UTC"
    assert shortened("x" * 50, 40) == "x" * 26 + " … " + "x" * 14
