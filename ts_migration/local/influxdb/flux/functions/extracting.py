"""Functions that take values out of a stream: findRecord, findColumn, tableFind with getRecord and getColumn."""

from dataclasses import dataclass, field

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Function, Invocation
from ts_migration.local.influxdb.flux.functions.declaring import Family
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.tables import Table

UNIVERSE = Family()


@dataclass(frozen=True, slots=True)
class FoundTable:
    """What `tableFind` gives."""

    table: Table
    flux_type: str = field(default="table", repr=False)


def _found(session: Session, call: Invocation) -> Table | None:
    """The first table whose key the function accepts."""
    stream, function = call.tables(), call.get("fn", Function)
    session.check([stream])
    parameter = function.node.parameters[0].name if function.node.parameters else "key"
    for table in stream.tables():
        key: dict[str, object] = {column.label: column.value for column in table.key.columns}
        verdict = function.call({parameter: key}, call.place)
        if not isinstance(verdict, bool):
            raise ValueProblem(f"the function of {call.function.name} must give a bool")
        if verdict:
            return table
    return None


def _record(table: Table, row: int) -> dict[str, object]:
    if not 0 <= row < len(table):
        raise ValueProblem(f"index out of bounds: {row}")
    return {column.label: column.value(row) for column in table.columns}


def _column(table: Table, label: str) -> list[object]:
    column = table.get(label)
    if column is None:
        raise ValueProblem(f"cannot find column {label}")
    return [column.value(row) for row in range(len(column))]


@UNIVERSE.function("findRecord", required="fn idx", pipe="tables")
def find_record(session: Session, call: Invocation) -> object:
    """One row of the first table found; a record without properties where there is none."""
    table, row = _found(session, call), call.get("idx", int)
    return _record(table, row) if table is not None and 0 <= row < len(table) else {}


@UNIVERSE.function("findColumn", required="fn column", pipe="tables")
def find_column(session: Session, call: Invocation) -> object:
    """One column of the first table found, as an array; empty where there is none."""
    table, label = _found(session, call), call.get("column", str)
    return _column(table, label) if table is not None and table.get(label) is not None else []


@UNIVERSE.function("tableFind", required="fn", pipe="tables")
def table_find(session: Session, call: Invocation) -> object:
    """The first table found."""
    table = _found(session, call)
    if table is None:
        raise ValueProblem("no table found")
    return FoundTable(table)


@UNIVERSE.function("getRecord", required="idx", pipe="table")
def get_record(session: Session, call: Invocation) -> object:
    """One row of a table."""
    return _record(call.get("table", FoundTable).table, call.get("idx", int))


@UNIVERSE.function("getColumn", required="column", pipe="table")
def get_column(session: Session, call: Invocation) -> object:
    """One column of a table as an array."""
    return _column(call.get("table", FoundTable).table, call.get("column", str))
