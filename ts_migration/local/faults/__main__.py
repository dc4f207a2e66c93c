"""`python -m ts_migration.local.faults`: the embedded S3 with faults, rclone as a child behind the forwarder.

It listens where rclone alone would, so that clients need not know. Ends rclone with itself, also when it is killed.
"""

import argparse
import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.dialects import DIALECTS
from ts_migration.local.faults.middleware import FaultInjection
from ts_migration.local.faults.rules import FaultyService
from ts_migration.local.faults.s3_forwarder import Forwarder
from ts_migration.local.processes import LOOPBACK, answers, free_port
from ts_migration.local.s3_server import HEALTHY, command

_SHUTDOWN_S = 2
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m ts_migration.local.faults", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--data", type=Path, required=True, help="folder of the buckets")
    parser.add_argument("--faults", type=Path, required=True, help="file of the fault rules")
    chosen = parser.parse_args(arguments)
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    with _rclone(chosen.data, taken=chosen.port) as port:
        app = FaultInjection(Forwarder(LOOPBACK, port), DIALECTS[FaultyService.S3], ActiveFaults(chosen.faults))
        uvicorn.run(
            app, host=LOOPBACK, port=chosen.port, http="httptools", loop="asyncio", log_level="warning",
            access_log=False, server_header=False, date_header=False, timeout_keep_alive=75,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )  # fmt: skip


@contextlib.contextmanager
def _rclone(data: Path, *, taken: int) -> Iterator[int]:
    """rclone over the folder while the block runs; its port. Its keys are in the environment."""
    port = free_port((taken,))
    server = subprocess.Popen(command(port, data), stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent)
    try:
        while server.poll() is None and not answers(f"http://{LOOPBACK}:{port}/", HEALTHY):
            time.sleep(0.02)
        if server.poll() is not None:
            sys.exit("rclone ended while it started")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()


def _end_with_parent() -> None:
    """Linux ends the child when its parent is killed; elsewhere a killed parent leaves it on its unknown port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main()
