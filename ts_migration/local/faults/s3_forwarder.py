"""An ASGI application that passes every request on to another HTTP server, unchanged, and its answer back.

It stands in front of rclone while S3's faults are set. A signature covers the Host header and the path as it was sent:
neither is touched. Bodies stream both ways.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import h11

from ts_migration.local.faults.middleware import Message, Receive, Send

_READ_BYTES = 1 << 16
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
"""Headers of one connection, which the server in front makes itself."""

_Headers = list[tuple[bytes, bytes]]


class Forwarder:
    """Everything to one server, a connection a request.

    Args:
        host: where it listens.
        port: where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        reader, writer = await asyncio.open_connection(self._host, self._port)
        with contextlib.closing(writer):
            await _Exchange(reader, writer).run(scope, receive, send)


class _Exchange:
    """One request and its answer over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(our_role=h11.CLIENT)

    async def run(self, scope: Message, receive: Receive, send: Send) -> None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers: _Headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"connection"]
        await self._pass(h11.Request(method=scope["method"], target=target, headers=headers))
        # Side by side: a server may refuse before it has read the body.
        request = asyncio.ensure_future(self._request_body(receive))
        try:
            async for event in self._answer():
                await _tell(event, send)
        finally:
            request.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, h11.LocalProtocolError):
                await request

    async def _pass(self, event: h11.Event) -> None:
        self._writer.write(self._state.send(event) or b"")
        await self._writer.drain()

    async def _request_body(self, receive: Receive) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                # Half a request is never worked on: the server behind sees the same end.
                self._writer.close()
                return
            if message.get("body"):
                await self._pass(h11.Data(data=message["body"]))
            more = message.get("more_body", False)
        await self._pass(h11.EndOfMessage())

    async def _answer(self) -> AsyncIterator[h11.Response | h11.Data | h11.EndOfMessage]:
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                self._state.receive_data(await self._reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response | h11.Data | h11.EndOfMessage):
                yield event
                if isinstance(event, h11.EndOfMessage):
                    return
            elif not isinstance(event, h11.InformationalResponse):
                raise ConnectionError(f"the server behind ended early: {event!r}")


async def _tell(event: h11.Response | h11.Data | h11.EndOfMessage, send: Send) -> None:
    if isinstance(event, h11.Response):
        headers = _end_to_end(event.headers)
        await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
    elif isinstance(event, h11.Data):
        await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
    else:
        await send({"type": "http.response.body", "body": b""})


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> _Headers:
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP]


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
