"""A file-backed S3 for tests: rclone's server on a free port of loopback, stopped with the block."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ts_migration.local import s3_server

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running_s3(folder: Path) -> Iterator[tuple[str, str, str]]:
    """An S3 over ``folder/s3``: endpoint, access key, secret key. Buckets are folders there."""
    root = folder / "s3"
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {**os.environ, **s3_server.environment(ACCESS_KEY, SECRET_KEY)}
    with (folder / "rclone.log").open("wb") as log:
        server = subprocess.Popen(s3_server.command(port, root), stdout=log, stderr=log, env=environment)
    try:
        _await(port, server, folder / "rclone.log")
        yield f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def s3_client(endpoint: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, **config: Any) -> Any:
    """A client for such an S3."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            **config,
        ),
    )


def _await(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"rclone serves no S3 on port {port}: {log.read_text(errors='replace')}")
