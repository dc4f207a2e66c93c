"""The kinds of actions by the `type` of their configuration and of what undoes them."""

from typing import Any

from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.dashboard import Dashboard
from ts_migration.cutover.grafana import DataSource
from ts_migration.cutover.integration_uri import IntegrationUri
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.lambda_environment import LambdaVariables
from ts_migration.cutover.message import Message, WebhookCall
from ts_migration.cutover.secret_value import Secret
from ts_migration.cutover.ssm_parameter import Parameter
from ts_migration.cutover.stage_variables import StageVariables

_KINDS: dict[str, type[Kind[Any, Any]]] = {
    "lambda_environment": LambdaVariables,
    "api_gateway_stage_variables": StageVariables,
    "api_gateway_integration_uri": IntegrationUri,
    "rest_integration_uri": IntegrationUri,
    "http_integration_uri": IntegrationUri,
    "ssm_parameter": Parameter,
    "secrets_manager": Secret,
    "grafana_data_source": DataSource,
    "cloudwatch_dashboard": Dashboard,
    "sns_message": Message,
    "webhook": WebhookCall,
}


def kind_of(type_: str, clients: CutoverClients) -> Kind[Any, Any]:
    """The kind of an action or an undo, by its type."""
    return _KINDS[type_](clients)
