"""What commands about a configuration begin with: shared options, `.env`, the configuration, the environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import warn
from ts_migration.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ts_migration.config import Environment, MigrationConfig, MigrationJob

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="Configuration file; default: $TS_MIGRATION_CONFIG, else migration_config.yaml."),
]
RegionOption = Annotated[str | None, typer.Option("--region", help="AWS Region; default: what boto3 finds.")]
ParallelJobsOption = Annotated[
    int | None,
    typer.Option("--parallel-jobs", min=1, max=64, help="Windows at a time; default: the configuration's."),
]
OnlyOption = Annotated[str | None, typer.Option("--only", help="Work on this one job, by its job_name.")]


@dataclass(frozen=True)
class Work:
    """A loaded configuration, where it came from, and the environment to work in."""

    config: "MigrationConfig"
    path: Path
    environment: "Environment"


def begin(config: str | None, *, parallel_jobs: int | None = None, only: str | None = None) -> Work:
    """Make the process ready and load the configuration.

    Raises:
        MigrationError: there is no configuration, it has mistakes, or no job has the name `only`.
    """
    from ts_migration.config import load_config
    from ts_migration.environment import activate, config_path, differing_variables

    cwd = Path.cwd()
    differing = differing_variables(cwd, os.environ)
    path = config_path(config, activate(cwd), cwd)
    loaded = load_config(path)
    if only:
        loaded.job(only)
    # Again, now that the limit of the daemon's runs is known.
    environment = activate(cwd, parallel_jobs=parallel_jobs or loaded.migration_settings.parallel_jobs)
    if differing:
        names = ", ".join(differing)
        warn(f"the shell and .env differ (the shell wins here; `dagster dev` takes .env): {names}")
    return Work(loaded, path, environment)


def window_keys(text: str | None, jobs: "Sequence[MigrationJob]") -> tuple[str, str] | None:
    """First and last partition key of a `--window`: KEY or FROM..TO. None where it is not given.

    Raises:
        Missing: a key is not one of every job.
        ConfigurationError: it ends before it begins.
    """
    if text is None:
        return None
    first, dots, last = text.partition("..")
    keys = (first, last if dots else first)
    for job in jobs:
        job.grid.between(*keys)
    if keys[0] > keys[1]:
        raise ConfigurationError([f"--window {text!r} ends before it begins"], where="command line")
    return keys
