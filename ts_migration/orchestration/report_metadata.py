"""The report as the metadata of its asset. Apart from `metadata`: definitions load without the report's engine."""

import dagster as dg

from ts_migration.operations.report import WrittenReport
from ts_migration.orchestration.metadata import TABLE_ROWS, Metadata
from ts_migration.reporting.results import MigrationResults
from ts_migration.reporting.words import summary


def report_metadata(results: MigrationResults, written: WrittenReport) -> Metadata:
    """Where the report is, what it says in words, and its tables."""
    told = summary(results)
    links = {"report": written.html_uri, "results": written.json_uri}
    if written.console_url:
        links["report in the S3 console"] = written.console_url
    rows: list[dict[str, str | int]] = [
        {"job": table.job, "status": table.status, "windows": len(table.windows), **table.statuses}
        for table in results.tables[:TABLE_ROWS]
    ]
    return {
        **{name: dg.MetadataValue.url(link) for name, link in links.items()},
        "status": results.status,
        "in words": f"{told.headline}. {told.found} {told.meaning}",
        "next": (results.next_step and results.next_step.command) or "nothing is left to do",
        "tables": dg.MetadataValue.table(
            records=[dg.TableRecord({**row}) for row in rows],
            schema=dg.TableSchema(
                [dg.TableColumn(key, "int" if isinstance(value, int) else "string") for key, value in rows[0].items()]
                if rows
                else []
            ),
        ),
    }
