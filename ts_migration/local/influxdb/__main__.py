"""`python -m ts_migration.local.influxdb`: the embedded InfluxDB 2 server as a process of its own."""

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.dialects import DIALECTS
from ts_migration.local.faults.middleware import FaultInjection
from ts_migration.local.faults.restores import restore_fault
from ts_migration.local.faults.rules import FaultyService
from ts_migration.local.influxdb.control.catalog import Catalog
from ts_migration.local.influxdb.control.resources import NANOSECONDS
from ts_migration.local.influxdb.server.application import InfluxApplication
from ts_migration.local.influxdb.server.exchange import Services
from ts_migration.local.influxdb.storage.engine import Engine

RETENTION_CHECK_SECONDS = 1800.0
"""How often shard groups that ended before the retention are dropped, as a real server does (facts section 4)."""


class _Server(uvicorn.Server):
    """Stops on a signal and leaves it at that: uvicorn would raise it again, and the exit code would not be 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the server."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ts_migration.local.influxdb", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8086, help="port to listen on; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds everything")
    parser.add_argument("--org", default="ons-energy", help="organisation made at the first start")
    parser.add_argument("--bucket", default="default", help="bucket made at the first start")
    parser.add_argument("--username", default="admin", help="user made at the first start")
    parser.add_argument("--token-env", help="variable that holds the operator token; set: the server is onboarded")
    parser.add_argument("--version", default="2.7.11", help="version that the server names")
    parser.add_argument("--faults", type=Path, help="file of fault rules; there need not be one")
    return parser.parse_args(arguments)


def _onboard(catalog: Catalog, options: argparse.Namespace) -> None:
    token = os.environ.get(options.token_env) if options.token_env else None
    if token is None or catalog.onboarded:
        return
    catalog.onboard(username=options.username, org=options.org, bucket=options.bucket, retention_seconds=0, token=token)


def _enforce_retention(services: Services, stop: threading.Event) -> None:
    while not stop.is_set():
        for bucket in services.catalog.buckets():
            if bucket.retention_seconds and services.engine.used(bucket.id):
                before = services.clock() - bucket.retention_seconds * NANOSECONDS
                services.engine.bucket(bucket.id).expire(before)
        stop.wait(RETENTION_CHECK_SECONDS)


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM or SIGINT; the first line on stdout says where."""
    options = _arguments(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options.data.mkdir(parents=True, exist_ok=True)
    catalog = Catalog(options.data / "catalog.json")
    _onboard(catalog, options)
    engine = Engine(options.data / "buckets")
    faults = ActiveFaults(options.faults)
    services = Services(
        catalog, engine, options.version, time.time_ns(), time.time_ns, lambda label: restore_fault(label, faults)
    )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((options.host, options.port))
    listener.listen(128)
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"listening on http://{host}:{port}\n")
    sys.stdout.flush()
    stop = threading.Event()
    threading.Thread(target=_enforce_retention, args=(services, stop), name="retention", daemon=True).start()
    config = uvicorn.Config(
        FaultInjection(InfluxApplication(services), DIALECTS[FaultyService.INFLUXDB], faults),
        http="httptools",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=180,
        timeout_graceful_shutdown=5,  # a client that has gone in the middle of an answer must not keep the server
        backlog=128,
    )
    try:
        _Server(config).run(sockets=[listener])
    finally:
        stop.set()
        engine.close()


if __name__ == "__main__":
    main(sys.argv[1:])
