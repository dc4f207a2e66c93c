"""How each service calls its requests, and how it words its refusals. What is refused, and when, is in `middleware`.

Labels are what `--on` is matched with: `Query UNLOAD (SELECT …`, `POST /api/v2/write?org=…`, `PUT /bucket/key`.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService

Scope = Mapping[str, Any]
_TARGET_PREFIX = "Timestream_20181101."


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that refuses: status, headers, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One service's words.

    Attributes:
        label: what a request is called; the body is empty unless `reads_body`.
        is_health: whether a request is the stack's own question whether the server is up: that is never hit.
        refusal: the answer for a kind that refuses.
        reads_body: whether a request's label depends on its body.
    """

    label: Callable[[Scope, bytes], str]
    is_health: Callable[[Scope], bool]
    refusal: Callable[[FaultRule], Refusal]
    reads_body: bool = False


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == wanted), "")


def _waits(rule: FaultRule) -> dict[str, str]:
    """Retry-After, in whole seconds as HTTP has it; and in ms where boto3 looks for it."""
    if rule.retry_after_s is None:
        return {}
    return {"Retry-After": f"{rule.retry_after_s:g}", "x-amz-retry-after": f"{rule.retry_after_s * 1000:.0f}"}


def _path_and_query(scope: Scope) -> str:
    query = unquote_plus(scope["query_string"].decode("latin-1"))
    return f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")


# Timestream


def _timestream_label(scope: Scope, body: bytes) -> str:
    """The operation, and of a query its text; `next page` stands before it where pages are fetched on."""
    operation = _header(scope, b"x-amz-target").removeprefix(_TARGET_PREFIX)
    if operation != "Query":
        return operation or _path_and_query(scope)
    try:
        request = json.loads(body)
        page = "next page " if request.get("NextToken") else ""
        return f"Query {page}{request['QueryString'].strip()}"
    except (ValueError, KeyError, AttributeError):
        return operation


_TIMESTREAM_ERRORS = {
    FaultKind.THROTTLE: (429, "ThrottlingException", "Rate exceeded"),
    FaultKind.ERROR: (500, "InternalServerException", "The service was unable to fully process this request."),
    FaultKind.UNAVAILABLE: (503, "ServiceUnavailable", "The service is unavailable. Try again later."),
    FaultKind.QUERY_OUT_OF_MEMORY: (
        400, "QueryExecutionException", "The query computation exceeds maximum available memory",
    ),
    FaultKind.QUERY_TIMED_OUT: (400, "QueryExecutionException", "Query exceeded maximum run time and was cancelled"),
}  # fmt: skip


def _timestream_refusal(rule: FaultRule) -> Refusal:
    status, code, message = _TIMESTREAM_ERRORS[rule.kind]
    body = json.dumps({"__type": f"com.amazonaws.timestream.v20181101#{code}", "Message": message}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-RequestId": uuid.uuid4().hex.upper()[:26],
        "x-amzn-ErrorType": code,
    }
    return Refusal(status, headers | _waits(rule), body)


# InfluxDB

_INFLUXDB_ERRORS = {
    FaultKind.THROTTLE: (429, "too many requests", "org has exceeded limited_write plan limit"),
    FaultKind.ERROR: (500, "internal error", "unexpected error writing points to database: timeout"),
    FaultKind.UNAVAILABLE: (503, "unavailable", "service unavailable"),
}


def _influxdb_refusal(rule: FaultRule) -> Refusal:
    status, code, message = _INFLUXDB_ERRORS[rule.kind]
    body = json.dumps({"code": code, "message": message}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Platform-Error-Code": code}
    wait = _waits(rule)
    wait.pop("x-amz-retry-after", None)
    return Refusal(status, headers | wait, body)


# S3

_S3_ERRORS = {
    FaultKind.THROTTLE: (503, "SlowDown", "Please reduce your request rate."),
    FaultKind.ERROR: (500, "InternalError", "We encountered an internal error. Please try again."),
    FaultKind.UNAVAILABLE: (503, "ServiceUnavailable", "Service is unable to handle request."),
}


def _s3_refusal(rule: FaultRule) -> Refusal:
    status, code, message = _S3_ERRORS[rule.kind]
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Refusal(status, {"Content-Type": "application/xml"} | _waits(rule), body.encode())


OWN_AGENT = "embedded-stack"
"""In the User-Agent of the stack's own S3 clients: what `local up` makes and UNLOAD writes goes round S3's faults.

Timestream has faults of its own for what UNLOAD writes.
"""


def _s3_is_own(scope: Scope) -> bool:
    """The unsigned look of `local up`, and the stack's own clients."""
    if scope["path"] == "/" and not _header(scope, b"authorization"):
        return True
    return OWN_AGENT in _header(scope, b"user-agent")


DIALECTS: dict[FaultyService, Dialect] = {
    FaultyService.TIMESTREAM: Dialect(
        _timestream_label, lambda scope: scope["path"].startswith("/_embedded/"), _timestream_refusal, reads_body=True
    ),
    FaultyService.INFLUXDB: Dialect(
        lambda scope, _body: _path_and_query(scope), lambda scope: scope["path"] == "/health", _influxdb_refusal
    ),
    FaultyService.S3: Dialect(lambda scope, _body: _path_and_query(scope), _s3_is_own, _s3_refusal),
}
