"""A stand-in for Dagster's webserver on loopback: it holds every query to Dagster's own schema, and answers by script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from graphql import GraphQLSchema, OperationDefinitionNode, parse, validate
from graphql.execution.values import get_variable_values


@cache
def schema() -> GraphQLSchema:
    """The schema of the installed Dagster."""
    from dagster_graphql.schema import create_schema

    made = create_schema()
    return getattr(made, "graphql_schema", made)


@dataclass
class DagsterApi:
    """What a test scripts and what was asked.

    Attributes:
        answers: the data for an operation's name; several are given one after the other, the last one stays.
        asked: operations with their variables, in order.
        headers: of the newest request.
    """

    url: str = ""
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def script(self, operation: str, *answers: dict[str, Any]) -> None:
        self.answers[operation] = list(answers)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        document = parse(body["query"])
        errors = list(validate(schema(), document))
        (operation,) = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if not errors:
            coerced = get_variable_values(schema(), list(operation.variable_definitions), body["variables"])
            errors = coerced if isinstance(coerced, list) else []
        if errors:
            return {"errors": [{"message": error.message} for error in errors]}
        name = operation.name.value
        self.asked.append((name, body["variables"]))
        scripted = self.answers[name]
        return {"data": scripted.pop(0) if len(scripted) > 1 else scripted[0]}


@contextmanager
def running_dagster_api() -> Iterator[DagsterApi]:
    """The server, on a free port."""
    api = DagsterApi()

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            api.headers = dict(self.headers)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = json.dumps(api.answer(body)).encode()
            self.send_response(200 if self.path == "/graphql" else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
