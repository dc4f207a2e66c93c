"""Bulk seeding, the server's side: Arrow batches become records of a table in one transaction, all or none.

Here belong the conversion of columns to the physical representation, and the checks that WriteRecords makes record by
record, made by column: names, finite doubles, empty strings, one value per key. HTTP does not.
"""

# ruff: noqa: S608 - identifiers cannot be parameters of SQL; every one is quoted by naming.quoted

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.local.timestream import naming
from ts_migration.local.timestream.catalog import AttributeKind, ScalarType, TableColumn
from ts_migration.local.timestream.ingestion import arrow_type, refuse_other_column, same_key
from ts_migration.local.timestream.naming import quoted
from ts_migration.local.timestream.records import RecordRefusedError
from ts_migration.local.timestream.refusals import ServiceError, ValidationError
from ts_migration.local.timestream.registry import VERSION_COLUMN, Database, Table, duckdb_type
from ts_migration.local.timestream.seed import SeedReport, SeedSpec
from ts_migration.local.timestream.storage import Storage, Transaction


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    without_value: int = 0
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the columns of one frame become the columns of a table."""

    spec: SeedSpec
    measures: tuple[TableColumn, ...]
    sources: tuple[str, ...]
    counts: _Counts = field(default_factory=_Counts)

    @property
    def dimensions(self) -> tuple[TableColumn, ...]:
        return tuple(TableColumn(name, ScalarType.VARCHAR, AttributeKind.DIMENSION) for name in self.spec.dimensions)

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        return (*self.dimensions, *self.measures)

    @property
    def schema(self) -> pa.Schema:
        fields = [pa.field(column.name, arrow_type(column.type)) for column in self.dimensions]
        fields += [pa.field("measure_name", pa.string()), pa.field("time", pa.int64())]
        return pa.schema(fields + [pa.field(column.name, arrow_type(column.type)) for column in self.measures])


def seed_records(storage: Storage, spec: SeedSpec, frame: pa.RecordBatchReader, clock: Callable[[], int]) -> SeedReport:
    """Store a frame; its table is made if missing, with magnetic writes enabled.

    Raises:
        ValidationError: the frame breaks the specification, a limit, or contradicts a stored record. Nothing is stored.
    """
    plan = _plan(spec, frame.schema)
    try:
        with storage.writing() as transaction:
            table = _table(transaction, spec, clock() // 1_000_000)
            table = _widen(transaction, table, plan)
            reader = pa.RecordBatchReader.from_batches(plan.schema, _remembering(plan, _physical(plan, frame)))
            return _store(transaction, table, plan, reader)
    except (RecordRefusedError, duckdb.Error) as error:
        raise ValidationError(f"{spec.database}.{spec.table}: {plan.counts.failure or error}") from error


def _remembering(plan: _Plan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; an error among them is kept, for what DuckDB passes on of it has lost its words."""
    try:
        yield from batches
    except (ServiceError, pa.ArrowException, OSError) as error:
        plan.counts.failure = error
        raise


def _plan(spec: SeedSpec, schema: pa.Schema) -> _Plan:
    wanted = [
        *spec.dimensions,
        *spec.measures,
        spec.time,
        *([spec.measure_name_column] if spec.measure_name_column else []),
    ]
    missing = [name for name in wanted if name not in schema.names]
    if missing:
        raise ValidationError(f"The frame lacks the columns {missing}; it has {schema.names}.")
    for name in spec.dimensions:
        _refuse(naming.column_name_problem(name, naming.MAX_DIMENSION_NAME_BYTES))
    if set(spec.dimensions) & set(spec.measures):
        raise ValidationError("A dimension and a measure cannot have the same name.")
    types = [_scalar(schema.field(name).type, name) for name in spec.measures]
    if spec.kind == "multi":
        for name in spec.measures:
            _refuse(naming.column_name_problem(name, naming.MAX_MEASURE_NAME_BYTES))
        columns = [TableColumn(n, t, AttributeKind.MULTI) for n, t in zip(spec.measures, types, strict=True)]
        return _Plan(spec, tuple(columns), spec.measures)
    if ScalarType.TIMESTAMP in types:
        raise ValidationError("TIMESTAMP measures are only allowed in multi-measure records.")
    if spec.measure_name_column is not None and len(set(types)) != len(types):
        raise ValidationError("With measure_name_column each measure column has a type of its own.")
    names = [spec.measure_name] if spec.measure_name else [] if spec.measure_name_column else spec.measures
    for name in names:
        _refuse(naming.measure_name_problem(name))
    used = dict.fromkeys(types)
    return _Plan(spec, tuple(_value_column(scalar) for scalar in used), spec.measures)


