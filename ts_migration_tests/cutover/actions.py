"""One action of each kind, and of each way that a kind has, for the world of the tests."""

from ts_migration_tests.cutover.world import World


def actions(world: World) -> dict[str, str]:
    """Name -> text of the action in the configuration."""
    rest, http, integration = world.ids["rest"], world.ids["http"], world.ids["integration"]
    return {
        "lambda": "type: lambda_environment, function: dashboard, unset: [OLD_KEY, NEVER],"
        ' set: {DATABASE: influxdb, INFLUXDB_URL: "{influxdb_url}", INFLUXDB_TOKEN: "{influxdb_token}"}',
        "rest variables": f"type: api_gateway_stage_variables, api: {rest}, stage: prod, unset: [never],"
        ' set: {db: "{bucket}", org: "{org}"}',
        "http variables": f"type: api_gateway_stage_variables, protocol: http, api: {http}, stage: live,"
        ' set: {org: "{org}"}, unset: [db]',
        "rest uri": f"type: api_gateway_integration_uri, api: {rest}, stage: prod, path: /points, method: GET,"
        ' uri: "{influxdb_url}/query"',
        "http uri": f"type: api_gateway_integration_uri, protocol: http, api: {http}, stage: live,"
        f' integration: {integration}, uri: "{{influxdb_url}}/query"',
        "parameter": 'type: ssm_parameter, name: /app/url, value: "{influxdb_url}"',
        "secure parameter": 'type: ssm_parameter, name: /app/token, value: "{influxdb_token}"',
        "list parameter": "type: ssm_parameter, name: /app/hosts, value: 'c,d'",
        "new parameter": 'type: ssm_parameter, name: /app/org, value: "{org}"',
        "new secure parameter": "type: ssm_parameter, name: /app/new, parameter_type: SecureString,"
        ' value: "{influxdb_token}"',
        "secret": 'type: secrets_manager, secret: app/whole, value: "{influxdb_token}"',
        "secret key": 'type: secrets_manager, secret: app/json, key: token, value: "{influxdb_token}"',
        "grafana": f"type: grafana_data_source, url: '{world.web.url}', token_variable: GRAFANA_TOKEN, uid: plants,"
        ' set: {type: influxdb, url: "{influxdb_url}", user: x}, json_data: {version: Flux, timeout: 60},'
        ' secure_json_data: {token: "{influxdb_token}", password: "{influxdb_token}"},'
        ' revert_secure_json_data: {password: "{env:OLD_PASSWORD}"}',
        "dashboard": "type: cloudwatch_dashboard, dashboard: plants,"
        """ replace: {'the "Timestream" table': 'the "{bucket}" bucket', us-east-1: sa-east-1}""",
        "dashboard from a file": "type: cloudwatch_dashboard, dashboard: prices, body_file: body.json",
        "new dashboard": "type: cloudwatch_dashboard, dashboard: new, body_file: body.json",
        "message": f"type: sns_message, topic: '{world.ids['topic']}', subject: Cutover,"
        ' message: "read from {bucket}, proof {proof}", revert_message: read from Timestream again',
        "webhook": 'type: webhook, request: {url: "{env:HOOK}", json_body: {text: "read from {bucket}"}},'
        ' on_revert: {url: "{env:HOOK}", body: back to Timestream}',
    }


NAMES = (
    "lambda",
    "rest variables",
    "http variables",
    "rest uri",
    "http uri",
    "parameter",
    "secure parameter",
    "list parameter",
    "new parameter",
    "new secure parameter",
    "secret",
    "secret key",
    "grafana",
    "dashboard",
    "dashboard from a file",
    "new dashboard",
    "message",
    "webhook",
)
"""Of all of them, for parametrised tests."""

FEW = tuple(name for name in NAMES if name not in ("list parameter", "new secure parameter", "secret", "new dashboard"))
"""Every kind and every way of a reverse, once."""


def few(world: World) -> list[str]:
    """The texts of these."""
    return [actions(world)[name] for name in FEW]
