"""Makes the pictures of the report in `docs/`: `python -m ts_migration_tests.reporting.pictures`. Needs Chromium."""

import tempfile
from pathlib import Path

from ts_migration.reporting.html import report_html
from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.reporting.browser import browser
from ts_migration_tests.reporting.example import example, moment

DOCS = CHECKOUT / "docs"


def main() -> None:
    """The page on a desk, and on a phone."""
    with tempfile.TemporaryDirectory() as folder, browser() as tab:
        page = Path(folder) / "report.html"
        page.write_text(report_html(example(generated_at=moment())), encoding="utf-8")
        tab.open(page, 1120)
        tab.screenshot(DOCS / "report.png", height=2040)
        tab.open(page, 390, 844, scale=1.5)
        tab.screenshot(DOCS / "report-phone.png", height=1750)
        assert not tab.complaints, tab.complaints


if __name__ == "__main__":
    main()
