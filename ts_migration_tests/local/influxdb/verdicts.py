"""The recorded verdicts of real servers on the official line-protocol corpus."""

import base64
import gzip
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from ts_migration_tests.shared_material import shared


@dataclass(frozen=True)
class Verdict:
    """One input, what 2.7.11 answered (500 where the process died), and what was stored if 2.9.1 accepted it.

    `statuses` has both versions, 0 where the process died.
    """

    body: bytes
    status: int
    message: str | None
    stored: dict[str, Any] | None
    statuses: dict[str, int]


@cache
def verdicts() -> tuple[Verdict, ...]:
    """All 6,615 of them; skips the test where they are not there."""
    with gzip.open(shared("conformance/line_protocol_verdicts.json.gz")) as file:
        recorded = json.load(file)
    return tuple(_verdict(one) for one in recorded)


def _verdict(one: dict[str, Any]) -> Verdict:
    body = one["input"].encode() if "input" in one else base64.b64decode(one["input_b64"])
    statuses = {version: 0 if one[version][0] == "server died" else one[version][0] for version in ("2.7.11", "2.9.1")}
    status, *message = one["2.7.11"]
    if status == "server died":
        return Verdict(body, 500, None, None, statuses)
    return Verdict(body, status, message[0] if message else None, one.get("stored"), statuses)
