"""Looks at what the guide's variables name beside the pipeline: topic, Lambda, state machine. All are optional.

Each look is a read that changes nothing. A variable that is not set is `not configured` and no failure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.aws import client
from ts_migration.config import Environment
from ts_migration.objects import aws_error
from ts_migration.operations.findings import Finding, FindingStatus, accessible, failed


@dataclass(frozen=True, slots=True)
class _Component:
    """A component by the variable that names it, and the read that shows it is there."""

    name: str
    variable: str
    service: str
    look: Callable[[Any, str], object]


_COMPONENTS = (
    _Component("SNS topic", "notification_topic_arn", "sns", lambda sns, arn: sns.get_topic_attributes(TopicArn=arn)),
    _Component(
        "Lambda function",
        "migration_orchestrator_lambda_arn",
        "lambda",
        lambda functions, arn: functions.get_function_configuration(FunctionName=arn),
    ),
    _Component(
        "Step Functions state machine",
        "migration_state_machine_arn",
        "stepfunctions",
        lambda machines, arn: machines.describe_state_machine(stateMachineArn=arn),
    ),
)


def look_at_optional_components(environment: Environment, region: str | None) -> list[Finding]:
    """One finding each for topic, Lambda and state machine."""
    return [_look(component, getattr(environment, component.variable), region) for component in _COMPONENTS]


def _look(component: _Component, arn: str, region: str | None) -> Finding:
    variable = component.variable.upper()
    if not arn:
        return Finding(component.name, FindingStatus.NOT_CONFIGURED, f"{variable} is not set; nothing here needs it")
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        return Finding(
            component.name,
            FindingStatus.FAILED,
            f"{variable} = {arn!r} is no ARN",
            f"set it to the ARN, arn:aws:{component.service}:region:account:name, or unset it",
        )
    try:
        component.look(client(component.service, parts[3] or region), arn)
    except (ClientError, BotoCoreError) as error:
        return failed(component.name, aws_error(error, arn), f"check {variable}, or unset it: nothing here needs it")
    return accessible(component.name, arn)
