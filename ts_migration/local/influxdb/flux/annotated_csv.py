"""Annotated CSV, byte for byte as InfluxDB writes it: dialects, annotation blocks, values, quoting, the error table.

Tables in, bytes out. The rules are those of Flux's csv encoder over Go's encoding/csv in CRLF mode: within quotes a
line feed becomes CRLF and a lone carriage return is dropped (seen on 2.7.11).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.local.influxdb.flux.errors import FluxError
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType, Table, is_constant
from ts_migration.local.influxdb.flux.values import SECOND, Time, float_text, time_text

DATATYPES: Final = {
    ColumnType.BOOL: "boolean",
    ColumnType.INT: "long",
    ColumnType.UINT: "unsignedLong",
    ColumnType.FLOAT: "double",
    ColumnType.STRING: "string",
    ColumnType.TIME: "dateTime:RFC3339",
}
ROWS_A_PIECE: Final = 50_000
BYTES_A_PIECE: Final = 1 << 16
FEW: Final = 24
"""Below this many rows a text each is cheaper than calls for the whole column."""


class DialectError(FluxError):
    """A dialect that the server refuses."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the answer is written; the defaults are those of a request without a dialect."""

    header: bool = True
    delimiter: str = ","
    annotations: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, object] | None) -> "Dialect":
        """From the request's JSON. Raises DialectError for what the server would not take."""
        settings = settings or {}
        header = settings.get("header", True)
        delimiter = settings.get("delimiter") or ","
        annotations = settings.get("annotations") or []
        quote = settings.get("quoteChar") or '"'
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\ufffd':
            raise DialectError(f"invalid dialect delimiter: must be a single character, got {delimiter!r}")
        if quote != '"':
            raise DialectError("a quoteChar other than the double quote is not supported by the embedded InfluxDB")
        if not isinstance(annotations, list):
            raise DialectError("dialect annotations must be a list")
        for name in annotations:
            if name not in ("group", "datatype", "default"):
                raise DialectError(f"unknown dialect annotation type: {name}")
        comment = settings.get("commentPrefix", "#")
        if not isinstance(comment, str) or len(comment) > 1:
            raise DialectError("invalid dialect comment prefix: must be length 0 or 1")
        if settings.get("dateTimeFormat", "RFC3339") not in ("RFC3339", "RFC3339Nano", ""):
            raise DialectError(f"unknown dialect date time format: {settings['dateTimeFormat']}")
        return cls(header is not False, delimiter, tuple(annotations))


@dataclass(slots=True)
class Encoder:
    """Writes the results of one query. `written` counts bytes: an error before the first is an HTTP status."""

    dialect: Dialect
    written: int = 0
    _special: re.Pattern[str] = field(init=False)
    _times: tuple[Array, list[str]] = field(init=False, default_factory=lambda: (np.zeros(0, np.int64), []))

    def __post_init__(self) -> None:
        self._special = re.compile(
            f'[{re.escape(self.dialect.delimiter)}"\r\n]|^[ \t\f\v\x85\xa0\u2000-\u200a]|^\\\\\\.\\Z'
        )

    def encode(self, results: Iterable[tuple[str, Iterable[Table]]]) -> Iterator[bytes]:
        """All results by name. A FluxError after the first byte becomes the error table; before it, it is raised."""
        waiting: list[bytes] = []
        size = 0
        try:
            for name, tables in results:
                for piece in self._result(name, tables):
                    self.written += len(piece)
                    waiting.append(piece)
                    size += len(piece)
                    if size >= BYTES_A_PIECE:
                        yield b"".join(waiting)
                        waiting, size = [], 0
                self.written += 2
                waiting.append(b"\r\n")
        except FluxError as error:
            if not self.written:
                raise
            waiting.append(self._error_table(error.message))
        yield b"".join(waiting)

    def _result(self, name: str, tables: Iterable[Table]) -> Iterator[bytes]:
        last: list[tuple[str, ColumnType]] | None = None
        last_empty = False
        for number, table in enumerate(tables):
            shape = [(column.label, column.type) for column in table.columns]
            empty = len(table) == 0
            if last_empty or shape != last or empty:
                yield (b"\r\n" if last is not None else b"") + self._schema(table, name, number)
            yield from self._rows(table, name, number)
            last, last_empty = shape, empty

    def _schema(self, table: Table, name: str, number: int) -> bytes:
        empty = len(table) == 0
        lines = []
        for annotation in self.dialect.annotations:
            cells = [f"#{annotation}"]
            if annotation == "datatype":
                cells += ["string", "long", *(DATATYPES[column.type] for column in table.columns)]
            elif annotation == "group":
                cells += ["false", "false", *(str(column.label in table.key).lower() for column in table.columns)]
            else:
                cells += [name, str(number) if empty else ""]
                keys = {column.label: column.value for column in table.key.columns} if empty else {}
                cells += [scalar_text(keys.get(column.label)) for column in table.columns]
            lines.append(cells)
        if self.dialect.header:
            lines.append(["", "result", "table", *table.labels()])
        return b"".join(self._line(cells) for cells in lines)

    def _line(self, cells: list[str]) -> bytes:
        return (self.dialect.delimiter.join(map(self.quoted, cells)) + "\r\n").encode("utf-8", "surrogateescape")

    def quoted(self, text: str) -> str:
        """A cell as Go's csv.Writer writes it with UseCRLF."""
        if not self._special.search(text):
            return text
        inner = text.replace("\r", "").replace("\n", "\r\n").replace('"', '""')
        return f'"{inner}"'

    def _rows(self, table: Table, name: str, number: int) -> Iterator[bytes]:
        comma = self.dialect.delimiter
        shown = "" if "default" in self.dialect.annotations else self.quoted(name)
        prefix = f"{comma}{shown}{comma}{number}"
        if 0 < len(table) <= ROWS_A_PIECE:
            yield self._piece(table, prefix)
            return
        for start in range(0, len(table), ROWS_A_PIECE):
            yield self._piece(table.slice(start, start + ROWS_A_PIECE), prefix)

    def _piece(self, table: Table, prefix: str) -> bytes:
        """Rows of one table: runs of constant columns are text made once, the rest is joined column-wise."""
        comma = self.dialect.delimiter
        parts: list[str | list[str]] = [prefix]
        for column in table.columns:
            if is_constant(column.values) and column.valid is None:
                cell = self.quoted(scalar_text(column.value(0)))
                _append(parts, comma + cell)
            else:
                _append(parts, comma)
                parts.append(self._cells(column))
        _append(parts, "\r\n")
        rows: list[str]
        if len(parts) == 1:
            return (str(parts[0]) * len(table)).encode("utf-8", "surrogateescape")
        template = "".join("%s" if isinstance(part, list) else part.replace("%", "%%") for part in parts)
        variable = [part for part in parts if isinstance(part, list)]
        rows = list(map(template.__mod__, zip(*variable, strict=True)))
        return "".join(rows).encode("utf-8", "surrogateescape")

    def _cells(self, column: Column) -> list[str]:
        if column.type is ColumnType.TIME and column.values is self._times[0]:
            # fields of one series share their times
            texts = self._times[1]
        else:
            texts = _TEXTS[column.type](column.values)
        if column.type is ColumnType.TIME:
            self._times = (column.values, texts)
        if column.type is ColumnType.STRING:
            search, quoted = self._special.search, self.quoted
            texts = [quoted(text) if search(text) else text for text in texts]
        if column.valid is not None and not column.valid.all():
            shown = np.array(texts, object)
            shown[~column.valid] = ""
            texts = shown.tolist()
        return texts

    def _error_table(self, message: str) -> bytes:
        cells = {"datatype": ["string", "string"], "group": ["true", "true"], "default": ["", ""]}
        lines = [[f"#{name}", *cells[name]] for name in self.dialect.annotations]
        lines += [["", "error", "reference"], ["", message, ""]]
        return b"\r\n" + b"".join(self._line(line) for line in lines)


