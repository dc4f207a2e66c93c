"""The embedded Timestream server as a process for tests: on a free port, always stopped."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ts_migration_tests.local.s3 import ACCESS_KEY, SECRET_KEY

REGION = "us-east-1"
_LISTENING = re.compile(r"listening on (http://\S+)")


@contextmanager
def running_timestream(tmp_path: Path, s3_endpoint: str | None = None, options: Sequence[str] = ()) -> Iterator[str]:
    """A server with its data in ``tmp_path/timestream``: its URL. Stopped by SIGTERM at the end of the block."""
    server, url = start_timestream(tmp_path, s3_endpoint, options)
    try:
        yield url
    finally:
        stop(server)


def start_timestream(
    tmp_path: Path, s3_endpoint: str | None = None, options: Sequence[str] = ()
) -> "tuple[subprocess.Popen[str], str]":
    """Start a server that the caller stops, or kills."""
    command = [
        sys.executable,
        "-m",
        "ts_migration.local.timestream",
        "--port",
        "0",
        "--data",
        str(tmp_path / "timestream"),
    ]
    if s3_endpoint:
        command += ["--s3-endpoint", s3_endpoint]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    log = tmp_path / "timestream.log"
    with log.open("ab") as errors:
        server = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
    try:
        return server, _url(server, log)
    except BaseException:
        server.kill()
        server.wait()
        raise


def stop(server: "subprocess.Popen[str]") -> int:
    """End a server as a supervisor does; its exit code."""
    if server.poll() is None:
        server.terminate()
    try:
        return server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        raise
    finally:
        if server.stdout is not None:
            server.stdout.close()


def write_client(url: str, **config: Any) -> Any:
    """A plain client of the write API."""
    return _client("timestream-write", url, config)


def query_client(url: str, **config: Any) -> Any:
    """A plain client of the query API."""
    return _client("timestream-query", url, config)


def _client(service: str, url: str, config: dict[str, Any]) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def _url(server: "subprocess.Popen[str]", log: Path) -> str:
    deadline = time.monotonic() + 30
    assert server.stdout is not None
    while time.monotonic() < deadline and server.poll() is None:
        if select.select([server.stdout], [], [], 0.2)[0] and (found := _LISTENING.search(server.stdout.readline())):
            return found[1]
    raise RuntimeError(f"the embedded Timestream server did not start: {log.read_text(errors='replace')}")
