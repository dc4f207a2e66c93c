"""WriteRecords: which records of a request are stored, by schema, retention and version, and the store they go to.

Here belong the rules that need the table as it is. Parsing a record does not.

Two choices the service's pages leave open: a higher version replaces all measures of a multi-measure record, those it
does not mention included; and retention refuses records that arrive too late but removes none that are stored.
"""

# ruff: noqa: S608 - identifiers cannot be parameters of SQL; every one is quoted by naming.quoted

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ts_migration.local.timestream import naming
from ts_migration.local.timestream.catalog import AttributeKind, ScalarType, TableColumn
from ts_migration.local.timestream.naming import quoted
from ts_migration.local.timestream.records import (
    IncomingRecord,
    Members,
    RecordRefusedError,
    Value,
    merged,
    parse_record,
)
from ts_migration.local.timestream.refusals import RejectedRecord, RejectedRecordsError
from ts_migration.local.timestream.registry import VERSION_COLUMN, Table
from ts_migration.local.timestream.resources import find_table
from ts_migration.local.timestream.storage import Storage, Transaction

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
FUTURE_NS = 15 * 60 * 1_000_000_000
"""How far ahead of the server's clock a record may be."""

_ARROW = {
    ScalarType.VARCHAR: pa.string(),
    ScalarType.DOUBLE: pa.float64(),
    ScalarType.BIGINT: pa.int64(),
    ScalarType.BOOLEAN: pa.bool_(),
    ScalarType.TIMESTAMP: pa.int64(),
}
_SAME_VERSION = (
    "A record already exists with the same time, dimensions, measure name, and record version. A higher record version "
    "must be specified in order to update the measure value. Specifying record version is supported by the latest SDKs."
)
_COLUMNS_OF_ALL = ("measure_name", "time", VERSION_COLUMN)
_OTHER_TYPE = "The column {name!r} is a {held} of type {type}; it cannot also be a {wanted} of type {wanted_type}."

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What the table, or an earlier record of the request, holds under a key."""

    version: int
    values: dict[str, Value]


def arrow_type(scalar: ScalarType) -> pa.DataType:
    """The Arrow type of a column's physical representation."""
    return _ARROW[scalar]


def write_records(storage: Storage, request: Members, clock: Callable[[], int]) -> Members:
    """WriteRecords.

    Args:
        clock: nanoseconds since the epoch, for retention.

    Raises:
        RejectedRecordsError: some records were refused; all others are stored.
        ValidationError, ResourceNotFoundError: nothing is stored.
    """
    common = request.get("CommonAttributes") or {}
    find_table(storage.registry, request["DatabaseName"], request["TableName"])
    rejected: list[RejectedRecord] = []
    records: list[IncomingRecord] = []
    for index, members in enumerate(request["Records"]):
        try:
            records.append(parse_record(merged(members, common, index), index))
        except RecordRefusedError as refusal:
            rejected.append(RejectedRecord(index, str(refusal)))
    now = clock()
    with storage.writing() as transaction:
        table = find_table(transaction.registry, request["DatabaseName"], request["TableName"])
        table, records = _admit(transaction, table, records, now, rejected)
        accepted = _store(transaction, table, records, rejected)
    if rejected:
        raise RejectedRecordsError(rejected)
    late = sum(record.time < now - table.memory_hours * _HOUR for record in accepted)
    total = len(accepted)
    return {"RecordsIngested": {"Total": total, "MemoryStore": total - late, "MagneticStore": late}}


def ingestion_window(table: Table, now: int) -> tuple[int, int]:
    """The times that a table accepts now, in nanoseconds: from the first to before the second."""
    reach = table.magnetic_days * _DAY if table.takes_late_records else table.memory_hours * _HOUR
    return max(now - reach, 0), now + FUTURE_NS


