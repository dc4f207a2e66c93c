"""A server in front of another one that passes every request on and remembers it: to count who was asked for what."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

import urllib3

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Asked:
    """One request: method, path with its query in plain text, and body as it came."""

    method: str
    path: str
    body: bytes


@dataclass
class Recorded:
    """The running server and what it was asked."""

    url: str
    requests: list[Asked] = field(default_factory=list)


@contextmanager
def recording(url: str) -> Iterator[Recorded]:
    """Stand in front of the server at a URL. The Host header stays: signatures of AWS cover it."""
    pool, state = urllib3.PoolManager(maxsize=32, retries=False), Recorded("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.requests.append(Asked(self.command, unquote_plus(self.path), body))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP | {"expect"}}
            answer = pool.request(
                self.command, url + self.path, body=body, headers=headers, decode_content=False, redirect=False
            )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP | {"date", "server"}:
                    self.send_header(name, value)
            head = self.command == "HEAD"
            self.send_header(
                "Content-Length", answer.headers.get("Content-Length", "0") if head else str(len(answer.data))
            )
            self.end_headers()
            self.wfile.write(b"" if head else answer.data)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815

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
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        pool.clear()