def _append(parts: list[str | list[str]], text: str) -> None:
    if isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)


def scalar_text(value: object) -> str:
    """One value as a cell shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Time):
        return time_text(value.ns)
    return float_text(value) if isinstance(value, float) else str(value)


def float_texts(values: Array) -> list[str]:
    """Shortest digits without an exponent, for a whole column."""
    if len(values) < FEW:
        return [float_text(value) for value in values.tolist()]
    texts: list[str] = pc.cast(pa.array(np.ascontiguousarray(values)), pa.string()).to_pylist()
    with np.errstate(invalid="ignore"):
        size = np.abs(values)
        # the cast writes exponents outside of these bounds, and spells what is not finite differently
        odd = np.flatnonzero(~((size < 1e9) & ((size >= 1e-3) | (size == 0))))
    for row in odd.tolist():
        texts[row] = float_text(float(values[row]))
    return texts


def time_texts(values: Array) -> list[str]:
    """RFC 3339 with the fraction's last zeros left out, for a whole column of ns."""
    if len(values) < FEW:
        return [time_text(value) for value in values.tolist()]
    seconds, fraction = np.divmod(values, SECOND)
    whole = pc.replace_substring(pc.cast(pa.array(seconds).cast(pa.timestamp("s")), pa.string()), " ", "T")
    if not fraction.any():
        return pc.binary_join_element_wise(whole, "Z", "").to_pylist()  # type: ignore[no-any-return]
    digits = pc.utf8_lpad(pc.cast(pa.array(fraction), pa.string()), 9, "0")
    tail = pc.utf8_rtrim(pc.binary_join_element_wise(".", digits, ""), "0")
    tail = pc.if_else(pa.array(fraction == 0), "", tail)
    return pc.binary_join_element_wise(whole, tail, "Z", "").to_pylist()  # type: ignore[no-any-return]


def _bool_texts(values: Array) -> list[str]:
    return np.where(values, "true", "false").tolist()  # type: ignore[no-any-return]


def _int_texts(values: Array) -> list[str]:
    return list(map(str, values.tolist()))


def _string_texts(values: Array) -> list[str]:
    return values.tolist()  # type: ignore[no-any-return]


_TEXTS: Final[dict[ColumnType, Callable[[Array], list[str]]]] = {
    ColumnType.BOOL: _bool_texts,
    ColumnType.INT: _int_texts,
    ColumnType.UINT: _int_texts,
    ColumnType.FLOAT: float_texts,
    ColumnType.STRING: _string_texts,
    ColumnType.TIME: time_texts,
}
