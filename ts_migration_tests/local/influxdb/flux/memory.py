"""A bucket in memory for tests: `Points` over dictionaries, filled from line protocol or from values."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ts_migration.local.influxdb.flux import execute
from ts_migration.local.influxdb.points import (
    MAX_TIME_NS,
    MIN_TIME_NS,
    FieldColumn,
    FieldType,
    Points,
    Series,
    SeriesBlock,
)

NOW = 1_700_000_000_000_000_000
DTYPES = {
    FieldType.FLOAT: np.float64,
    FieldType.INTEGER: np.int64,
    FieldType.UNSIGNED: np.uint64,
    FieldType.STRING: object,
    FieldType.BOOLEAN: np.bool_,
}
ALL = {"header": True, "delimiter": ",", "annotations": ["datatype", "group", "default"]}

Value = tuple[FieldType, object]


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@dataclass
class MemoryPoints:
    """Points by series and time; a value keeps the type it was written with."""

    points: dict[Series, dict[int, dict[tuple[str, FieldType], object]]] = field(default_factory=dict)

    def write(self, lines: str) -> "MemoryPoints":
        for measurement, tags, fields, time in parse_lines(lines):
            self.add(measurement, tags, fields, time)
        return self

    def add(self, measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time: int) -> None:
        series = Series(measurement, tuple(sorted(tags.items(), key=lambda tag: raw(tag[0]))))
        row = self.points.setdefault(series, {}).setdefault(time, {})
        row.update({(name, kind): value for name, (kind, value) in fields.items()})

    def measurements(self) -> list[str]:
        return sorted({series.measurement for series in self.points}, key=raw)

    def field_types(self, measurement: str, start_ns: int = 0, stop_ns: int = 0) -> list[tuple[str, FieldType]]:
        found = {key for series in self.series(measurement) for row in self.points[series].values() for key in row}
        return sorted(found, key=lambda key: (raw(key[0]), key[1]))

    def tag_keys(self, measurement: str) -> list[str]:
        return sorted({name for series in self.series(measurement) for name, _ in series.tags}, key=raw)

    def series(self, measurement: str | None = None) -> list[Series]:
        found = [series for series in self.points if measurement in (None, series.measurement)]
        return sorted(found, key=lambda one: (raw(one.measurement), [(raw(k), raw(v)) for k, v in one.tags]))

    def blocks(
        self,
        measurement: str,
        start_ns: int = MIN_TIME_NS,
        stop_ns: int = MAX_TIME_NS,
        fields: frozenset[str] | None = None,
        where: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> Iterator[SeriesBlock]:
        for series in self.series(measurement):
            if where is not None and not where(dict(series.tags)):
                continue
            rows = [
                (time, row)
                for time, row in sorted(self.points[series].items())
                if start_ns <= time <= stop_ns and (fields is None or any(name in fields for name, _ in row))
            ]
            if not rows:
                continue
            keys = sorted({key for _, row in rows for key in row if fields is None or key[0] in fields})
            times = np.array([time for time, _ in rows], np.int64)
            yield SeriesBlock(series, times, tuple(_column(key, [row for _, row in rows]) for key in keys))


def _column(key: tuple[str, FieldType], rows: list[dict[tuple[str, FieldType], object]]) -> FieldColumn:
    name, kind = key
    valid = np.array([key in row for row in rows])
    values = np.array([row.get(key, "" if kind is FieldType.STRING else 0) for row in rows], DTYPES[kind])
    return FieldColumn(name, kind, values, None if valid.all() else valid)


def parse_lines(lines: str) -> Iterable[tuple[str, dict[str, str], dict[str, Value], int]]:
    """Line protocol as the recordings write it: escapes and quotes, but no malformed lines."""
    unquoted = re.compile(
        r'((?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*")+) ((?:[^ "\\]|\\.|"(?:[^"\\]|\\.)*")+) (-?\d+)\n?', re.DOTALL
    )
    for key, fields, time in unquoted.findall(lines):
        head, *tags = re.split(r"(?<!\\),", key)
        values = {}
        for part in re.findall(r'(?:[^,"\\]|\\.|"(?:[^"\\]|\\.)*")+', fields, re.DOTALL):
            name, value = re.split(r"(?<!\\)=", part, maxsplit=1)
            values[_plain(name)] = _value(value)
        yield _plain(head), dict(tuple(map(_plain, re.split(r"(?<!\\)=", tag))) for tag in tags), values, int(time)


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(text: str) -> Value:
    if text[0] == '"':
        return FieldType.STRING, re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in ("true", "false"):
        return FieldType.BOOLEAN, text == "true"
    if text[-1] == "i":
        return FieldType.INTEGER, int(text[:-1])
    if text[-1] == "u":
        return FieldType.UNSIGNED, int(text[:-1])
    return FieldType.FLOAT, float(text)


@dataclass(frozen=True)
class Asked:
    """An answer read to its end."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def rows(self) -> list[list[str]]:
        """Cells of the lines that are rows of tables, annotations and headers left out (no quoting expected)."""
        lines = [line.split(",") for line in self.text.split("\r\n") if line and not line.startswith("#")]
        return [line[1:] for line in lines if line[1:3] != ["result", "table"]]


def ask(query: str, points: Points | None, dialect: Mapping[str, object] | None = ALL, now: int = NOW) -> Asked:
    """The query over a bucket named `b`."""
    answer = execute(query, dialect=dialect, source=lambda name: points if name == "b" else None, now_ns=now)
    return Asked(answer.status, answer.headers, b"".join(answer.body).decode("utf-8", "surrogateescape"))
