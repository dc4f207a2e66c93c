"""Looks at InfluxDB 2: it answers, knows the organisation, and takes a write and a new bucket with this token.

A write without a line asks for the permission and stores nothing (204; the server checks the token before the body).
Where a target bucket is missing, a probe bucket is made, written to in the same way, and deleted.
"""

import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from ts_migration.config import Environment
from ts_migration.errors import MigrationError, Permanent, Transient
from ts_migration.influxdb.connection import pool_to
from ts_migration.influxdb.tls import lasting_refusal
from ts_migration.operations.findings import Finding, accessible, failed

_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_PAUSES_S = (0.3, 1.0)
"""Before a request is sent again: one connection that breaks must not keep a migration from beginning."""
_LACKS_PERMISSION = " is unauthorized"
"""`write:orgs/…/buckets is unauthorized`: the same status as of an unknown token, which is `unauthorized access`."""


def look_at_influxdb(environment: Environment, buckets: list[str]) -> list[Finding]:
    """One finding for the server, and one for every target bucket.

    Args:
        environment: URL, organisation and token, the token resolved.
        buckets: names of the target buckets.
    """
    name = f"InfluxDB {environment.influxdb_url}"
    server = _Server(environment)
    try:
        version = server.version()
        org_id = server.org_id()
    except MigrationError as error:
        return [failed(name, error, "check INFLUXDB_URL, INFLUXDB_ORG and INFLUXDB_TOKEN")]
    findings = [accessible(name, f"{version}, organisation {environment.influxdb_org}")]
    return [*findings, *(_look_at_bucket(server, org_id, bucket) for bucket in buckets)]


def server_version(environment: Environment) -> str | None:
    """Name and version of the server, or None where none is configured or it does not tell them at once. Never raises.

    Asked once, in 3 s, without the token: a report must not wait for a server that is down.
    """
    url = environment.influxdb_url.rstrip("/")
    try:
        answer = pool_to(url, retries=False, timeout=3.0).request("GET", f"{url}/health").json() if url else {}
    except (HTTPError, ValueError):
        return None
    if not isinstance(answer, dict) or answer.get("name") != "influxdb":
        return None
    return f"influxdb {answer.get('version', '')}".strip()


def _look_at_bucket(server: "_Server", org_id: str, bucket: str) -> Finding:
    name = f"InfluxDB bucket {bucket}"
    try:
        if server.has_bucket(bucket):
            server.may_write(bucket)
            return accessible(name, "exists, the token may write")
        server.may_create_and_write(org_id)
    except MigrationError as error:
        return failed(name, error, "use a token that may create buckets in the organisation and write to them")
    return accessible(name, "will be created, the token may create and write")


