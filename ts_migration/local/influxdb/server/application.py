"""The ASGI application: reads a request, finds who calls, runs the handler in a thread, streams the answer."""

import asyncio
import base64
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from isal import isal_zlib

from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import Authorization
from ts_migration.local.influxdb.server.exchange import (
    Call,
    Reply,
    Services,
    form_of,
    refusal_reply,
)
from ts_migration.local.influxdb.server.routes import route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_GZIP_FROM_BYTES = 1400
_WORKERS = 16
_log = logging.getLogger(__name__)


class InfluxApplication:
    """influxd's HTTP interface over a catalog and an engine. Faults are injected by wrapping it, never inside."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="request")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._workers, self._answer, scope, body)
        await self._send(scope, answer, receive, send, loop)

    def _answer(self, scope: Message, body: bytes) -> Reply | Answer:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = form_of(scope["query_string"])
        try:
            handler, parameters = route(scope["method"], scope["path"])
            caller = self._caller(headers, query)
            call = Call(
                self._services,
                scope["method"],
                unquote(scope["path"]),
                parameters,
                query,
                headers,
                body,
                caller,
            )
            return handler(call)
        except Refusal as refusal:
            return refusal_reply(refusal)
        except Exception:  # noqa: BLE001 - a request must not take the server down; the log says which one tried
            _log.exception("%s %s", scope["method"], scope["path"])
            hidden = "An internal error has occurred - check server logs"
            return refusal_reply(Refusal("internal error", hidden))

    def _caller(self, headers: dict[str, str], query: dict[str, str]) -> Authorization | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                token = base64.b64decode(token).decode("utf-8", "replace").partition(":")[2]
        elif scheme not in ("Token", "Bearer"):
            token = query.get("p", "")
        return self._services.catalog.by_token(token.strip()) if token else None

    async def _send(
        self,
        scope: Message,
        answer: Reply | Answer,
        receive: Receive,
        send: Send,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        headers = dict(answer.headers) | {
            "X-Influxdb-Build": "OSS",
            "X-Influxdb-Version": self._services.version,
        }
        if isinstance(answer, Reply):
            if answer.body:
                headers["Content-Length"] = str(len(answer.body))
            await _start(send, answer.status, headers)
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
            return
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
        pieces = _Pieces(answer.body, b"gzip" in accepted)
        piece: bytes | None = await loop.run_in_executor(self._workers, pieces.first)
        if pieces.compressed:
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        await _start(send, answer.status, headers)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            while piece is not None and not gone.done():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await loop.run_in_executor(self._workers, pieces.next)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


class _Pieces:
    """The body of an answer, compressed if the client likes it and it is long enough (1,400 bytes, as influxd)."""

    def __init__(self, body: Iterator[bytes], gzip: bool) -> None:
        self._body = iter(body)
        self._gzip = gzip
        self._press: Any = None
        self._done = False

    @property
    def compressed(self) -> bool:
        return self._press is not None

    def first(self) -> bytes:
        """The beginning: enough to know whether it is long."""
        kept: list[bytes] = []
        size = 0
        while self._gzip and size < _GZIP_FROM_BYTES:
            piece = next(self._body, None)
            if piece is None:
                self._done = True
                break
            kept.append(piece)
            size += len(piece)
        if self._gzip and size >= _GZIP_FROM_BYTES:
            self._press = isal_zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
            return self._pressed(b"".join(kept))
        return b"".join(kept)

    def next(self) -> bytes | None:
        """The next piece, None at the end."""
        if self._done:
            return None
        piece = next(self._body, None)
        if piece is None:
            self._done = True
            return None if self._press is None else bytes(self._press.flush())
        return piece if self._press is None else self._pressed(piece)

    def _pressed(self, piece: bytes) -> bytes:
        return bytes(self._press.compress(piece))


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client left before its request was complete")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has left: nobody is to compute the rest of an answer then."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
