"""The wrapper around a server that does to a request what a rule says, and leaves all others alone.

ASGI on uvicorn: a connection is broken through the transport that lies behind `send`. What UNLOAD writes wrongly is in
`unloads`; which requests are hit, in `active`.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.dialects import Dialect, Refusal
from ts_migration.local.faults.rules import REQUEST_KINDS, FaultKind, FaultRule

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

EFFECTS_PATH = "/_embedded/faults"
"""GET: what each rule has done so far. No real server has this path."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: the peer is sent a reset and not an orderly end."""


class FaultInjection:
    """A server that misbehaves by the rules.

    Args:
        app: the server.
        dialect: of its service.
        faults: the rules in force.
    """

    def __init__(self, app: Application, dialect: Dialect, faults: ActiveFaults) -> None:
        self._app = app
        self._dialect = dialect
        self._faults = faults

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "http" and scope["path"] == EFFECTS_PATH:
            body = json.dumps(self._faults.effects()).encode()
            await _refuse(Refusal(200, {"Content-Type": "application/json"}, body), send)
        elif scope["type"] != "http" or not self._faults or self._dialect.is_health(scope):
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        body = b""
        if self._dialect.reads_body:
            body = await _whole_body(receive)
            receive = _replayed(body, receive)
        rule = self._faults.hit(self._dialect.label(scope, body), REQUEST_KINDS)
        if rule is None:
            await self._app(scope, receive, send)
        else:
            await self._misbehave(rule, scope, receive, send)

    async def _misbehave(self, rule: FaultRule, scope: Message, receive: Receive, send: Send) -> None:
        match rule.kind:
            case FaultKind.RESET:
                await _break(send, reset=True)
            case FaultKind.SLOW:
                # Read first: the request has arrived and is worked on even if the client leaves meanwhile.
                body = await _whole_body(receive)
                await asyncio.sleep(rule.waits_s)
                await self._app(scope, _replayed(body, receive), send)
            case FaultKind.LOST_ANSWER:
                await self._app(scope, receive, _dropped)
                await _break(send, reset=True)
            case FaultKind.CUT_ANSWER:
                cut = _Cut(send)
                await self._app(scope, receive, cut)
                await _break(send, reset=not cut.begun)
            case _:
                # A body that is left unread would be taken for the connection's next request.
                await _whole_body(receive)
                await _refuse(self._dialect.refusal(rule), send)


class _Cut:
    """Passes on the beginning of an answer: its headers and half of the first piece of its body."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self.begun = False

    async def __call__(self, message: Message) -> None:
        """The ASGI `send` that the server is given."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body = message.get("body", b"")
        if self.begun or not body or self._start is None:
            return
        self.begun = True
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _dropped(_message: Message) -> None:
    """A `send` whose messages go nowhere."""


async def _refuse(refusal: Refusal, send: Send) -> None:
    headers = {"Content-Length": str(len(refusal.body)), **refusal.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": refusal.body})


async def _break(send: Send, *, reset: bool) -> None:
    """End the connection, and return when uvicorn knows: it would else say that the request was never answered."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if cycle is None or transport is None:
        raise RuntimeError("a connection can be broken under uvicorn only: no transport lies behind `send`")
    if reset:
        raw = transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(raw.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
    while not cycle.disconnected:
        await asyncio.sleep(0.001)


async def _whole_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client left before its request was complete")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, then what the connection gives."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
