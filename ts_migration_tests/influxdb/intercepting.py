"""A server in front of the embedded InfluxDB that lets requests through, or answers as a test tells it: for answers that
a healthy server does not give on demand, with a real bucket behind them.
"""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

from ts_migration.influxdb.connection import Target


@dataclass(frozen=True)
class Write:
    """A write request with lines in it. `number` counts from 0."""

    number: int
    body: bytes
    gzipped: bool

    @property
    def text(self) -> bytes:
        return gzip.decompress(self.body) if self.gzipped else self.body


@dataclass(frozen=True)
class Reply:
    """What is answered instead of, or after, letting a write through."""

    status: int = 204
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    write_first: bytes | None = None
    """Text that is written to the real server before the answer."""


Script = Callable[[Write], Reply | None]
"""None lets the write through."""


@dataclass
class Intercepted:
    """The running server: the writes it got, and the target that goes through it."""

    url: str
    target: Target
    writes: list[Write]
    script: Script


@contextmanager
def intercepting(target: Target, script: Script = lambda _: None) -> Iterator[Intercepted]:
    """Stand in front of a target."""
    lock, pool = threading.Lock(), urllib3.PoolManager(maxsize=32, retries=False)
    state = Intercepted("", target, [], script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = None
            if self.path.startswith("/api/v2/write") and body:
                with lock:
                    write = Write(len(state.writes), body, self.headers.get("Content-Encoding") == "gzip")
                    state.writes.append(write)
                reply = state.script(write)
            if reply is None:
                self._forward(body)
                return
            if reply.write_first:
                headers = {"Authorization": str(self.headers["Authorization"])}
                answer = pool.request("POST", target.url + self.path, body=reply.write_first, headers=headers)
                assert answer.status == 204, answer.data
            if reply.hang_up:
                self.close_connection = True
                self.connection.close()
                return
            content = json.dumps({"code": "x", "message": reply.message}).encode() if reply.message else b""
            self._answer(reply.status, reply.headers, content)

        def _forward(self, body: bytes) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = pool.request(self.command, target.url + self.path, body=body, headers=headers)
            kept = {"content-type", "retry-after"}
            self._answer(answer.status, {n: v for n, v in answer.headers.items() if n.lower() in kept}, answer.data)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    state.target = Target(state.url, target.org, target._token)
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        pool.clear()
