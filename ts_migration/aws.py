"""The one place that makes AWS clients, and that turns a secret's ARN into the InfluxDB token.

Credentials, profile, assumed roles, proxies (`HTTPS_PROXY`), private CAs (`AWS_CA_BUNDLE`) and endpoints
(`AWS_ENDPOINT_URL_*`) come from boto3's own environment variables and files; nothing of that is read here.
"""

import json
import os
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, InvalidConfigError, NoRegionError, ProfileNotFound
from pydantic import SecretStr

from ts_migration.config import Environment
from ts_migration.errors import Permanent
from ts_migration.objects import raise_aws_error

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_timestream_query.client import TimestreamQueryClient
    from mypy_boto3_timestream_write.client import TimestreamWriteClient

READ_TIMEOUT_S = 90
"""A synchronous Timestream query may hold its answer for up to 60 s (facts of the query API, section 3)."""

_TOKEN_KEYS = ("token", "admin_token", "influxdb_token", "INFLUXDB_TOKEN")


@overload
def client(service: Literal["s3"], region: str | None = ...) -> "S3Client": ...
@overload
def client(service: Literal["timestream-query"], region: str | None = ...) -> "TimestreamQueryClient": ...
@overload
def client(service: Literal["timestream-write"], region: str | None = ...) -> "TimestreamWriteClient": ...
@overload
def client(service: str, region: str | None = ...) -> Any: ...
def client(service: str, region: str | None = None) -> Any:
    """A boto3 client with the product's time-outs, retries and user agent. Threads may share it.

    Checksums are sent and asked for only where S3 requires them: other S3 servers do not know the newer ones.

    Raises:
        Permanent: no Region, an unknown profile or broken settings.
    """
    settings = Config(
        connect_timeout=10,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": 6},
        max_pool_connections=32,
        user_agent_extra="ts-migration",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return boto3.Session(region_name=region).client(service, config=settings)  # type: ignore[call-overload]
    except NoRegionError:
        raise Permanent(
            "no AWS Region is set",
            where=service,
            next_step="pass --region, or export AWS_DEFAULT_REGION=us-east-1, or run `ts-migration local up`",
        ) from None
    except (ProfileNotFound, InvalidConfigError, ValueError) as error:
        raise Permanent(f"{error}", where=service, next_step="check the AWS_* variables and ~/.aws/config") from error


def region_of(service_client: Any) -> str:
    """The Region that a client talks to."""
    return str(service_client.meta.region_name or os.environ.get("AWS_DEFAULT_REGION", ""))


def with_influxdb_token(environment: Environment, region: str | None = None) -> Environment:
    """The environment with INFLUXDB_TOKEN filled in from Secrets Manager where only INFLUXDB_TOKEN_SECRET_ARN is set.

    The secret holds the token as plain text, or JSON with the key `token`.

    Raises:
        Permanent: the secret cannot be read or holds no token (the one that Timestream for InfluxDB makes holds user
            name and password only).
    """
    arn = environment.influxdb_token_secret_arn
    if environment.influxdb_token.get_secret_value() or not arn:
        return environment
    try:
        text = client("secretsmanager", region or _region_of_arn(arn)).get_secret_value(SecretId=arn)["SecretString"]
    except (ClientError, BotoCoreError) as error:
        raise_aws_error(error, arn)
    except KeyError:
        raise Permanent("the secret holds bytes and no text", where=arn, allowed=_WHAT_IT_HOLDS) from None
    return environment.model_copy(update={"influxdb_token": SecretStr(_token_in(text, arn))})


_WHAT_IT_HOLDS = "the token as text, or JSON with the key token"


def _token_in(text: str, arn: str) -> str:
    try:
        content = json.loads(text)
    except ValueError:
        return text.strip()
    if not isinstance(content, dict):
        return text.strip()
    token = next((content[key] for key in _TOKEN_KEYS if content.get(key)), None)
    if not isinstance(token, str):
        keys = ", ".join(sorted(map(str, content)))
        raise Permanent(
            f"the secret holds no token; its keys are {keys}",
            where=arn,
            allowed=_WHAT_IT_HOLDS,
            next_step="create an API token in InfluxDB and store it in a secret of its own",
        )
    return token


def _region_of_arn(arn: str) -> str | None:
    parts = arn.split(":")
    return parts[3] if len(parts) > 6 and parts[3] else None
