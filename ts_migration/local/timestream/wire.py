"""AWS JSON 1.0 as the Timestream services speak it: the target header, who calls, bodies in and out.

Here belong headers and JSON. What an operation does, and which values its members may have, do not.
Source: the protocol of botocore's service models ``timestream-write`` and ``timestream-query``.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ts_migration.local.timestream.refusals import (
    IncompleteSignatureError,
    MissingAuthenticationTokenError,
    SerializationError,
    ServiceError,
    UnknownOperationError,
)

CONTENT_TYPE = "application/x-amz-json-1.0"
TARGET_PREFIX = "Timestream_20181101."
_ERROR_NAMESPACE = "com.amazonaws.timestream.v20181101#"
_CREDENTIAL = re.compile(
    r"^AWS4-HMAC-SHA256 .*?Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the credential scope of the signature says; the signature itself is not verified."""

    access_key: str
    region: str


def caller_of(headers: Mapping[str, str]) -> Caller:
    """Read the caller from the Authorization header, or refuse as AWS refuses an unsigned request."""
    authorization = headers.get("authorization")
    if not authorization:
        raise MissingAuthenticationTokenError
    scope = _CREDENTIAL.match(authorization)
    if scope is None or "Signature=" not in authorization:
        raise IncompleteSignatureError(
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. Authorization header requires 'SignedHeaders' parameter."
        )
    return Caller(access_key=scope["key"], region=scope["region"])


def operation_of(headers: Mapping[str, str]) -> str:
    """The operation's name from ``X-Amz-Target``."""
    target = headers.get("x-amz-target", "")
    if not target.startswith(TARGET_PREFIX):
        raise UnknownOperationError(f"The target header {target!r} names no operation of Timestream_20181101.")
    return target.removeprefix(TARGET_PREFIX)


def request_body(raw: bytes) -> dict[str, Any]:
    """The members of a request."""
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise SerializationError(f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise SerializationError("Start of structure or map expected")
    return body


def answer(body: dict[str, Any] | bytes) -> Response:
    """A successful answer; bytes are JSON already."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Response(content, media_type=CONTENT_TYPE, headers={"x-amzn-RequestId": request_id()})


def error_answer(error: ServiceError) -> Response:
    """An error as botocore, and every other SDK, recognises it."""
    content = json.dumps({"__type": _ERROR_NAMESPACE + error.code, **error.body()}, ensure_ascii=False).encode()
    headers = {"x-amzn-RequestId": request_id(), "x-amzn-ErrorType": error.code}
    return Response(content, status_code=error.status, media_type=CONTENT_TYPE, headers=headers)


def request_id() -> str:
    """An identifier for one request, in the form that the service's answers carry."""
    return uuid.uuid4().hex.upper()[:26]