def _admit(
    transaction: Transaction, table: Table, records: list[IncomingRecord], now: int, rejected: list[RejectedRecord]
) -> tuple[Table, list[IncomingRecord]]:
    """The records that the table's retention, partition key and columns allow, and the table with their columns."""
    columns = {column.name: column for column in table.columns}
    admitted: list[IncomingRecord] = []
    new: list[TableColumn] = []
    for record in records:
        try:
            _refuse_time(table, record, now)
            _refuse_missing_key(table, record)
            wanted = _new_columns(columns, record)
        except RecordRefusedError as refusal:
            rejected.append(RejectedRecord(record.index, str(refusal)))
            continue
        columns.update({column.name: column for column in wanted})
        new.extend(wanted)
        admitted.append(record)
    return transaction.add_columns(table, tuple(new)), admitted


def _refuse_time(table: Table, record: IncomingRecord, now: int) -> None:
    first, end = ingestion_window(table, now)
    if not first <= record.time < end:
        raise RecordRefusedError(
            f"The record timestamp is outside the time range [{_iso(first)}, {_iso(end)}) of the data ingestion window."
        )


def _iso(time: int) -> str:
    return (
        datetime.fromtimestamp(time // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{time // 1_000_000 % 1000:03d}Z"
    )


def _refuse_missing_key(table: Table, record: IncomingRecord) -> None:
    names = {name for name, _ in record.dimensions}
    for key in table.partition_key:
        if key.get("EnforcementInRecord") == "REQUIRED" and key["Name"] not in names:
            raise RecordRefusedError(
                f"The record lacks the dimension {key['Name']!r}, which the partition key requires."
            )


def _new_columns(columns: dict[str, TableColumn], record: IncomingRecord) -> list[TableColumn]:
    """The columns of a record that the table lacks; refuses a column of another type or kind."""
    known = dict(columns)
    for column in record.columns:
        refuse_other_column(known, column)
        known[column.name] = column
    held, new = known.values(), [column for name, column in known.items() if name not in columns]
    if sum(column.kind is AttributeKind.DIMENSION for column in held) > naming.MAX_DIMENSIONS_PER_TABLE:
        raise RecordRefusedError(f"A table has at most {naming.MAX_DIMENSIONS_PER_TABLE} dimensions.")
    if sum(column.kind is AttributeKind.MULTI for column in held) > naming.MAX_MULTI_MEASURE_COLUMNS_PER_TABLE:
        raise RecordRefusedError(
            f"A table has at most {naming.MAX_MULTI_MEASURE_COLUMNS_PER_TABLE} measures in multi-measure records."
        )
    return new


def refuse_other_column(columns: dict[str, TableColumn], wanted: TableColumn) -> None:
    """Refuse a column whose name the table uses for another type or kind, or in another case.

    Raises:
        RecordRefusedError: with the column held and the one wanted.
    """
    held = columns.get(wanted.name)
    if held is not None and held != wanted:
        raise RecordRefusedError(
            _OTHER_TYPE.format(
                name=wanted.name, held=held.kind, type=held.type, wanted=wanted.kind, wanted_type=wanted.type
            )
        )
    if held is None:
        names = (*_COLUMNS_OF_ALL, *columns)
        twin = next((name for name in names if name.lower() == wanted.name.lower()), None)
        if twin is not None:
            # DuckDB's names ignore case: two such columns would be one. Refused, for it would answer wrongly.
            raise RecordRefusedError(
                f"The embedded server cannot hold the columns {twin!r} and {wanted.name!r}, which differ only in case."
            )


def _store(
    transaction: Transaction, table: Table, records: list[IncomingRecord], rejected: list[RejectedRecord]
) -> list[IncomingRecord]:
    """Apply the version rules in the order of the request, then replace what changed. Returns the accepted records."""
    if not records:
        return []
    keys = [_key(table, record) for record in records]
    before = _existing(transaction, table, list(dict.fromkeys(keys)))
    state = dict(before)
    accepted: list[IncomingRecord] = []
    for key, record in zip(keys, records, strict=True):
        values = {measure.column.name: measure.value for measure in record.measures}
        held = state.get(key)
        refusal = _version_refusal(held, record.version, values)
        if refusal is not None and held is not None:
            rejected.append(RejectedRecord(record.index, refusal, held.version))
            continue
        accepted.append(record)
        state[key] = StoredRecord(record.version, values)
    changed = {key: held for key, held in state.items() if before.get(key) != held}
    _replace(transaction, table, [key for key in changed if key in before], changed)
    return accepted


def _version_refusal(held: StoredRecord | None, version: int, values: dict[str, Value]) -> str | None:
    """Why a record may not follow the one held under its key, or None.

    A record equal in version and value is a repetition and accepted; a lower version is not, whatever its value.
    """
    if held is None or version > held.version:
        return None
    if version < held.version:
        return (
            f"The record version {version} is lower than the existing version {held.version}. "
            "A higher version is required to update the measure value."
        )
    return None if values == held.values else _SAME_VERSION


def _key(table: Table, record: IncomingRecord) -> Key:
    dimensions = dict(record.dimensions)
    return (*(dimensions.get(column.name) for column in table.dimensions), record.measure_name, record.time)


def _key_table(table: Table, keys: list[Key]) -> pa.Table:
    types = [pa.string()] * (len(table.key_columns) - 1) + [pa.int64()]
    arrays = [pa.array([key[i] for key in keys], type=kind) for i, kind in enumerate(types)]
    return pa.table(arrays, names=list(table.key_columns))


def same_key(table: Table) -> str:
    """The condition that two rows, ``held`` and ``wanted``, are of one key."""
    # Dimensions may be absent on both sides; that is the same key. Time is never NULL: `=` lets DuckDB hash and prune.
    parts = [f"held.{quoted(name)} IS NOT DISTINCT FROM wanted.{quoted(name)}" for name in table.key_columns[:-1]]
    return " AND ".join(["held.time = wanted.time", *parts])


def _existing(transaction: Transaction, table: Table, keys: list[Key]) -> dict[Key, StoredRecord]:
    """The records that the table holds under these keys."""
    transaction.connection.register("wanted", _key_table(table, keys))
    times = [key[-1] for key in keys]
    columns = ", ".join(f"held.{quoted(name)}" for name in (*table.key_columns, *(m.name for m in table.measures)))
    rows = transaction.connection.execute(
        f"SELECT held.{VERSION_COLUMN}, {columns} FROM {table.records} held, wanted "
        f"WHERE held.time BETWEEN {min(times)} AND {max(times)} AND {same_key(table)}"
    ).fetchall()
    transaction.connection.unregister("wanted")
    width = len(table.key_columns)
    found: dict[Key, StoredRecord] = {}
    for version, *row in rows:
        measures = zip((measure.name for measure in table.measures), row[width:], strict=True)
        found[tuple(row[:width])] = StoredRecord(
            version, {name: value for name, value in measures if value is not None}
        )
    return found


def _replace(transaction: Transaction, table: Table, outdated: list[Key], current: dict[Key, StoredRecord]) -> None:
    """Remove the outdated records and store the current ones."""
    if outdated:
        transaction.connection.register("wanted", _key_table(table, outdated))
        transaction.connection.execute(f"DELETE FROM {table.records} held USING wanted WHERE {same_key(table)}")
        transaction.connection.unregister("wanted")
    if not current:
        return
    rows = _key_table(table, list(current))
    for measure in table.measures:
        values = [held.values.get(measure.name) for held in current.values()]
        rows = rows.append_column(measure.name, pa.array(values, type=arrow_type(measure.type)))
    rows = rows.append_column(VERSION_COLUMN, pa.array([held.version for held in current.values()], type=pa.int64()))
    transaction.connection.register("arriving", rows)
    transaction.connection.execute(f"INSERT INTO {table.records} BY NAME SELECT * FROM arriving")
    transaction.connection.unregister("arriving")