def _value_column(scalar: ScalarType) -> TableColumn:
    return TableColumn(f"measure_value::{scalar.value.lower()}", scalar, AttributeKind.MEASURE_VALUE)


def _refuse(problem: str | None) -> None:
    if problem:
        raise ValidationError(problem)


def _scalar(kind: pa.DataType, name: str) -> ScalarType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return ScalarType.BOOLEAN
    if pa.types.is_integer(kind):
        return ScalarType.BIGINT
    if pa.types.is_floating(kind):
        return ScalarType.DOUBLE
    if pa.types.is_timestamp(kind):
        return ScalarType.TIMESTAMP
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return ScalarType.VARCHAR
    raise ValidationError(f"Column {name!r} has type {kind}, which is none that Timestream can store.")


def _table(transaction: Transaction, spec: SeedSpec, now_ms: int) -> Table:
    for name in (spec.database, spec.table):
        _refuse(naming.resource_name_problem(name))
    if spec.database not in transaction.registry.databases:
        transaction.put_database(Database(spec.database, "", now_ms, now_ms))
    found = transaction.registry.tables.get((spec.database, spec.table))
    if found is not None:
        return found
    table = Table(
        number=transaction.next_table_number(),
        database=spec.database,
        name=spec.table,
        memory_hours=spec.memory_hours,
        magnetic_days=spec.magnetic_days,
        magnetic_writes={"EnableMagneticStoreWrites": True},
        partition_key=({"Type": "MEASURE"},),
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    transaction.put_table(table)
    return table


def _widen(transaction: Transaction, table: Table, plan: _Plan) -> Table:
    held = {column.name: column for column in table.columns}
    new: list[TableColumn] = []
    for column in plan.columns:
        refuse_other_column(held, column)
        if column.name not in held:
            new.append(column)
            held[column.name] = column
    return transaction.add_columns(table, tuple(new))


def _physical(plan: _Plan, frame: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The frame's batches in the physical representation of the table."""
    spec = plan.spec
    for batch in frame:
        plan.counts.rows += batch.num_rows
        keys = [_text(batch.column(name), name) for name in spec.dimensions]
        time = _time(batch.column(spec.time), spec.time)
        values = [_value(batch.column(name), name) for name in plan.sources]
        valid = [value.is_valid() for value in values]
        filled = valid[0]
        for other in valid[1:]:
            filled = pc.or_(filled, other)
        plan.counts.without_value += batch.num_rows - (filled.true_count or 0)
        if spec.kind == "single" and spec.measure_name_column is None:
            yield from _one_record_per_measure(plan, keys, time, values, valid)
            continue
        if spec.kind == "single":
            _refuse_two_values(valid)
        name = _measure_name(batch, spec)
        yield pa.record_batch([*keys, name, time, *values], schema=plan.schema).filter(filled)


def _one_record_per_measure(
    plan: _Plan, keys: list[pa.Array], time: pa.Array, values: list[pa.Array], valid: list[pa.Array]
) -> Iterator[pa.RecordBatch]:
    rows = len(time)
    for source, value, there in zip(plan.sources, values, valid, strict=True):
        name = pa.repeat(pa.scalar(plan.spec.measure_name or source), rows)
        columns = [
            value if arrow_type(column.type) == value.type else pa.nulls(rows, arrow_type(column.type))
            for column in plan.measures
        ]
        yield pa.record_batch([*keys, name, time, *columns], schema=plan.schema).filter(there)


def _refuse_two_values(valid: list[pa.Array]) -> None:
    counts = valid[0].cast(pa.int8())
    for other in valid[1:]:
        counts = pc.add(counts, other.cast(pa.int8()))
    if (pc.max(counts).as_py() or 0) > 1:
        raise ValidationError("A row has values in several measure columns; a single-measure record has one.")


def _measure_name(batch: pa.RecordBatch, spec: SeedSpec) -> pa.Array:
    if spec.measure_name_column is None:
        return pa.repeat(pa.scalar(spec.measure_name), batch.num_rows)
    names = _text(batch.column(spec.measure_name_column), spec.measure_name_column)
    if names.null_count:
        raise ValidationError(f"Column {spec.measure_name_column!r} has NULLs; every record has a measure name.")
    for name in names.unique().to_pylist():
        _refuse(naming.measure_name_problem(name))
    return names


def _text(column: pa.Array, name: str) -> pa.Array:
    text = column.cast(pa.string())
    longest, shortest = pc.max(pc.binary_length(text)).as_py(), pc.min(pc.binary_length(text)).as_py()
    if shortest == 0:
        raise ValidationError(f"Column {name!r} has empty strings, which Timestream does not store; use NULL.")
    if longest is not None and longest > naming.MAX_VALUE_BYTES:
        raise ValidationError(f"Column {name!r} has a value of {longest} bytes; at most {naming.MAX_VALUE_BYTES}.")
    return text


def _time(column: pa.Array, name: str) -> pa.Array:
    if column.null_count:
        raise ValidationError(f"The time column {name!r} has {column.null_count} NULLs.")
    time = _nanoseconds(column)
    if len(time) and pc.min(time).as_py() < 0:
        raise ValidationError(f"The time column {name!r} has negative times; records begin at 1970-01-01 00:00:00.")
    return time


def _nanoseconds(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ns", tz=column.type.tz)).cast(pa.int64())
    return column.cast(pa.int64())


def _value(column: pa.Array, name: str) -> pa.Array:
    scalar = _scalar(column.type, name)
    if scalar is ScalarType.VARCHAR:
        return _text(column, name)
    if scalar is ScalarType.TIMESTAMP:
        return _nanoseconds(column)
    value = column.cast(arrow_type(scalar))
    if scalar is ScalarType.DOUBLE and pc.all(pc.is_finite(value)).as_py() is False:
        raise ValidationError(f"Column {name!r} has NaN or infinities, which Timestream does not store; use NULL.")
    return value


def _store(transaction: Transaction, table: Table, plan: _Plan, reader: pa.RecordBatchReader) -> SeedReport:
    connection = transaction.connection
    connection.register("arriving", reader)
    connection.execute("CREATE OR REPLACE TEMP TABLE staged AS SELECT * FROM arriving")
    connection.unregister("arriving")
    repetitions = 0
    keys = ", ".join(quoted(name) for name in _staged_key(plan))
    if _count(transaction, f"FROM (SELECT 1 FROM staged GROUP BY {keys} HAVING count(*) > 1)"):
        before = _count(transaction, "FROM staged")
        connection.execute("CREATE OR REPLACE TEMP TABLE staged AS SELECT DISTINCT * FROM staged")
        repetitions = before - _count(transaction, "FROM staged")
        twice = _count(transaction, f"FROM (SELECT 1 FROM staged GROUP BY {keys} HAVING count(*) > 1)")
        if twice:
            raise ValidationError(f"{twice} keys (dimensions, measure name, time) occur with different values.")
    repetitions += _drop_stored(transaction, table, plan)
    stored = _count(transaction, "FROM staged")
    # In order of time, so that DuckDB's zone maps prune every later query of a window.
    connection.execute(
        f"INSERT INTO {table.records} BY NAME SELECT *, 1::BIGINT AS {VERSION_COLUMN} FROM staged ORDER BY time"
    )
    connection.execute("DROP TABLE staged")
    return SeedReport(
        rows_read=plan.counts.rows,
        records_stored=stored,
        repetitions=repetitions,
        rows_without_value=plan.counts.without_value,
    )


def _drop_stored(transaction: Transaction, table: Table, plan: _Plan) -> int:
    """Remove from the staged records those that the table has already; refuse those it has with other values."""
    if not _count(transaction, f"FROM (SELECT 1 FROM {table.records} LIMIT 1)"):
        return 0
    # Dimensions and measures that this frame does not have are NULL in its records.
    missing = [column for column in table.columns if column not in plan.columns]
    for column in missing:
        transaction.connection.execute(
            f"ALTER TABLE staged ADD COLUMN {quoted(column.name)} {duckdb_type(column.type)}"
        )
    same_values = " AND ".join(
        f"held.{quoted(m.name)} IS NOT DISTINCT FROM wanted.{quoted(m.name)}" for m in table.measures
    )
    ((repeated,),) = transaction.connection.execute(
        f"DELETE FROM staged wanted USING {table.records} held WHERE {same_key(table)} AND {same_values}"
    ).fetchall()
    contradicting = _count(transaction, f"FROM staged wanted, {table.records} held WHERE {same_key(table)}")
    if contradicting:
        raise ValidationError(f"{contradicting} records contradict records that the table holds under the same key.")
    return int(repeated)


def _staged_key(plan: _Plan) -> tuple[str, ...]:
    return (*plan.spec.dimensions, "measure_name", "time")


def _count(transaction: Transaction, rest: str) -> int:
    ((count,),) = transaction.connection.execute(f"SELECT count(*) {rest}").fetchall()
    return int(count)
