"""The least that any InfluxDB must do with a write, as a server: read the body, inflate it, count lines, 204.

What is not a write gets the short answer that a loader needs to go on: the one bucket, an empty query result. It keeps
nothing. A process of its own, `python -m benchmarks.sink`; a thread a connection, since inflating leaves Python's lock
alone.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgpack
from isal import igzip

BUCKET = {
    "id": "0000000000000001",
    "orgID": "0000000000000002",
    "name": "ts-migration-bench",
    "retentionRules": [{"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": 2_592_000}],
}
_NO_RESULT: bytes = msgpack.packb({"results": [{"statement_id": 0}]})
_HEAD_BYTES = 1 << 16


def serve(listener: socket.socket) -> None:
    """Take connections for ever."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while head := _head(connection):
            request, headers, rest = head
            body = _body(connection, int(headers.get(b"content-length", b"0")), rest)
            connection.sendall(_answer(request, headers, body))


def _answer(request: bytes, headers: dict[bytes, bytes], body: bytearray) -> bytes:
    path = request.split(b" ")[1].partition(b"?")[0]
    if path == b"/api/v2/write":
        text = igzip.decompress(body) if headers.get(b"content-encoding") == b"gzip" else body
        return b"HTTP/1.1 204 No Content\r\nX-Lines: %d\r\n\r\n" % text.count(b"\n")
    if path == b"/query":
        return _ok(b"application/x-msgpack", _NO_RESULT)
    return _ok(b"application/json", json.dumps({"buckets": [BUCKET], "orgs": []}).encode())


def _head(connection: socket.socket) -> tuple[bytes, dict[bytes, bytes], bytes] | None:
    """Request line, headers in lower case, and what of the body came with them; None at the end."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = connection.recv(_HEAD_BYTES)
        if not piece:
            return None
        seen += piece
    head, _, rest = seen.partition(b"\r\n\r\n")
    request, *lines = head.split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return request, {name.strip().lower(): value.strip() for name, _, value in pairs}, rest


def _body(connection: socket.socket, length: int, rest: bytes) -> bytearray:
    body = bytearray(length)
    body[: len(rest)] = rest
    view, at = memoryview(body), len(rest)
    while at < length:
        got = connection.recv_into(view[at:])
        if not got:
            raise ConnectionResetError("the body ended early")
        at += got
    return body


def _ok(kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body)


@contextmanager
def running_sink() -> Iterator[str]:
    """A sink in a process of its own; its URL."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def main() -> None:
    """Say where, and serve until whoever started it is gone."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
