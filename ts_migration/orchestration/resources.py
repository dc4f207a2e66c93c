"""Dagster resources: the export bucket, Timestream and InfluxDB. Each hands out the product's own clients.

URLs, names and credentials come from the environment when a run starts, so definitions load with every server down and
no variable set; what is missing is then named in one message. No field holds a secret: the UI shows field values.
"""

import os
from typing import TYPE_CHECKING

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from ts_migration.config import Environment
from ts_migration.objects import ExportBucket

if TYPE_CHECKING:
    from ts_migration.influxdb.connection import Target
    from ts_migration.timestream.query import TimestreamQuery


def current_environment() -> Environment:
    """The environment variables of this process."""
    return Environment.read(os.environ)


class ExportBucketResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The S3 bucket that exports, line protocol files and manifests lie in."""

    s3: dg.ResourceDependency[S3Resource]
    name: str = Field(default="", description="Bucket name; by default the environment variable S3_EXPORT_BUCKET.")

    def bucket(self) -> ExportBucket:
        """The bucket, by its client.

        Raises:
            ConfigurationError: no name is configured.
        """
        if not self.name:
            current_environment().require("s3_export_bucket")
        return ExportBucket(self.s3.get_client(), self.name or current_environment().s3_export_bucket)


class TimestreamResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Timestream's query API; the endpoint by boto3's own AWS_ENDPOINT_URL_TIMESTREAM_QUERY."""

    region: str = Field(default="", description="AWS Region; by default what boto3 finds.")

    _query: "TimestreamQuery | None" = PrivateAttr(default=None)

    def query(self) -> "TimestreamQuery":
        """A query client."""
        from ts_migration.aws import client
        from ts_migration.timestream.query import TimestreamQuery

        if self._query is None:
            self._query = TimestreamQuery(client("timestream-query", region=self.region or None))
        return self._query


class InfluxDBResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """InfluxDB 2 as the target; URL, token and organisation by INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG."""

    _target: "Target | None" = PrivateAttr(default=None)

    def target(self) -> "Target":
        """The connection; one pool for the process.

        Raises:
            ConfigurationError: names every variable that is not set.
        """
        if self._target is None:
            self._target = target_of(current_environment())
        return self._target


def target_of(environment: Environment) -> "Target":
    """The InfluxDB connection that an environment names.

    Raises:
        ConfigurationError: names every variable that is not set.
    """
    from ts_migration.aws import with_influxdb_token
    from ts_migration.influxdb.connection import Target

    token = "influxdb_token_secret_arn" if environment.influxdb_token_secret_arn else "influxdb_token"
    environment.require("influxdb_url", "influxdb_org", token)
    complete = with_influxdb_token(environment)
    return Target(complete.influxdb_url, complete.influxdb_org, complete.influxdb_token)
