"""One moto server for the tests of a session, emptied before each; a web server and a world of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from ts_migration_tests.cutover.grafana import web_server
from ts_migration_tests.cutover.world import World


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    from ts_migration.local.aws_server import fill_gaps

    fill_gaps()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def world(moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    urllib3.request("POST", f"{moto_endpoint}/moto-api/reset")
    with web_server() as web:
        made = World(moto_endpoint, web, tmp_path)
        made.build()
        yield made
