"""One HTTP request to Grafana or to a webhook, and what its answer means. URL, headers and bodies are never told."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.influxdb.connection import pool_to

TIMEOUT_S = 30.0
_PASSING = {408, 409, 412, 425, 429}
_SHOWN = 200
"""Characters of an answer that an error shows."""


def requested(method: str, url: str, headers: Mapping[str, str], body: bytes | None, where: str) -> bytes:
    """Body of a 2xx answer. No redirect is followed: it would lead credentials elsewhere.

    Raises:
        Transient: no connection, 408, 409, 412, 425, 429 or 5xx.
        Missing: 404.
        Permanent: any other answer, or a URL that is none.
    """
    where = f"{where} at {urlsplit(url).hostname or 'no host'}" if "://" in url else where
    try:
        with pool_to(url, timeout=TIMEOUT_S, retries=False) as pool:
            answer = pool.request(method, url, headers=dict(headers), body=body, redirect=False)
    except (ValueError, urllib3.exceptions.LocationValueError, urllib3.exceptions.URLSchemeUnknown):
        raise Permanent("its URL is none", where=where, allowed="http://… or https://…") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Transient(f"it does not answer: {type(error).__name__}", where=where) from None
    if 200 <= answer.status < 300:
        return bytes(answer.data)
    what = f"HTTP {answer.status}: {bytes(answer.data)[:_SHOWN].decode('utf-8', 'replace')}".rstrip(": ")
    if answer.status in _PASSING or answer.status >= 500:
        raise Transient(what, where=where, retry_after_s=_seconds(answer.headers.get("Retry-After")))
    if answer.status == 404:
        raise Missing(what, where=where)
    raise Permanent(what, where=where)


def json_body(content: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False).encode()


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None
