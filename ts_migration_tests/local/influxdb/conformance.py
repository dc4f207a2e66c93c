"""Replays recorded requests of real servers against any server and compares the answers.

What may differ and how it is masked is said in the recordings' README: ids, times of now, map order, the version that a
development build prints. Everything else must be equal: JSON by value with floats by their bits, CSV and text byte for
byte, msgpack decoded.
"""

import base64
import gzip
import json
import os
import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgpack
import urllib3

_ID = re.compile(r"\b[0-9a-f]{16}\b")
_GO_DURATION = re.compile(r"^(?:\d+h)?(?:\d+m)?[\d.]+m?s$")
_NAMED_TIMES = frozenset(("createdAt", "updatedAt", "started"))
_COMPARED_HEADERS = ("content-type", "x-influxdb-build", "x-platform-error-code")


@dataclass
class Target:
    """A server under test."""

    url: str
    token: str
    org: str
    made: list[str] = field(default_factory=list)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=60))

    def request(self, method: str, path: str, query: dict[str, str], body: bytes | None, headers: dict[str, str]):
        """One request, the body of its answer undecoded."""
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        return self.http.request(method, url, body=body, headers=headers, decode_content=False)

    def api(self, method: str, path: str, query: dict[str, str] | None = None, body: object = None) -> Any:
        """A call of the control API with the token."""
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = self.request(method, path, query or {}, content, headers)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data!r}")
        return json.loads(answer.data) if answer.data else None

    def new_bucket(self) -> str:
        """The name of a new bucket that keeps its points for ever."""
        name = f"conformance_{uuid.uuid4().hex[:10]}"
        rules: list[object] = []
        made = self.api("POST", "/api/v2/buckets", body={"orgID": self.org_id, "name": name, "retentionRules": rules})
        self.made.append(made["id"])
        return name

    def clean(self) -> None:
        """Delete the buckets that `new_bucket` made: the server may be somebody's."""
        while self.made:
            self.api("DELETE", f"/api/v2/buckets/{self.made.pop()}")

    def write(
        self, bucket: str, body: bytes, *, token: str | None = None, path: str = "/api/v2/write", **headers: str
    ) -> tuple[int, str | None]:
        """Post line protocol: the status, and the message of a refusal. Header names have `_` for `-`."""
        query = {"org": self.org, "bucket": bucket} if path.startswith("/api") else {"db": bucket}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.request("POST", path, query, body, {"Authorization": f"Token {token or self.token}"} | sent)
        return answer.status, answer.json()["message"] if answer.data else None

    @property
    def org_id(self) -> str:
        """The id of the organisation."""
        return self.api("GET", "/api/v2/orgs", {"org": self.org})["orgs"][0]["id"]


@dataclass
class Difference:
    """A step whose answer is not the recorded one."""

    step: int
    request: dict[str, Any]
    recorded: Any
    answered: Any

    def __str__(self) -> str:
        return (
            f"step {self.step}: {json.dumps(self.request)[:600]}\n recorded {self.recorded}\n answered {self.answered}"
        )


def replay(scenario: dict[str, Any], target: Target) -> list[Difference]:
    """Run a scenario in a new bucket and return where it differs."""
    name = f"conformance_{uuid.uuid4().hex[:10]}"
    values = {"org": target.org, "org_id": target.org_id, "bucket": name}
    if scenario.get("create_bucket", True):
        rules = scenario.get("retentionRules", [])
        made = target.api(
            "POST", "/api/v2/buckets", body={"orgID": values["org_id"], "name": name, "retentionRules": rules}
        )
        values["bucket_id"] = made["id"]
    try:
        return [
            difference
            for number, step in enumerate(scenario["steps"])
            if (difference := _step(number, step, target, values)) is not None
        ]
    finally:
        if "bucket_id" in values:
            target.api("DELETE", f"/api/v2/buckets/{values['bucket_id']}")


