"""What one run says of itself, read on from where it was read to: the step it is at, warnings, and its log as lines."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.events.log import EventLogEntry

from ts_migration.orchestration.failures import cause_of
from ts_migration.orchestration.names import CONVERTED_FILES, TableNames

STEPS = {
    "export_files": "export",
    **dict.fromkeys(CONVERTED_FILES.values(), "conversion"),
    "influxdb_bucket": "load",
    "migrated": "roll-up",
    "migration_report": "report",
}
_TOLD = {
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
}
"""Events that are lines of a log; what Dagster tells of its own machinery is none."""


@dataclass(frozen=True)
class LogLine:
    """One line: when (Unix time), how grave, and what."""

    when: float
    level: str
    text: str


class RunLog:
    """The log of one run."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._cursor: str | None = None
        self.step = "starting"
        self.since = 0.0
        """When the step began, Unix time; 0 before the first."""
        self.warnings: list[str] = []
        self.open = True
        """Whether there may be more to read."""

    def look(self) -> list[LogLine]:
        """Read on; the lines that are new."""
        lines: list[LogLine] = []
        while True:
            found = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
            self._cursor = found.cursor
            for record in found.records:
                lines += self._taken_in(record.event_log_entry)
            if not found.has_more:
                return lines

    def _taken_in(self, entry: EventLogEntry) -> Iterator[LogLine]:
        event = entry.dagster_event
        if event is None:
            number = int(entry.level)
            if number >= logging.WARNING:
                self.warnings.append(entry.user_message)
            yield LogLine(entry.timestamp, logging.getLevelName(number), entry.user_message)
            return
        if event.event_type is dg.DagsterEventType.STEP_START:
            node = (entry.step_key or "").rpartition("__")[2]
            self.step, self.since = STEPS.get(node, "checks"), entry.timestamp
            yield LogLine(entry.timestamp, "INFO", f"step {self.step}")
        elif event.event_type in _TOLD:
            text, level = _words(event)
            if event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
                self.warnings.append(text)
            yield LogLine(entry.timestamp, level, text)


def _words(event: dg.DagsterEvent) -> tuple[str, str]:
    """An event as a line, and its level."""
    match event.event_type:
        case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            return (
                f"check {found.check_name} {'passed' if found.passed else 'failed'}",
                "INFO" if found.passed else "ERROR",
            )
        case dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            counts = [f"{made.metadata[name].value:,} {name}" for name in ("rows", "points") if name in made.metadata]
            return f"{'/'.join(made.asset_key.path)} is done{': ' if counts else ''}{', '.join(counts)}", "INFO"
        case dg.DagsterEventType.STEP_UP_FOR_RETRY:
            error = event.step_retry_data.error
            return f"tried again: {error.message.strip() if error else event.message}", "WARNING"
        case dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            told = data.user_failure_data
            words = (told.description if told else None) or (cause_of(data.error) if data.error else event.message)
            return (words or "the step failed").strip(), "ERROR"
        case _:
            return event.message or event.event_type_value, "ERROR"


def table_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> TableNames | None:
    """The table that a run works on, by the assets that it was planned to make; None of other runs."""
    keys = list(run.asset_selection or ()) + [check.asset_key for check in run.asset_check_selection or ()]
    if not keys:
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        found = instance.get_records_for_run(run.run_id, of_type=planned, limit=5).records
        events = [record.event_log_entry.dagster_event for record in found]
        keys = [event.asset_key for event in events if event is not None and event.asset_key is not None]
    for key in keys:
        if len(key.path) > 1 and key.path[-1] in STEPS:
            return TableNames(tuple(key.path[:-1]))
    return None
