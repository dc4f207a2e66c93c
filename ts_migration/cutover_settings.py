"""The section `cutover` of the configuration: who approves the switch of the applications, and what it does."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from ts_migration.config_values import Section, TimeNs
from ts_migration.cutover_actions import (
    ActionOptions,
    ApiGatewayIntegrationUri,
    ApiGatewayStageVariables,
    CloudWatchDashboard,
    GrafanaDataSource,
    LambdaEnvironment,
    SecretValue,
    SnsMessage,
    SsmParameter,
    Webhook,
)
from ts_migration.placeholders import OF_JOB, names_in, texts_in

Action = Annotated[
    LambdaEnvironment
    | ApiGatewayStageVariables
    | ApiGatewayIntegrationUri
    | SsmParameter
    | SecretValue
    | GrafanaDataSource
    | CloudWatchDashboard
    | SnsMessage
    | Webhook,
    Field(discriminator="type"),
]

ACTIONS: dict[str, type[ActionOptions]] = {
    "lambda_environment": LambdaEnvironment,
    "api_gateway_stage_variables": ApiGatewayStageVariables,
    "api_gateway_integration_uri": ApiGatewayIntegrationUri,
    "ssm_parameter": SsmParameter,
    "secrets_manager": SecretValue,
    "grafana_data_source": GrafanaDataSource,
    "cloudwatch_dashboard": CloudWatchDashboard,
    "sns_message": SnsMessage,
    "webhook": Webhook,
}


class CutoverSettings(Section):
    """What happens once everything is proven, and who says so."""

    approval: Literal["manual", "automatic"] = "manual"
    """manual: the job that the sensor requests records that it waits; `ts-migration cutover --apply` wants a yes."""
    dual_write_since: TimeNs | None = None
    """Since when applications have been writing to both systems, ns."""
    actions: tuple[Action, ...] = Field(default=(), strict=False)
    """In this order."""


def job_problems(cutover: CutoverSettings, jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """Actions whose job is not there, or whose placeholders mean another value for each job. A line each.

    Args:
        cutover: the section.
        jobs: placeholder -> value, of each job.
    """
    problems = []
    known = ", ".join(repr(job["job"]) for job in jobs)
    for number, action in enumerate(cutover.actions, 1):
        where = f"cutover: action {number} ({action.type})"
        if action.job is not None and action.job not in {job["job"] for job in jobs}:
            problems.append(f"{where}: job = {action.job!r}: not allowed; allowed: {known}")
        used = {name for text in texts_in(action.model_dump(exclude={"job"})) for name in names_in(text)}
        for name in sorted(used & set(OF_JOB)):
            if action.job is None and len({job[name] for job in jobs}) > 1:
                problems.append(f"{where}: {{{name}}} is another one for each job; allowed: with job, one of {known}")
    return problems