def _step(number: int, step: dict[str, Any], target: Target, values: dict[str, str]) -> Difference | None:
    request, recorded = step["request"], step["response"]
    fill = _filler(values)
    body = _body(request, fill)
    headers = {name: fill(value) for name, value in request.get("headers", {}).items()}
    if request.get("gzip"):
        headers["Content-Encoding"] = "gzip"
    if request.get("auth", True):
        headers.setdefault("Authorization", f"Token {target.token}")
    # urllib3 must not add what the recorder did not send.
    for name in ("accept-encoding", "user-agent"):
        headers.setdefault(name, urllib3.util.SKIP_HEADER)
    query = {name: fill(value) for name, value in request.get("query", {}).items()}
    answer = target.request(request["method"], fill(request["path"]), query, body, headers)
    if request.get("capture"):
        content = json.loads(answer.data)
        values |= {name: content[path] for name, path in request["capture"].items()}
        fill = _filler(values)
    wanted, found = _expected(recorded, fill), _found(answer, recorded)
    return None if wanted == found else Difference(number, request, wanted, found)


def _filler(values: dict[str, str]) -> Callable[[str], str]:
    def fill(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)

    return fill


def _body(request: dict[str, Any], fill: Callable[[str], str]) -> bytes | None:
    if "body_b64" in request:
        plain = base64.b64decode(request["body_b64"])
    elif "body" not in request:
        return None
    elif isinstance(request["body"], str):
        plain = fill(request["body"]).encode()
    else:
        plain = fill(json.dumps(request["body"])).encode()
    members = request.get("gzip")
    if members is True:
        plain = gzip.compress(plain)
    elif members:
        plain = b"".join(gzip.compress(fill(member).encode()) for member in members)
    return plain[: -request["truncate"]] if request.get("truncate") else plain


def _expected(recorded: dict[str, Any], fill: Callable[[str], str]) -> Any:
    headers = {name: value for name, value in recorded["headers"].items() if name in _COMPARED_HEADERS}
    if "body_b64" in recorded:
        raw = base64.b64decode(recorded["body_b64"])
        content = _plain(_unpacked(raw), "") if "msgpack" in headers.get("content-type", "") else raw
    elif "json" in recorded:
        content = _plain(json.loads(fill(json.dumps(recorded["json"], ensure_ascii=False))), "")
    else:
        content = _masked(fill(recorded["text"]))
    return recorded["status"], headers, content


def _found(answer: Any, recorded: dict[str, Any]) -> Any:
    headers = {name: answer.headers[name] for name in _COMPARED_HEADERS if name in answer.headers}
    raw = answer.data
    content: Any
    if "body_b64" in recorded:
        content = _plain(_unpacked(raw), "") if "msgpack" in headers.get("content-type", "") else raw
    elif "json" in recorded:
        try:
            content = _plain(json.loads(raw), "")
        except ValueError:
            content = raw
    else:
        content = _masked(raw.decode("utf-8", "replace"))
    return answer.status, headers, content


def _unpacked(raw: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker(ext_hook=lambda code, data: (code, data), strict_map_key=False)
    unpacker.feed(raw)
    return list(unpacker)


def _plain(value: Any, name: str) -> Any:
    """A value in which equal means equal: floats by bits, but 1 and 1.0 alike in JSON, as the recordings have it."""
    if isinstance(value, dict):
        return {key: _plain(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, "") for one in value]
    if isinstance(value, bool) or value is None:
        return ("literal", value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else ("float", struct.pack(">d", value))
    if isinstance(value, str):
        if name in _NAMED_TIMES or (name == "up" and _GO_DURATION.match(value)):
            return "<now>"
        if name == "version":
            return "<version>"
        return _masked(value)
    return value


def _masked(text: str) -> str:
    return _ID.sub("<id>", text)


def target_from_environment() -> Target | None:
    """The server named by INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG; None unless all three are set."""
    names = ("INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG")
    found = [os.environ.get(name) for name in names]
    if not any(found):
        return None
    missing = [name for name, value in zip(names, found, strict=True) if not value]
    if missing:
        raise RuntimeError(f"to replay against another server, set {', '.join(missing)} too")
    url, token, org = found
    return Target(str(url).rstrip("/"), str(token), str(org))
