"""The HTML report: one self-contained file from the results. No network, no script needed, opens on a phone.

Every text is escaped by the template engine. What the results mean is in `results`; where the file is put is not
decided here.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ts_migration.reporting.results import MigrationResults

TEMPLATE = "report.html.j2"

SHOWN_FAILURES = 200
"""Failed windows with their evidence; a report of a whole failed table must still open."""


def report_html(results: MigrationResults) -> str:
    """The report as one HTML document."""
    return _environment().get_template(TEMPLATE).render(results=results, shown_failures=SHOWN_FAILURES)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ts_migration.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": _grouped, "duration": duration_text, "bytes": bytes_text}
    return environment


def _grouped(number: int) -> str:
    return f"{number:,}"


def duration_text(seconds: float) -> str:
    """Seconds for people: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_text(count: float) -> str:
    """Bytes for people, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
