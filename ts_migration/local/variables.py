"""The environment variables that point any client at an embedded stack: this tool, boto3, influx CLI, Dagster.

Names are those that the clients know by themselves. Values come from the stack's state; nothing is started here.
"""

from ts_migration.local.state import Service, StackState

REGION = "us-east-1"
ACCOUNT = "123456789012"
"""The account that moto invents."""

ORG = "ons-energy"
EXPORT_BUCKET = "migration-export"
SETUP_BUCKET = "ons-energy"
"""The bucket that InfluxDB is set up with; migrations make their own."""
TOPIC_NAME = "migration-notifications"
LAMBDA_NAME = "migration-orchestrator"
STATE_MACHINE_NAME = "migration-state-machine"
ROLE_NAME = "migration-role"

TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:{TOPIC_NAME}"
LAMBDA_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{LAMBDA_NAME}"
STATE_MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STATE_MACHINE_NAME}"

_MOTO_SERVICES = (
    "SNS", "LAMBDA", "SSM", "API_GATEWAY", "APIGATEWAYV2", "CLOUDWATCH", "CLOUDWATCH_LOGS", "SECRETS_MANAGER", "SFN",
    "IAM", "STS",
)  # fmt: skip
"""Service ids as boto3 spells them in AWS_ENDPOINT_URL_<SERVICE>."""


def aws_variables(state: StackState) -> dict[str, str]:
    """Credentials, Region and endpoints for boto3 and the aws command."""
    endpoints = {
        "AWS_ENDPOINT_URL_S3": state.url(Service.S3),
        "AWS_ENDPOINT_URL_TIMESTREAM_QUERY": state.url(Service.TIMESTREAM),
        "AWS_ENDPOINT_URL_TIMESTREAM_WRITE": state.url(Service.TIMESTREAM),
        **{f"AWS_ENDPOINT_URL_{service}": state.url(Service.AWS) for service in _MOTO_SERVICES},
    }
    return {
        "AWS_ACCESS_KEY_ID": state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        # The file-backed S3 does not know the newer checksums that boto3 sends by default.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        **endpoints,
    }


def stack_variables(state: StackState) -> dict[str, str]:
    """Everything a new shell needs to work with the stack: the guide's seven variables first."""
    influxdb = state.url(Service.INFLUXDB)
    return {
        "MIGRATION_ORCHESTRATOR_LAMBDA_ARN": LAMBDA_ARN,
        "MIGRATION_STATE_MACHINE_ARN": STATE_MACHINE_ARN,
        "S3_EXPORT_BUCKET": EXPORT_BUCKET,
        "NOTIFICATION_TOPIC_ARN": TOPIC_ARN,
        "INFLUXDB_URL": influxdb,
        "INFLUXDB_TOKEN": state.influxdb_token,
        "INFLUXDB_ORG": ORG,
        "INFLUX_HOST": influxdb,
        "INFLUX_TOKEN": state.influxdb_token,
        "INFLUX_ORG": ORG,
        **aws_variables(state),
    }