class _Server:
    """The few requests of the look. Every error is the product's own."""

    def __init__(self, environment: Environment) -> None:
        self.url = environment.influxdb_url.rstrip("/")
        self.org = environment.influxdb_org
        self._token = environment.influxdb_token
        self._pool = pool_to(self.url, retries=False, timeout=_TIMEOUT)

    def version(self) -> str:
        """Name and version as the server tells them."""
        status, answer = self._ask("GET", "/health")
        if status < 500 and "status" not in answer:
            said = f": {answer['message']}" if answer.get("message") else ""
            raise Permanent(
                f"what answers there is no InfluxDB 2 (/health gave {status}{said})",
                where=self.url,
                next_step="set INFLUXDB_URL to the server's own address and port, 8086 by default",
            )
        if status != 200 or answer.get("status") != "pass":
            raise Transient(f"the server is not well: {answer.get('message') or status}", where=self.url)
        return f"{answer.get('name', 'influxdb')} {answer.get('version', '')}".strip()

    def org_id(self) -> str:
        """Id of the organisation."""
        status, answer = self._ask("GET", "/api/v2/orgs", org=self.org)
        found = next((org for org in answer.get("orgs") or () if org.get("name") == self.org), None)
        if status == 200 and found:
            return str(found["id"])
        if status in (200, 404):
            _, known = self._ask("GET", "/api/v2/orgs")
            names = ", ".join(sorted(str(org.get("name")) for org in known.get("orgs") or ()))
            raise Permanent(
                f"the server has no organisation {self.org!r} that this token may see",
                where=self.url,
                allowed=names or "none",
                next_step="check INFLUXDB_ORG",
            )
        raise self._refusal(status, answer)

    def has_bucket(self, bucket: str) -> bool:
        """Whether the organisation has a bucket that the token may see."""
        return self._bucket(bucket) is not None

    def may_write(self, bucket: str) -> None:
        """A write without a line."""
        status, answer = self._ask("POST", "/api/v2/write", body=b"", org=self.org, bucket=bucket, precision="ns")
        if status != 204:
            raise self._refusal(status, answer)

    def may_create_and_write(self, org_id: str) -> None:
        """Make a probe bucket, write nothing to it, delete it."""
        name = f"ts-migration-probe-{uuid.uuid4().hex[:12]}"
        request = {"orgID": org_id, "name": name, "retentionRules": [{"type": "expire", "everySeconds": 3600}]}
        status, made = self._ask("POST", "/api/v2/buckets", body=json.dumps(request).encode())
        if status == 422 and (known := self._bucket(name)):
            # The answer to a first request was lost: it had been worked on.
            status, made = 201, known
        if status != 201:
            raise self._refusal(status, made, "it is not there, and a bucket cannot be created: ")
        try:
            self.may_write(name)
        finally:
            status, answer = self._ask("DELETE", f"/api/v2/buckets/{made['id']}")
        if status not in (204, 404):
            raise self._refusal(status, answer, f"the probe bucket {name} cannot be deleted: ")

    def _bucket(self, name: str) -> dict[str, Any] | None:
        status, answer = self._ask("GET", "/api/v2/buckets", org=self.org, name=name)
        if status not in (200, 404):
            raise self._refusal(status, answer)
        return next((found for found in answer.get("buckets") or () if found.get("name") == name), None)

    def _refusal(self, status: int, answer: dict[str, Any], before: str = "") -> MigrationError:
        words = f"{before}{status} {answer.get('message') or answer.get('error') or answer.get('code') or ''}".strip()
        if status == 401 and _LACKS_PERMISSION in words:
            return Permanent(f"{words}: the token is known and may not do this", where=self.url)
        if status == 401:
            return Permanent(f"{words}: the token is not accepted", where=self.url, next_step="check INFLUXDB_TOKEN")
        if status == 429 or status >= 500:
            return Transient(words, where=self.url)
        return Permanent(words, where=self.url)

    def _ask(self, method: str, path: str, body: bytes | None = None, **query: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer; asked again where the connection broke or the server was not able to."""
        for pause_s in _PAUSES_S:
            try:
                status, content = self._ask_once(method, path, body, query)
                if status != 429 and status < 500:
                    return status, content
            except Transient:
                pass
            time.sleep(pause_s)
        return self._ask_once(method, path, body, query)

    def _ask_once(
        self, method: str, path: str, body: bytes | None, query: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Token {self._token.get_secret_value()}", "User-Agent": "ts-migration"}
        if body is not None and path != "/api/v2/write":
            headers["Content-Type"] = "application/json"
        url = f"{self.url}{path}?{urlencode(query)}" if query else f"{self.url}{path}"
        try:
            answer = self._pool.request(method, url, body=body, headers=headers)
        except (HTTPError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, SSLError) and (refusal := lasting_refusal(reason)):
                words = f"{refusal.what}: {_reason(error)}"
                raise Permanent(words, where=self.url, next_step=refusal.next_step) from error
            raise Transient(
                f"cannot be reached: {_reason(error)}",
                where=self.url,
                next_step="check INFLUXDB_URL and the network; the embedded server: `ts-migration local status`",
            ) from error
        try:
            content = json.loads(answer.data) if answer.data else {}
        except ValueError:
            content = {"message": answer.data[:200].decode(errors="replace")}
        return answer.status, content if isinstance(content, dict) else {}


def _reason(error: Exception) -> str:
    """urllib3's words without the object in front of them, `HTTPConnection(host='db', port=8086): …`."""
    return str(error).rpartition("): ")[2] or type(error).__name__
