"""A server on loopback: one Grafana data source with its optimistic version, and webhooks that remember what they got."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "grafana-token-hunter2"


@dataclass
class WebServer:
    """What it holds, what it got, and how it shall misbehave."""

    source: dict[str, Any] = field(default_factory=dict)
    secure: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers to changes, instead of doing them."""
    provisioned: bool = False
    url: str = ""

    @property
    def told(self) -> list[str]:
        """Bodies of the webhook's requests."""
        return [body for _, path, _, body in self.calls if path.startswith("/hook")]

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
        self.calls.append((method, path, headers, body))
        if method != "GET" and self.answers:
            return self.answers.pop(0), {"message": "no"}
        if path.startswith("/hook"):
            return 200, {}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "invalid API key"}
        if path != f"/api/datasources/uid/{self.source.get('uid')}":
            return 404, {"message": "Data source not found"}
        if method == "PUT":
            return self._put(json.loads(body))
        fields = {name: True for name, value in self.secure.items() if value}
        return 200, {**self.source, "secureJsonFields": fields, "readOnly": self.provisioned}

    def _put(self, given: dict[str, Any]) -> tuple[int, Any]:
        if given.get("version") != self.source["version"]:
            return 409, {"message": "Datasource has already been updated by someone else"}
        self.secure |= given.pop("secureJsonData", {})
        self.source = {**given, "version": self.source["version"] + 1}
        return 200, {"datasource": self.source}


@contextmanager
def web_server() -> Iterator[WebServer]:
    """It, while the block runs."""
    server = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, content = server.answer(self.command, self.path, dict(self.headers), body)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the library's names

        def log_message(self, *given: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
