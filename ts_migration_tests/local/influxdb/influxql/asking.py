"""Asks InfluxQL over points in memory, and reads its answers."""

import json
from typing import Any

import msgpack

from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.influxql import execute
from ts_migration.local.influxdb.points import Points
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints

HOUR = 3_600_000_000_000
START = 1_672_531_200_000_000_000
NOW = START + 6 * HOUR
JSON, CSV, MSGPACK = "application/json", "application/csv", "application/x-msgpack"


def generation() -> MemoryPoints:
    """Two plants over six hours, the data of the recordings."""
    lines = []
    for hour in range(6):
        fields = f'mw={100 + 1.5 * hour},units={hour}i,online={"true" if hour % 2 else "false"},note="h{hour}"'
        lines += [
            f"generation,source={tags} {fields} {START + hour * HOUR}"
            for tags in ("wind,subsystem=NE", "hydro,subsystem=SE")
        ]
    return MemoryPoints().write("\n".join(lines))


def ask(text: str, points: Points | None = None, **said: Any) -> Answer:
    """The answer of a database `db`; times as ns, as JSON in one document unless said otherwise."""
    held = generation() if points is None else points
    options: dict[str, Any] = {"database": "db", "epoch": "ns", "accept": JSON, "chunked": False, "chunk_size": 10_000}
    return execute(text, source=lambda name: held if name == "db" else None, **{"now_ns": NOW} | options | said)


def body(text: str, points: Points | None = None, **said: Any) -> bytes:
    """The whole body."""
    return b"".join(ask(text, points, **said).body)


def results(text: str, points: Points | None = None, **said: Any) -> list[dict[str, Any]]:
    """Results of all statements."""
    return json.loads(body(text, points, **said)).get("results", [])


def result(text: str, points: Points | None = None, **said: Any) -> dict[str, Any]:
    """The result of the only statement."""
    (only,) = results(text, points, **said)
    return only


def error(text: str, points: Points | None = None, **said: Any) -> str:
    """The error of the only statement."""
    return result(text, points, **said)["error"]


def series(text: str, points: Points | None = None, **said: Any) -> list[dict[str, Any]]:
    """The series of the only statement, which must not have failed."""
    found = result(text, points, **said)
    assert "error" not in found, found
    return found.get("series", [])


def values(text: str, points: Points | None = None, **said: Any) -> list[list[Any]]:
    """The rows of the only series."""
    (only,) = series(text, points, **said)
    return only["values"]


def documents(raw: bytes) -> list[Any]:
    """MessagePack documents one after the other; bytes that are no UTF-8 by surrogateescape."""
    unpacker = msgpack.Unpacker(
        unicode_errors="surrogateescape", strict_map_key=False, ext_hook=lambda code, data: (code, data)
    )
    unpacker.feed(raw)
    return list(unpacker)
