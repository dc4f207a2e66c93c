"""What a query language hands back to the HTTP server: status, headers and a body that streams.

Only the value that crosses the border; nothing here knows HTTP machinery or a query language.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of `/query` or `/api/v2/query`.

    `headers` are those that the language decides (Content-Type and the like); the server adds its own, compression
    included. `body` yields the uncompressed body in pieces of any size and is consumed once.
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]
