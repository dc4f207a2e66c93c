"""Sensors: `rollup_sensor` materialises a table's `migrated` once every window of it is current and green.

It looks at Dagster's event log alone, so it does not matter who ran the windows. It asks for exactly one roll-up per
newest check: a table that changes later is rolled up again, and until then what was rolled up is taken back. Every
skipped tick says what it waits for. Each tick also ends the runs of this machine's dead processes.
"""

from collections.abc import Sequence

import dagster as dg

from ts_migration.config import MigrationConfig
from ts_migration.orchestration.check_state import TableState, table_state
from ts_migration.orchestration.jobs import Job
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import JOB_NAME_TAG, TableNames
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration.orchestration.run_history import running_windows

TICK_S = 10
"""A slot of a pool that a killed run left claimed is free after so long: the next load waits half a minute at most."""
NAMED_WINDOWS = 3


def rollup_sensor(config: MigrationConfig, roll_up_jobs: Sequence[Job]) -> dg.SensorDefinition:
    """One sensor over all tables; on by default."""

    @dg.sensor(
        name="rollup_sensor",
        jobs=roll_up_jobs,
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Materialises <table>/migrated when every window of the table is current and green.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # They would fill the daemon's queue and its pools until somebody runs a command.
        fail_dead_runs(context.instance)
        requests: list[dg.RunRequest] = []
        waiting: list[str] = []
        for job in config.migration_jobs:
            names = TableNames.of(config, job)
            state = table_state(context.instance, names, job.grid.keys)
            if not state.complete:
                if job.validation_enabled and not running_windows(context.instance, names):
                    # A window that is being checked again is not open for good.
                    revoke_roll_up(context.instance, names, state.why_open)
                waiting.append(f"{job.source}: {waits_for(state)}")
            elif state.rolled_up:
                waiting.append(f"{job.source}: rolled up, nothing has changed since")
            else:
                requests.append(
                    dg.RunRequest(
                        job_name=names.roll_up_job,
                        run_key=f"{names.joined}-{state.newest}" + (f"-{state.revoked}" if state.revoked else ""),
                        tags={JOB_NAME_TAG: job.slug},
                    )
                )
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("; ".join(waiting))

    return sensor


def waits_for(state: TableState) -> str:
    """Why a table is not rolled up yet: how many windows are open, for which reasons, and the first of each."""
    reasons = [
        f"{len(keys)} {reason} ({', '.join(keys[:NAMED_WINDOWS])}{' …' if len(keys) > NAMED_WINDOWS else ''})"
        for reason, keys in state.reasons.items()
    ]
    return f"{len(state.open)} of {len(state.keys)} windows are not green: {', '.join(reasons)}"
