"""A request and its answer as handlers see them, and how InfluxDB spells errors, times and JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from ts_migration.local.faults.rules import FaultKind
from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.control.catalog import Catalog
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import Authorization, Organization
from ts_migration.local.influxdb.line_protocol.go_text import json_text
from ts_migration.local.influxdb.server.go_json import parse_json
from ts_migration.local.influxdb.storage.engine import Engine

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with."""

    catalog: Catalog
    engine: Engine
    version: str
    started_ns: int
    clock: Callable[[], int]
    restores: Callable[[str], FaultKind | None] = lambda _label: None
    """What goes wrong with a restore, by its method and path: faults of files are injected here."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request: decoded path parameters and query, lower-case header names, the body as it was sent."""

    services: Services
    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    caller: Authorization | None

    @property
    def authorization(self) -> Authorization:
        """The caller's token. Raises Refusal where there is none."""
        if self.caller is None:
            raise Refusal("unauthorized", "unauthorized access")
        return self.caller

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ValueError with Go's words."""
        return parse_json(self.body)

    def organization(self) -> Organization:
        """The organisation named by `org` or `orgID`. Raises Refusal."""
        return named_organization(self.services.catalog, self.query)


Handler = Callable[[Call], Reply | Answer]


def named_organization(catalog: Catalog, query: Mapping[str, str]) -> Organization:
    """The organisation that a query string names by `orgID`, or by `org` as id or name. Raises Refusal."""
    if org_id := query.get("orgID"):
        return catalog.organization(id_=checked_id(org_id))
    org = query.get("org")
    if not org:
        raise Refusal("invalid", "Please provide either orgID or org")
    if len(org) == 16 and all(digit in "0123456789abcdef" for digit in org):
        return catalog.organization(id_=org)
    return catalog.organization(name=org)


def checked_id(text: str) -> str:
    """An id of 16 hex digits. Raises Refusal."""
    if len(text) != 16:
        raise Refusal("invalid", "id must have a length of 16 bytes")
    if not all(digit in "0123456789abcdefABCDEF" for digit in text) or text == "0" * 16:
        raise Refusal("invalid", "invalid ID")
    return text.lower()


def json_reply(content: object, status: int = 200) -> Reply:
    """An answer in JSON as Go writes it: no blanks, UTF-8, a line feed behind."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Reply(status, json_text(body).encode("utf-8"), {"Content-Type": JSON})


def refusal_reply(refusal: Refusal) -> Reply:
    """The answer of a refusal, with its code in the header that clients look at."""
    content = {"code": refusal.code, "message": json_text(refusal.message)}
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return Reply(refusal.status, body, {"Content-Type": JSON, "X-Platform-Error-Code": refusal.code})


def form_of(text: bytes) -> dict[str, str]:
    """Names and values of a query string or form; the first of several counts, as in Go."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"):
        found.setdefault(name, value)
    return found


def rfc3339(ns: int) -> str:
    """A time in ns as Go's RFC3339Nano prints it: UTC, no trailing zeros."""
    seconds, fraction = divmod(ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"
