"""The InfluxDB connection that the environment names, its token read from Secrets Manager where it lies there."""

from ts_migration.aws import with_influxdb_token
from ts_migration.config import Environment
from ts_migration.influxdb.connection import Target


def target_of(environment: Environment, region: str | None = None) -> Target:
    """The connection.

    Raises:
        ConfigurationError: names every variable that is not set.
        MigrationError: the secret cannot be read.
    """
    token = "influxdb_token_secret_arn" if environment.influxdb_token_secret_arn else "influxdb_token"
    environment.require("influxdb_url", "influxdb_org", token)
    complete = with_influxdb_token(environment, region)
    return Target(complete.influxdb_url, complete.influxdb_org, complete.influxdb_token)


def target_if_set(environment: Environment, region: str | None = None) -> Target | None:
    """The connection, or None where the environment does not name one whole."""
    token = environment.influxdb_token_secret_arn or environment.influxdb_token.get_secret_value()
    if not (environment.influxdb_url and environment.influxdb_org and token):
        return None
    return target_of(environment, region)
