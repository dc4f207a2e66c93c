"""The connection to one InfluxDB 2: URL, organisation, token, TLS, proxies and time-outs, and what its errors mean.

One urllib3 pool that threads may share. Nothing here retries: writer and reader know what may be repeated. No text that
leaves this module holds the token.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from pydantic import SecretStr
from urllib3.exceptions import (
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as HTTPTimeoutError,
)

from ts_migration.errors import ConfigurationError, Inaccessible, MigrationError, Missing, Permanent, Transient
from ts_migration.influxdb.tls import lasting_refusal

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client import InfluxDBClient

WORDS_LENGTH = 2_000
"""Characters of a server's message that are kept: one that names every bad line can have megabytes."""


class TimedOut(Transient):
    """The server did not answer in time: it may have too much to do."""


LOCAL_HINT = "check INFLUXDB_URL, and that the server runs and can be reached (`ts-migration local up` starts one)"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """The server's own words, whole: `message` (or `error`) of its JSON, else the text."""
        text = self.body.decode("utf-8", "surrogateescape")
        try:
            content = json.loads(self.body)
        except ValueError:
            return text.strip()
        if isinstance(content, dict):
            return str(content.get("message") or content.get("error") or text.strip())
        return text.strip()

    @property
    def words(self) -> str:
        """The server's own words, cut to what an error can show."""
        message = self.message
        if len(message) > WORDS_LENGTH:
            return f"{message[:WORDS_LENGTH]} … ({len(message):,} characters)"
        return message

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks to wait, from Retry-After as a number or a date."""
        value = self.headers.get("Retry-After")
        if not value:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None


class Target:
    """An InfluxDB 2 server and organisation.

    Args:
        url: such as https://host:8086; a path before /api is kept.
        org: name of the organisation.
        token: API token.
        verify_tls: whether certificates are checked; only for tests to switch off.
        ca_bundle: file of a private certificate authority.
        proxy: URL of a proxy; None takes HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment.
        connect_timeout_s: seconds for a connection.
        timeout_s: seconds between two pieces of an answer. The server's own limit of a write is 10 s, and a query may
            think for long before its first byte.
        connections: kept alive at a time.

    Raises:
        ConfigurationError: the URL is not one of http or https.
    """

    def __init__(
        self,
        url: str,
        org: str,
        token: SecretStr,
        *,
        verify_tls: bool = True,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        connect_timeout_s: float = 10.0,
        timeout_s: float = 120.0,
        connections: int = 64,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError([f"INFLUXDB_URL = {url!r}: not allowed; allowed: such as https://host:8086"])
        self.url = url.rstrip("/")
        self.org = org
        self._token = token
        self._tls: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED" if verify_tls else "CERT_NONE"}
        if ca_bundle:
            self._tls["ca_certs"] = ca_bundle
        self._proxy = proxy or environment_proxy(parts.scheme, parts.hostname)
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=max(60.0, timeout_s))
        self._connections = connections

    def __repr__(self) -> str:
        return f"Target({self.url!r}, org={self.org!r})"

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        settings: dict[str, Any] = {"maxsize": self._connections, "timeout": self._timeout, "retries": False}
        tls = self._tls if self.url.startswith("https") else {}
        return pool_through(self._proxy, **settings, **tls)

    @cached_property
    def _way(self) -> tuple[urllib3.PoolManager | urllib3.HTTPConnectionPool, str]:
        """Who sends requests, and what stands before their paths: looking the pool up costs as much as a request."""
        if self._proxy:
            return self._pool, self.url
        return self._pool.connection_from_url(self.url), urlsplit(self.url).path

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {
            "Authorization": f"Token {self._token.get_secret_value()}",
            "User-Agent": "ts-migration",
            **(headers or {}),
        }

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; the answer's body is not read yet. The caller reads it to its end or releases it.

        Raises:
            Transient: no connection, or it broke.
            Permanent: the certificate or the URL is wrong.
        """
        try:
            sender, before = self._way
            target = f"{before}{path}?{urllib.parse.urlencode(query)}" if query else f"{before}{path}"
            response = sender.request(
                method, target, headers=self._headers(headers), body=body, preload_content=False, redirect=False
            )
        except (HTTPError, LocationParseError, OSError) as error:
            raise self.broken(error) from None
        if response.status < HTTPStatus.OK:
            # Python reads on after 100 alone; the answer that is to come would be taken for that of another request.
            response.close()
            raise Transient(f"InfluxDB gave an interim answer alone: HTTP {response.status}", where=self.url)
        return response

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request and read the whole answer, whatever its status. Errors as `open`."""
        response = self.open(method, path, query, headers=headers, body=body)
        try:
            content = response.read()
        except (HTTPError, OSError) as error:
            response.close()
            raise self.broken(error) from None
        response.release_conn()
        return Answer(response.status, response.headers, content)

    def broken(self, error: Exception) -> MigrationError:
        """What a broken connection means: Transient, but a certificate or name that is wrong stays wrong."""
        reason: BaseException = error
        while isinstance(getattr(reason, "reason", None), BaseException):
            reason = reason.reason  # type: ignore[attr-defined]
        text = self.clean(f"{type(reason).__name__}: {reason}")
        if isinstance(reason, SSLError) and (refusal := lasting_refusal(reason)):
            return Inaccessible(f"{refusal.what}: {text}", where=self.url, next_step=refusal.next_step)
        if isinstance(reason, LocationParseError):
            return Inaccessible(f"INFLUXDB_URL cannot be read: {text}", where=self.url)
        if isinstance(reason, NewConnectionError | NameResolutionError | ConnectionRefusedError):
            return Transient("InfluxDB cannot be reached: " + text, where=self.url, next_step=LOCAL_HINT)
        if isinstance(reason, HTTPTimeoutError):
            return TimedOut(f"InfluxDB did not answer in time: {text}", where=self.url)
        return Transient(f"the connection to InfluxDB broke: {text}", where=self.url)

    def clean(self, text: str) -> str:
        """A text without the token, should a server or library repeat it."""
        token = self._token.get_secret_value()
        return text.replace(token, "***") if token else text

    def error(self, answer: Answer, what: str) -> MigrationError:
        """The product's error for an answer that is not a success.

        Args:
            answer: with a status of 400 or more (or a redirect).
            what: the operation, as in `the bucket could not be created`.
        """
        words = self.clean(answer.words)
        told = f"{what}: InfluxDB answered {answer.status}: {words}" if words else f"{what}: HTTP {answer.status}"
        if answer.status in (408, 429) or (answer.status >= 500 and answer.status != 501):
            return Transient(told, where=self.url, retry_after_s=answer.retry_after_s)
        if answer.status == 401:
            return Inaccessible(
                told, where=self.url, next_step="set INFLUXDB_TOKEN to a token that this server and organisation know"
            )
        if answer.status == 403:
            return Inaccessible(
                told,
                where=self.url,
                next_step="use a token with read and write permission for the bucket",
            )
        if answer.status == 404:
            return Missing(
                told, where=self.url, next_step=f"check the bucket, INFLUXDB_ORG (now {self.org!r}) and INFLUXDB_URL"
            )
        if 300 <= answer.status < 400:
            return Inaccessible(
                f"{what}: redirected to {answer.headers.get('Location', '')!r}",
                where=self.url,
                next_step="set INFLUXDB_URL to the address that it redirects to",
            )
        # Only these two speak of what was sent; any other is as much as nobody that knows the question.
        return (Permanent if answer.status in (400, 422) else Inaccessible)(told, where=self.url)

    def version(self) -> str:
        """The server's version, from /health, which needs no token.

        Raises:
            Transient: it cannot be reached or is not ready.
            Permanent: something that is not InfluxDB answers there.
        """
        answer = self.request("GET", "/health")
        if answer.status >= 400:
            raise self.error(answer, "the server is not healthy")
        try:
            content = json.loads(answer.body)
            name, version = str(content["name"]), str(content.get("version", ""))
        except (ValueError, KeyError, TypeError):
            raise Permanent(
                "what answers there is not InfluxDB 2: /health is not its JSON", where=self.url, next_step=LOCAL_HINT
            ) from None
        if name != "influxdb":
            raise Permanent(f"what answers there calls itself {name!r}, not influxdb", where=self.url)
        return version

    @cached_property
    def control(self) -> "InfluxDBClient":
        """influxdb-client's client for the control API. Made once: making it costs as much as ten calls."""
        from influxdb_client.client.influxdb_client import InfluxDBClient

        return InfluxDBClient(
            url=self.url,
            token=self._token.get_secret_value(),
            org=self.org,
            timeout=int((self._timeout.read_timeout or 60) * 1000),
            verify_ssl=self._tls["cert_reqs"] == "CERT_REQUIRED",
            ssl_ca_cert=self._tls.get("ca_certs"),
            proxy=self._proxy,
        )


def pool_through(proxy: str | None, **settings: Any) -> urllib3.PoolManager:
    """A pool of connections with these settings of urllib3, through a proxy where there is one."""
    if not proxy:
        return urllib3.PoolManager(**settings)
    credentials = urlsplit(proxy).netloc.rpartition("@")[0]
    headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)


def pool_to(url: str, **settings: Any) -> urllib3.PoolManager:
    """A pool of connections for one URL, through the proxy that the environment names for it."""
    parts = urlsplit(url)
    return pool_through(environment_proxy(parts.scheme, parts.hostname) if parts.hostname else None, **settings)


def environment_proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host, read when a target is made."""
    if urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all")
