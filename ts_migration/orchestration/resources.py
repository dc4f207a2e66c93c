"""Dagster resources: the export bucket, Timestream and InfluxDB. Each hands out the product's own clients.

URLs, names and credentials come from the environment when a run starts, so definitions load with every server down and
no variable set; what is missing is then named in one message. No field holds a secret: the UI shows field values.
"""

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from ts_migration.config import Environment, MigrationSettings
from ts_migration.objects import ExportBucket
from ts_migration.operations.target import target_of
from ts_migration.orchestration.liveness import announced_run

if TYPE_CHECKING:
    from ts_migration.influxdb.connection import Target
    from ts_migration.timestream.query import TimestreamQuery
    from ts_migration.timestream.schema import TableSchema


Client = TypeVar("Client")

_clients: dict[Hashable, Any] = {}
_making = threading.Lock()
_schemas: dict[Hashable, tuple[float, "TableSchema"]] = {}
SCHEMA_S = 10.0
"""How long a table's schema counts as told now: the stages of small windows would ask several times a second."""
_SETTINGS = ("AWS_", "INFLUXDB_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT")


def _once(make: Callable[[], Client], *key: Hashable) -> Client:
    """A client made once per process and set of environment variables.

    Dagster makes resources anew for every step, and a boto3 client takes 0.1 s of CPU: half of a small window in all.
    """
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(_SETTINGS)))
    with _making:
        if (key, settings) not in _clients:
            _clients[key, settings] = make()
        made: Client = _clients[key, settings]
        return made


def current_environment() -> Environment:
    """The environment variables of this process."""
    return Environment.read(os.environ)


class ExportBucketResource(S3Resource):
    """The S3 bucket that exports, line protocol files and manifests lie in, with the settings of dagster-aws for S3.

    A kind of S3Resource, and none inside: Dagster makes nested resources anew for every run, 10 ms each time.
    """

    name: str = Field(default="", description="Bucket name; by default the environment variable S3_EXPORT_BUCKET.")

    def get_client(self) -> Any:
        """An S3 client as every part of the product has it; dagster-aws's own where its settings are used."""
        from ts_migration.aws import client

        set_here = self.model_dump(exclude_defaults=True, exclude={"name", "region_name"})
        return super().get_client() if set_here else client("s3", self.region_name)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["ExportBucketResource"]:
        """Itself, while others can see that the run's process lives: every run has this resource, from its start."""
        if context.instance is None or context.run is None:
            yield self
            return
        with announced_run(context.instance, context.run):
            yield self

    def get_object_to_set_on_execution_context(self) -> Any:
        """Itself, and not S3Resource's client, which would be made for every run: 0.1 s."""
        return self

    def bucket(self) -> ExportBucket:
        """The bucket, by its client.

        Raises:
            ConfigurationError: no name is configured.
        """
        if not self.name:
            current_environment().require("s3_export_bucket")
        client = _once(self.get_client, "s3", self.model_dump_json(exclude={"name"}))
        return ExportBucket(client, self.name or current_environment().s3_export_bucket)


class TimestreamResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Timestream's query API; the endpoint by boto3's own AWS_ENDPOINT_URL_TIMESTREAM_QUERY."""

    region: str = Field(default="", description="AWS Region; by default what boto3 finds.")

    def query(self, settings: MigrationSettings) -> "TimestreamQuery":
        """A query client that retries as the settings say."""
        from ts_migration.aws import client
        from ts_migration.timestream.query import Retries, TimestreamQuery

        made = _once(lambda: client("timestream-query", region=self.region or None), "timestream", self.region)
        return TimestreamQuery(made, Retries(settings.max_retry_attempts, settings.retry_delay_seconds))


class InfluxDBResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """InfluxDB 2 as the target; URL, token and organisation by INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG."""

    def target(self) -> "Target":
        """The connection; one pool for the process.

        Raises:
            ConfigurationError: names every variable that is not set.
        """
        return _once(lambda: target_of(current_environment()), "influxdb")


def schema_of(query: "TimestreamQuery", database: str, table: str) -> "TableSchema":
    """A table as DESCRIBE and SHOW MEASURES told it to this process, at most `SCHEMA_S` ago.

    Raises:
        Missing: there is no such database or table.
    """
    from ts_migration.timestream.description import describe

    key = (query.client.meta.endpoint_url, query.client.meta.region_name, database, table)
    known = _schemas.get(key)
    if known is None or time.monotonic() - known[0] > SCHEMA_S:
        # The time before asking: what is told then may be as old as the question.
        asked = time.monotonic()
        known = asked, describe(query, database, table)
        _schemas[key] = known
    return known[1]
