"""Dagster's entry point: configuration to Definitions, nothing else."""

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions of the configured migration: TS_MIGRATION_CONFIG, else the file in this folder, else the example."""
    from ts_migration.orchestration.configured import configured
    from ts_migration.orchestration.table_definitions import build_definitions

    return build_definitions(configured())
