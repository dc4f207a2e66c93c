"""The HTML report: one self-contained file from the results. No network, no script needed, opens on a phone.

Every text is escaped by the template engine, and its hidden characters are shown by their codes. What is shown is
decided in `page`; where the file is put is not decided here.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ts_migration.reporting.figures import bytes_text, duration_text, grouped, moment_text, short_count
from ts_migration.reporting.page import first_to_look_at, pages
from ts_migration.reporting.results import MigrationResults
from ts_migration.reporting.visible import visible
from ts_migration.reporting.words import MEANINGS, SIGNS, counted, summary

TEMPLATE = "report.html.j2"
STAGE_TITLES = {"export": "Export", "line_protocol": "Convert", "load": "Load", "verdicts": "Check"}


def report_html(results: MigrationResults) -> str:
    """The report as one HTML document."""
    sections = pages(results)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            results=results,
            summary=summary(results),
            counts=counted(results),
            pages=sections,
            first=first_to_look_at(sections),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ts_migration.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "grouped": grouped,
        "duration": duration_text,
        "bytes": bytes_text,
        "short": short_count,
        "moment": moment_text,
    }
    environment.globals |= {"signs": SIGNS, "meanings": MEANINGS, "stage_titles": STAGE_TITLES}
    return environment


def _shown(value: object) -> object:
    """What an expression of the template came to, as it is shown."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
