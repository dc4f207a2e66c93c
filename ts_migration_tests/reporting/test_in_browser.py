"""The report in headless Chromium: no complaint, no request, two clicks to a differing point, phone, print, search."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ts_migration.reporting.html import report_html
from ts_migration_tests.reporting.browser import Browser, browser, installed
from ts_migration_tests.reporting.example import example
from ts_migration_tests.reporting.proofs import results

pytestmark = pytest.mark.skipif(installed() is None, reason="no Chromium or Chrome is installed")

WINDOW = "#w1-132"
"""2024-05-11 of the first table: failed, and closed when the page opens."""
SHOWN = f"document.querySelector('{WINDOW} .points td').checkVisibility()"


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(example()), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def quiet(tab: Browser) -> Iterator[None]:
    """Nothing is complained about or asked of a network, in any of these tests."""
    yield
    assert tab.complaints == []
    assert tab.requested == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_is_never_wider_than_the_screen(tab: Browser, page: Path, width: int) -> None:
    tab.open(page, width)
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_a_failed_windows_points_are_one_click_away_and_two_without_script(tab: Browser, page: Path) -> None:
    tab.open(page)
    assert not tab.evaluate(SHOWN)
    tab.click(f".first a[href='{WINDOW}']")
    assert tab.becomes(SHOWN)

    tab.open(page, script=False)
    tab.click(f".first a[href='{WINDOW}']")
    if not tab.evaluate(SHOWN):
        tab.click(f"{WINDOW} summary")
    assert tab.becomes(SHOWN)


def test_a_square_of_the_grid_leads_to_its_window_too(tab: Browser, page: Path) -> None:
    tab.open(page, 390, 844)
    tab.click(f".cell[href='{WINDOW}']")
    assert tab.becomes(SHOWN)
    tab.click(".cell[href='#r1-1']")
    assert tab.becomes("document.querySelector('#r1-1').checkVisibility()")


def test_windows_are_found_by_status_and_by_words(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.click(".tools button[data-s=failed]")
    assert tab.evaluate("document.getElementById('told').textContent") == "5 of 500 windows"
    assert tab.evaluate("document.querySelector('#t3').hidden")
    tab.click(".tools button[data-s=failed]")
    tab.evaluate("document.querySelector('.tools input').focus()")
    tab.call("Input.insertText", text="2023-03-27")
    tab.evaluate("new Promise(done => setTimeout(done, 250))", wait=True)
    assert tab.evaluate("document.getElementById('told').textContent") == "1 of 500 windows"
    assert tab.evaluate("document.querySelectorAll('.cell:not(.off)').length") == 1


def test_without_script_nothing_is_missing_but_the_search(tab: Browser, page: Path) -> None:
    tab.open(page, script=False)
    assert tab.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert tab.evaluate("document.querySelectorAll('.cell').length") == 500


def test_on_paper_the_points_are_there_and_the_search_is_not(tab: Browser, page: Path, tmp_path: Path) -> None:
    tab.open(page)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.becomes(SHOWN)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not tab.evaluate(SHOWN)
    tab.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_values_that_are_markup_stay_text(tab: Browser, tmp_path: Path) -> None:
    path = tmp_path / "evil.html"
    path.write_text(report_html(results()), encoding="utf-8")
    tab.open(path)
    assert tab.evaluate("document.querySelectorAll('script').length") == 1
    assert "<script>alert" in tab.evaluate("document.querySelector('h2').textContent")
    assert "</details></style>" in tab.evaluate("document.querySelector('.points').textContent")
