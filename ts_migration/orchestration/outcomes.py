"""What a Dagster run came to, read from its own events: counts, verdicts, and the error of the step that failed."""

import dagster as dg

from ts_migration.errors import MigrationError
from ts_migration.orchestration.failures import FAILURE_KIND, PERMANENT
from ts_migration.orchestration.names import (
    REMOVED_KEPT,
    REMOVED_POINTS,
    WINDOW_CHECKS,
    WINDOW_REASON,
    WINDOW_STATUS,
    TableNames,
)
from ts_migration.orchestration.tasks import Outcome
from ts_migration.stages.extras import Removed

NOT_PROVEN, PASSED, FAILED = "not proven", "passed", "failed"


def outcome_of_window(result: dg.ExecuteInProcessResult, names: TableNames, seconds: float) -> Outcome:
    """The outcome of one window's run."""
    metadata = {
        event.asset_key: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }

    def number(key: dg.AssetKey, name: str) -> int:
        value = metadata.get(key, {}).get(name)
        return int(str(value.value)) if value is not None else 0

    evaluations = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key == names.influxdb_bucket and evaluation.check_name in WINDOW_CHECKS
    ]
    passed = sum(evaluation.passed for evaluation in evaluations)
    failed_checks = [
        evaluation.check_name for evaluation in result.get_asset_check_evaluations() if not evaluation.passed
    ]

    def told(name: str) -> str:
        values = [evaluation.metadata[name].value for evaluation in evaluations if name in evaluation.metadata]
        return str(values[0]) if values else ""

    # No count of passed checks tells a proven window from one with quarantined rows: the verdicts' manifest does.
    status = (told(WINDOW_STATUS) or NOT_PROVEN) if result.success and len(evaluations) == passed else FAILED
    error, permanent = _error_of(result)
    if failed_checks:
        error, permanent = f"checks failed: {', '.join(failed_checks)}", False
    return Outcome(
        ok=result.success,
        seconds=seconds,
        rows=number(names.converted_files, "rows"),
        points=number(names.converted_files, "points"),
        values=number(names.converted_files, "values"),
        bytes=number(names.converted_files, "bytes"),
        quarantined=number(names.converted_files, "quarantined"),
        checks_passed=passed,
        checks_failed=len(evaluations) - passed,
        status=status,
        reason=told(WINDOW_REASON) if status == PASSED else "",
        error="" if result.success else error,
        permanent=permanent,
        for_good=not result.success and (bool(failed_checks) or _kind_of(result) == PERMANENT),
        run_id=result.run_id,
    )


def removed_of(result: dg.ExecuteInProcessResult) -> Removed:
    """What a run of `repair` deleted from the bucket."""
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if REMOVED_POINTS in metadata:
            return Removed(int(str(metadata[REMOVED_POINTS].value)), str(metadata[REMOVED_KEPT].value))
    return Removed()


def outcome_of_roll_up(result: dg.ExecuteInProcessResult, seconds: float) -> Outcome:
    """The outcome of a roll-up's run."""
    error, permanent = _error_of(result)
    # A warning is no failure of the roll-up: windows that only passed are told with their reasons, whoever ran them.
    failed = [
        f"{evaluation.check_name}{_first_finding(evaluation)}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        error = f"checks failed: {', '.join(failed)}"
    return Outcome(
        ok=result.success and not failed, seconds=seconds, error=error, permanent=permanent, run_id=result.run_id
    )


def _first_finding(evaluation: dg.AssetCheckEvaluation) -> str:
    """The first line of a check's evidence, in brackets."""
    evidence = evaluation.metadata.get("evidence")
    records = evidence.records if isinstance(evidence, dg.TableMetadataValue) else ()
    return f" ({records[0].data['finding']})" if records else ""


def outcome_of_error(error: MigrationError, seconds: float) -> Outcome:
    """The outcome of a task that raised before it became a run."""
    return Outcome(ok=False, seconds=seconds, error=str(error), permanent=True)


def _kind_of(result: dg.ExecuteInProcessResult) -> str:
    """Kind of the first failed step's error, "" where none was told by the product."""
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            told = event.step_failure_data.user_failure_data
            kind = told.metadata.get(FAILURE_KIND) if told else None
            return str(kind.value) if kind is not None else ""
    return ""


def _error_of(result: dg.ExecuteInProcessResult) -> tuple[str, bool]:
    """The message of the first failed step, and whether it was told by the product: retries are used up by then."""
    for event in result.all_events:
        if event.event_type is not dg.DagsterEventType.STEP_FAILURE:
            continue
        data = event.step_failure_data
        told = data.user_failure_data
        if told and told.description:
            return told.description, True
        if data.error:
            # Dagster's own error only says which op it was.
            error = data.error
            while error.cause:
                error = error.cause
            return error.message.strip(), False
    return "", False
