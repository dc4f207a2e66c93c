"""``python -m ts_migration.local.timestream``: the server as a process.

Here belong the command line and the socket. Prints one line, ``listening on http://HOST:PORT``, once it accepts
connections; ends cleanly on SIGTERM and SIGINT.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path

import duckdb
import uvicorn

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.dialects import DIALECTS
from ts_migration.local.faults.middleware import FaultInjection
from ts_migration.local.faults.rules import FaultyService
from ts_migration.local.faults.unloads import spoiled_store
from ts_migration.local.timestream.paging import FirstPage
from ts_migration.local.timestream.queries import QueryOptions
from ts_migration.local.timestream.server import ServerOptions, TimestreamServer

_BACKLOG = 512
_SHUTDOWN_SECONDS = 5


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal ends it."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn ends gracefully on a signal and then raises it again for whoever handled it before: exit 0 is "stopped".
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    faults = ActiveFaults(chosen.faults)
    options = ServerOptions(
        data=chosen.data,
        queries=QueryOptions(
            s3_endpoint=chosen.s3_endpoint,
            unloads_per_second=chosen.unloads_per_second,
            first_page=chosen.first_page,
            wait_seconds=chosen.wait_seconds,
            store=lambda bucket, text: spoiled_store(bucket, text, faults),
        ),
        memory_limit=chosen.memory_limit,
    )
    try:
        listener = socket.create_server((chosen.host, chosen.port), backlog=_BACKLOG)
        app = FaultInjection(TimestreamServer(options).app(), DIALECTS[FaultyService.TIMESTREAM], faults)
    except (OSError, duckdb.Error) as error:
        sys.exit(
            f"The embedded Timestream server cannot start on {chosen.host}:{chosen.port} with {chosen.data}: {error}"
        )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_SHUTDOWN_SECONDS, timeout_keep_alive=75
    )
    host, port = listener.getsockname()[:2]
    # The socket listens already: a client that connects now waits in the backlog and is served.
    sys.stdout.write(f"listening on http://{host}:{port}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ts_migration.local.timestream",
        description="An embedded Amazon Timestream for LiveAnalytics: write API, query API and UNLOAD on one port.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8087, help="port to listen on; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database file; made if missing")
    parser.add_argument("--s3-endpoint", help="URL of the S3 that UNLOAD writes to; without it UNLOAD is refused")
    parser.add_argument(
        "--unloads-per-second", type=int, default=1, help="UNLOADs that may start in a second, as AWS limits; 0: any"
    )
    parser.add_argument(
        "--first-page",
        type=FirstPage,
        choices=list(FirstPage),
        default=FirstPage.LARGER,
        help="when the first page of a query is empty and only has a token",
    )
    parser.add_argument("--wait-seconds", type=float, default=20.0, help="wait for rows before answering an empty page")
    parser.add_argument(
        "--memory-limit", default="1GB", help="memory of DuckDB; larger queries spill to the data folder"
    )
    parser.add_argument("--faults", type=Path, help="file of fault rules; there need not be one")
    return parser


if __name__ == "__main__":
    main()
