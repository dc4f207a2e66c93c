"""Short ways to ask queries over a small bucket of two plants."""

import csv
import io
import json

from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask

HOUR = 3600 * 10**9
START = 1672531200 * 10**9
RANGE = 'from(bucket: "b") |> range(start: 2023-01-01T00:00:00Z, stop: 2023-01-01T06:00:00Z)'
MW = RANGE + ' |> filter(fn: (r) => r._field == "mw")'


def plants() -> MemoryPoints:
    """Two series with four fields each: 100, 101.5, … MW every hour; wind is half a MW above hydro."""
    points = MemoryPoints()
    for hour in range(6):
        for source, more in (("hydro", 0.0), ("wind", 0.5)):
            fields = {
                "mw": (FieldType.FLOAT, 100 + 1.5 * hour + more),
                "units": (FieldType.INTEGER, hour),
                "online": (FieldType.BOOLEAN, hour % 2 == 1),
                "note": (FieldType.STRING, f"h{hour}"),
            }
            points.add("generation", {"source": source}, fields, START + hour * HOUR)
    return points


def records(query: str, points: MemoryPoints | None = None, *, status: int = 200) -> list[dict[str, str]]:
    """The rows of all tables, each with its columns by name."""
    answer = ask(query, plants() if points is None else points)
    assert answer.status == status, answer.text
    found, header = [], None
    for row in csv.reader(io.StringIO(answer.text, newline="")):
        if not row or row[0].startswith("#"):
            continue
        if row[1:3] == ["result", "table"]:
            header = row
        elif row[1:3] == ["error", "reference"]:
            raise AssertionError(answer.text)
        else:
            found.append(dict(zip(header or [], row, strict=True)))
    return found


def values(query: str, points: MemoryPoints | None = None, column: str = "_value") -> list[str]:
    return [record[column] for record in records(query, points)]


def refusal(query: str, points: MemoryPoints | None = None, status: int = 400) -> str:
    answer = ask(query, plants() if points is None else points)
    assert answer.status == status, answer.text
    assert answer.headers["X-Platform-Error-Code"] == json.loads(answer.text)["code"]
    return str(json.loads(answer.text)["message"])
