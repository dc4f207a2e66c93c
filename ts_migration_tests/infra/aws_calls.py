"""AWS operations that the code calls, by package: read from its syntax trees, so that none is missed.

A call counts where its name and its keywords are those of an operation of boto3: `get_stage(ApiId=…)` is API Gateway V2's,
and `create_bucket(bucket_name=…)` nobody's.
"""

import ast
from collections.abc import Iterator
from functools import cache

import boto3

from ts_migration_tests.embedded_stack import CHECKOUT

SERVICES = (
    "apigateway", "apigatewayv2", "cloudwatch", "lambda", "logs", "s3", "secretsmanager", "sns", "ssm", "stepfunctions",
    "sts", "timestream-influxdb", "timestream-query", "timestream-write",
)  # fmt: skip
TRANSFERS = {"upload_fileobj", "download_fileobj", "upload_file", "download_file"}
"""Of boto3's S3 client: many requests behind one name, and arguments by position."""
Call = tuple[str, str, str]
"""Package or module, operation, service."""


@cache
def operations() -> dict[str, dict[str, frozenset[str]]]:
    """Service -> operation in Python's spelling -> its arguments."""
    found = {}
    for service in SERVICES:
        client = boto3.client(service, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
        model = client.meta.service_model
        found[service] = {
            name: frozenset(shape.members if (shape := model.operation_model(api).input_shape) else ())
            for name, api in client.meta.method_to_api_mapping.items()
        }
    return found


def calls_in_the_code() -> set[Call]:
    """Every call outside the embedded stack."""
    root = CHECKOUT / "ts_migration"
    return {
        (path.relative_to(root).parts[0], operation, service)
        for path in root.rglob("*.py")
        if path.relative_to(root).parts[0] != "local"
        for operation, service in calls_of(path.read_text(encoding="utf-8"))
    }


def calls_of(source: str) -> Iterator[tuple[str, str]]:
    """(operation, service) of every call in a module's text."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, inner = node.func.attr, node.func.value
        if name in TRANSFERS:
            yield name, "s3"
        elif name == "get_paginator":
            raise_unless_paginated_at_once(source, node)
        elif name == "paginate" and isinstance(inner, ast.Call) and isinstance(inner.args[0], ast.Constant):
            yield from _services(str(inner.args[0].value), node, ast.unparse(inner))
        elif node.keywords and not node.args:
            # Of `client.query(**request)` the receiver alone tells that it is a client of AWS.
            text = ast.unparse(inner)
            yield from _services(name, node, text if text.endswith("client") else "")


def raise_unless_paginated_at_once(source: str, node: ast.Call) -> None:
    """`client.get_paginator("operation").paginate(…)` is the one form that is understood here."""
    text = ast.get_source_segment(source, node) or ""
    assert isinstance(node.args[0], ast.Constant) and f"{text}.paginate(" in source, text


def _services(operation: str, node: ast.Call, receiver: str = "") -> Iterator[tuple[str, str]]:
    """Services with such an operation and such arguments; of several, the one that the receiver names."""
    given = {keyword.arg for keyword in node.keywords if keyword.arg}
    if receiver or given:
        known = {service: found[operation] for service, found in operations().items() if operation in found}
        fitting = [service for service, arguments in known.items() if given <= arguments]
        yield from ((operation, one) for one in [s for s in fitting if f"'{s}'" in receiver] or fitting)
