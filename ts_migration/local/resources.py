"""What the guide expects to find in the AWS account: export bucket, topic, Lambda, state machine and their role.

Made through boto3 against the embedded servers, each unless it is there. moto forgets everything when it ends, so `up`
makes them every time; the bucket is a folder and stays.
"""

import io
import json
import zipfile
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.local.faults.dialects import OWN_AGENT
from ts_migration.local.state import Service, StackState
from ts_migration.local.variables import EXPORT_BUCKET, LAMBDA_NAME, REGION, ROLE_NAME, STATE_MACHINE_NAME, TOPIC_NAME
from ts_migration.objects import raise_aws_error

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
_HANDLER = "def handler(event, context):\n    return {'accepted': event}\n"
_EXISTS = {
    "EntityAlreadyExists", "ResourceConflictException", "StateMachineAlreadyExists", "BucketAlreadyOwnedByYou",
    "BucketAlreadyExists",
}  # fmt: skip


def make_resources(state: StackState) -> None:
    """Make what is missing.

    Raises:
        MigrationError: a server refused.
    """
    try:
        _unless_there(lambda: _client(state, "s3", Service.S3).create_bucket(Bucket=EXPORT_BUCKET))
        _client(state, "sns").create_topic(Name=TOPIC_NAME)
        role = f"arn:aws:iam::123456789012:role/{ROLE_NAME}"
        _unless_there(
            lambda: _client(state, "iam").create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=json.dumps(_TRUST))
        )
        _unless_there(
            lambda: _client(state, "lambda").create_function(
                FunctionName=LAMBDA_NAME,
                Runtime="python3.12",
                Role=role,
                Handler="main.handler",
                Code={"ZipFile": _lambda_zip()},
            )
        )
        _unless_there(
            lambda: _client(state, "stepfunctions").create_state_machine(
                name=STATE_MACHINE_NAME, definition=json.dumps(_STATES), roleArn=role
            )
        )
    except (ClientError, BotoCoreError) as error:
        raise_aws_error(error, "embedded stack")


_STATES = {"StartAt": "Accepted", "States": {"Accepted": {"Type": "Pass", "End": True}}}


def _lambda_zip() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("main.py", _HANDLER)
    return archive.getvalue()


def _unless_there(create: Any) -> None:
    try:
        create()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _EXISTS:
            raise


def _client(state: StackState, name: str, service: Service = Service.AWS) -> Any:
    """A client with the stack's own keys and URL, whatever the shell's variables say."""
    return boto3.client(  # type: ignore[call-overload]
        name,
        endpoint_url=state.url(service),
        region_name=REGION,
        aws_access_key_id=state.access_key_id,
        aws_secret_access_key=state.secret_access_key,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            proxies={},
            user_agent_extra=OWN_AGENT,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
