"""A server on loopback that answers as a test tells it: for answers that a healthy InfluxDB does not give on demand."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from ts_migration.influxdb.connection import Target

TOKEN = "my-secret-token"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        text = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return [line for line in text.split(b"\n") if line]


@dataclass
class Reply:
    status: int = 204
    message: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False

    @property
    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps({"code": "x", "message": self.message}).encode() if self.message else b""


@dataclass
class Scripted:
    """The running server: `requests` are those it got, in order."""

    url: str
    requests: list[Request]

    @property
    def target(self) -> Target:
        return Target(self.url, "ons", SecretStr(TOKEN))

    @property
    def writes(self) -> list[Request]:
        """Write requests with lines in them."""
        return [request for request in self.requests if request.path == "/api/v2/write" and request.body]


@contextmanager
def scripted(answer: Callable[[Request], Reply]) -> Iterator[Scripted]:
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, body)
            requests.append(request)
            reply = answer(request)
            if reply.hang_up:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
