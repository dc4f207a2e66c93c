"""Which configuration Dagster's processes load: they have no command line that could name it."""

import os
from pathlib import Path

from ts_migration.config import DEFAULT_CONFIG, MigrationConfig, load_config
from ts_migration.errors import Missing


def configured_path() -> Path:
    """The configuration file: TS_MIGRATION_CONFIG, else the one in this folder, else the example under scripts/.

    Raises:
        Missing: there is none of them.
    """
    named = os.environ.get("TS_MIGRATION_CONFIG")
    candidates = [Path(named)] if named else [Path(DEFAULT_CONFIG), Path("scripts") / DEFAULT_CONFIG]
    for path in candidates:
        if path.is_file():
            return path
    raise Missing(
        f"there is no configuration file {candidates[0]}",
        where=f"folder {Path.cwd()}",
        next_step="set TS_MIGRATION_CONFIG, or start in the folder that holds migration_config.yaml",
    )


def configured() -> MigrationConfig:
    """The configuration that `configured_path` names."""
    return load_config(configured_path())
