"""Answers of InfluxDB to questions of users, in Flux or InfluxQL, as frames: small, typed, times in ns.

Reading a whole bucket back is in `reader`; what answers are compared with is in `validation`.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from urllib3.exceptions import HTTPError

from ts_migration.columns import named
from ts_migration.errors import Permanent
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.reader import query_series

TIME = pl.Datetime("ns")
MOST_BYTES = 64 << 20
"""Bytes of an answer in Flux: a question that is answered by more is no question to compare."""
_READ_BYTES = 1 << 18
_DIALECT = {"header": True, "delimiter": ",", "annotations": ["datatype", "group", "default"]}
_FIRST_COLUMN = 3
"""Before it stand the annotation, the result's name and the table's number (facts of InfluxDB, section 5)."""


def flux_answer(target: Target, query: str) -> pl.DataFrame:
    """All tables of a Flux query under each other; a column that a table has not is null there.

    Annotated CSV cannot tell an empty text from null, nor keep a carriage return (facts of InfluxDB, section 5).

    Raises:
        Transient: the connection broke, or a 5xx.
        Permanent: refused, an error inside the answer, too much of it, or a column of several types.
    """
    body = json.dumps({"query": query, "type": "flux", "dialect": _DIALECT}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/csv"}
    response = target.open("POST", "/api/v2/query", {"org": target.org}, headers=headers, body=body)
    finished = False
    try:
        if response.status != 200:
            raise target.error(Answer(response.status, response.headers, response.read()), "the query failed")
        content = bytearray()
        for piece in response.stream(_READ_BYTES):
            content += piece
            if len(content) > MOST_BYTES:
                raise Permanent(f"the answer is larger than {MOST_BYTES >> 20} MiB", where=target.url)
        finished = True
    except (HTTPError, OSError) as error:
        raise target.broken(error) from None
    finally:
        if finished:
            response.release_conn()
        else:
            response.close()
    return frame_of_csv(target.clean(bytes(content).decode("utf-8", "replace")), where=target.url)


def influxql_answer(target: Target, bucket: str, query: str, most_rows: int) -> pl.DataFrame:
    """All series of an InfluxQL query, of all its statements, under each other; the tags of GROUP BY are columns.

    Raises:
        Transient: the connection broke, or a 5xx.
        Permanent: refused, an error inside the answer, too many rows, or a column of several types.
    """
    frames: list[pl.DataFrame] = []
    for series in query_series(target, bucket, query):
        if sum(map(len, frames)) + len(series["values"]) > most_rows:
            raise Permanent(f"the answer has more than {most_rows:,} rows", where=target.url)
        columns: list[Sequence[Any]] = list(zip(*series["values"], strict=True)) or [() for _ in series["columns"]]
        values = dict(zip(series["columns"], columns, strict=True))
        frame = pl.DataFrame([_typed(name, column, target.url) for name, column in values.items()])
        tags = [pl.lit(tag, pl.String).alias(key) for key, tag in (series.get("tags") or {}).items()]
        frames.append(frame.with_columns(tags))
    return _under_each_other(frames, target.url)


def _typed(name: str, values: Sequence[Any], where: str) -> pl.Series:
    if name == "time":
        return pl.Series(name, values, pl.Int64).cast(TIME)
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) > 1:
        raise _several_types(name, sorted(kind.__name__ for kind in kinds), where)
    return pl.Series(name, values, strict=True)


@dataclass(frozen=True, slots=True)
class _Block:
    """Tables of one layout: column -> type as annotated, default of each column, and their rows of text."""

    types: dict[str, str]
    defaults: tuple[str, ...]
    rows: list[list[str]]


def frame_of_csv(text: str, where: str = "InfluxDB") -> pl.DataFrame:
    """The tables of annotated CSV under each other.

    Raises:
        Permanent: it ends with an error, is no annotated CSV, or a column has several types.
    """
    return _under_each_other([_frame(block) for block in _blocks(text, where)], where)


def _blocks(text: str, where: str) -> Iterator[_Block]:
    annotations: dict[str, list[str]] = {}
    block: _Block | None = None
    for row in csv.reader(io.StringIO(text, newline="")):
        if not row or row == [""]:
            continue
        if row[0].startswith("#"):
            if block is not None:
                yield block
                annotations, block = {}, None
            annotations[row[0]] = row
        elif block is None:
            if row[1:3] == ["error", "reference"]:
                annotations = {"error": row}
            elif "error" in annotations:
                raise Permanent(f"the query failed: {row[1]}", where=where)
            elif row[1:_FIRST_COLUMN] != ["result", "table"] or "#datatype" not in annotations:
                raise Permanent("the answer is no annotated CSV", where=where)
            else:
                names, types = row[_FIRST_COLUMN:], annotations["#datatype"][_FIRST_COLUMN:]
                defaults = annotations.get("#default", [""] * len(row))[_FIRST_COLUMN:]
                block = _Block(dict(zip(names, types, strict=True)), tuple(defaults), [])
        else:
            block.rows.append(row[_FIRST_COLUMN:])
    if block is not None:
        yield block


def _frame(block: _Block) -> pl.DataFrame:
    texts = pl.DataFrame(block.rows, schema=dict.fromkeys(block.types, pl.String), orient="row")
    return texts.select(
        _parsed(pl.when(named(name) == "").then(pl.lit(default or None, pl.String)).otherwise(named(name)), kind).alias(
            name
        )
        for (name, kind), default in zip(block.types.items(), block.defaults, strict=True)
    )


def _parsed(cell: pl.Expr, kind: str) -> pl.Expr:
    """A column of cells as its type; a type that has no own here (duration, base64Binary) stays text."""
    match kind:
        case "long":
            return cell.cast(pl.Int64)
        case "unsignedLong":
            return cell.cast(pl.UInt64)
        case "double":
            return cell.replace({"+Inf": "inf", "-Inf": "-inf"}).cast(pl.Float64)
        case "boolean":
            return cell == "true"
        case "dateTime:RFC3339" | "dateTime:RFC3339Nano":
            return cell.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns", time_zone=None, strict=True)
    return cell


def _under_each_other(frames: Sequence[pl.DataFrame], where: str) -> pl.DataFrame:
    """Frames made one.

    Raises:
        Permanent: a column has several types.
    """
    filled = [frame for frame in frames if len(frame)]
    kinds: dict[str, pl.DataType] = {}
    for frame in filled:
        for name, kind in frame.schema.items():
            known = kinds.setdefault(name, kind)
            if known == pl.Null():
                kinds[name] = kind
            elif kind not in (known, pl.Null()):
                raise _several_types(name, sorted(map(str, (known, kind))), where)
    typed = [frame.with_columns(named(name).cast(kinds[name]) for name in frame.columns) for frame in filled]
    return pl.concat(typed, how="diagonal") if typed else pl.DataFrame(schema=_schema_of_none(frames))


def _schema_of_none(frames: Sequence[pl.DataFrame]) -> dict[str, pl.DataType]:
    return {name: kind for frame in frames for name, kind in frame.schema.items()}


def _several_types(name: str, kinds: Sequence[str], where: str) -> Permanent:
    return Permanent(
        f"the column {name!r} of the answer holds {' and '.join(kinds)}",
        where=where,
        allowed="one type in a column",
        next_step="ask for fields of one type, or convert them with toFloat()",
    )
