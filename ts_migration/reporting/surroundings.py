"""What a result was reached with: the configuration, where its systems are, and the versions of what ran. No secrets.

Names of variables are listed here one by one, so that a new one is told only by somebody's decision.
"""

import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.windows import iso

Setting = str | int | float | bool | None
"""A value of the configuration as results tell it; lists are texts with commas."""

PACKAGES = ("ts-migration", "dagster", "polars", "pyarrow", "numpy", "pandera", "pydantic", "boto3", "influxdb-client")
TOLD_VARIABLES = ("s3_export_bucket", "influxdb_url", "influxdb_org")

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")


def job_settings(job: MigrationJob) -> dict[str, Setting]:
    """Every key of a job with its value, defaults included, times as RFC 3339."""
    told = {**job.model_dump(mode="json"), "start_time": iso(job.start_time), "end_time": iso(job.end_time)}
    return dict(_flat(told))


def common_settings(config: MigrationConfig) -> dict[str, Setting]:
    """What applies to all jobs: `migration_settings` and `validation_rules`."""
    sections = {
        "migration_settings": config.migration_settings.model_dump(mode="json"),
        "validation_rules": config.validation_rules.model_dump(mode="json"),
    }
    return dict(_flat(sections))


def told_variables(environment: Environment) -> dict[str, str]:
    """Environment variables that say where things are, those that are set."""
    values = {name.upper(): without_credentials(str(getattr(environment, name))) for name in TOLD_VARIABLES}
    return {name: value for name, value in values.items() if value}


def versions(influxdb: str | None = None) -> dict[str, str]:
    """Program or package -> version, of this process; the InfluxDB server where it told its own."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "influxdb server": influxdb} if influxdb else found


def without_credentials(text: str) -> str:
    """A text whose URLs have lost user, password, query and fragment."""
    return _URL.sub(lambda match: _bare(match[0]), text)


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Setting]]:
    """Keys of sections joined by dots."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, without_credentials(", ".join(map(str, value))) or None
        else:
            yield name, without_credentials(value) if isinstance(value, str) else value
