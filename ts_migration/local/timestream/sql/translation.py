"""The way in: one query text to one statement. What UNLOAD's options may be is in ``unload_options``."""

from __future__ import annotations

import re

from ts_migration.local.timestream.catalog import Catalog, ColumnInfo, ScalarType
from ts_migration.local.timestream.sql.cursor import Cursor
from ts_migration.local.timestream.sql.queries import QueryTranslator
from ts_migration.local.timestream.sql.query_grammar import QueryGrammar
from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.relations import missing_table
from ts_migration.local.timestream.sql.statements import (
    Describe,
    Select,
    ShowDatabases,
    ShowMeasures,
    ShowTables,
    Statement,
    Unload,
)
from ts_migration.local.timestream.sql.syntax import Query
from ts_migration.local.timestream.sql.tokens import Kind, Source
from ts_migration.local.timestream.sql.typed import FAILED
from ts_migration.local.timestream.sql.unload_options import read_options

MAX_QUERY_LENGTH = 262_144
"""Characters of a QueryString (Query API)."""


def parse(text: str, catalog: Catalog, *, now_ns: int) -> Statement:
    """Translate one statement.

    ``now_ns`` (nanoseconds since the epoch) is what ``now()`` and ``ago()`` count from.
    Raises ``SqlRefused`` for text that is wrong, names that do not exist, and what is not supported.
    """
    if len(text) > MAX_QUERY_LENGTH:
        raise SqlRefused("ValidationException", f"The query is longer than {MAX_QUERY_LENGTH} characters")
    source = Source(text)
    unreadable = re.search("[\0\ud800-\udfff]", text)
    if unreadable is not None:
        raise source.refuse(unreadable.start(), "the query holds a NUL or an unpaired surrogate")
    reader = _StatementReader(source, catalog, now_ns)
    try:
        return reader.statement()
    except RecursionError:
        raise SqlRefused("ValidationException", "The query is nested too deeply") from None


class _StatementReader:
    """Reads one statement and checks the names in it."""

    def __init__(self, source: Source, catalog: Catalog, now_ns: int) -> None:
        self.cursor = Cursor(source)
        self.grammar = QueryGrammar(self.cursor)
        self.queries = QueryTranslator(source, catalog, now_ns)
        self.catalog = catalog

    def statement(self) -> Statement:
        cursor = self.cursor
        if cursor.at_word("SHOW"):
            cursor.advance()
            found: Statement = self._show()
        elif cursor.at_word("DESCRIBE") or cursor.at_word("DESC"):
            cursor.advance()
            found = Describe(*self._table())
        elif cursor.at_word("UNLOAD"):
            cursor.advance()
            found = self._unload()
        elif cursor.at_word("SELECT") or cursor.at_word("WITH") or cursor.at_word("VALUES") or cursor.at_symbol("("):
            syntax = self.grammar.query()
            self._end()
            return self._translated(syntax)
        else:
            raise cursor.unexpected("SELECT, WITH, VALUES, SHOW, DESCRIBE, UNLOAD")
        self._end()
        return found

    def _end(self) -> None:
        self.cursor.take_symbol(";")
        if self.cursor.current.kind is not Kind.END:
            raise self.cursor.unexpected("<EOF>")

    def _translated(self, syntax: Query) -> Select:
        query = self.queries.query(syntax, None)
        columns = (
            ColumnInfo(f"_col{i}" if output.name is None else output.name, output.type)
            for i, output in enumerate(query.outputs)
        )
        return Select(query.sql, tuple(columns))

    def _show(self) -> Statement:
        cursor = self.cursor
        if cursor.take_word("DATABASES"):
            return ShowDatabases(self._like())
        if cursor.take_word("TABLES"):
            database = None
            if cursor.take_word("FROM") or cursor.take_word("IN"):
                at, database = cursor.current.at, cursor.name()
                if self.catalog.tables(database) is None:
                    raise cursor.source.refuse(at, f"Database '{database}' does not exist")
            return ShowTables(database, self._like())
        if cursor.take_word("MEASURES"):
            cursor.expect_word("FROM")
            database, table = self._table()
            return ShowMeasures(database, table, self._like())
        raise cursor.unexpected("DATABASES, TABLES, MEASURES")

    def _like(self) -> str | None:
        return self.cursor.string() if self.cursor.take_word("LIKE") else None

    def _table(self) -> tuple[str, str]:
        cursor = self.cursor
        at, database = cursor.current.at, cursor.name()
        cursor.expect_symbol(".")
        table = cursor.name()
        if self.catalog.schema(database, table) is None:
            raise missing_table(self.queries, at, database, table)
        return database, table

    def _unload(self) -> Unload:
        cursor = self.cursor
        cursor.expect_symbol("(")
        at = cursor.current.at
        select = self._translated(self.grammar.query())
        cursor.expect_symbol(")")
        self._check_columns(at, select)
        cursor.expect_word("TO")
        to, destination = cursor.current.at, cursor.string()
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,62}(/.*)?", destination, re.DOTALL):
            raise cursor.source.refuse(to, f"UNLOAD destination '{destination}' is not s3://bucket/folder")
        return Unload(select, destination, read_options(cursor, select.columns))

    def _check_columns(self, at: int, select: Select) -> None:
        """An UNLOAD writes every column under its name, so names are unique; TIME and UNKNOWN cannot be written."""
        names: set[str] = set()
        for column in select.columns:
            if column.type in (ScalarType.TIME, ScalarType.UNKNOWN):
                kind = column.type.value.lower()
                raise self.cursor.source.refuse(
                    at, f"UNLOAD does not support the type {kind} of column '{column.name}'"
                )
            if column.name in names:
                raise self.cursor.source.refuse(at, f"Column name '{column.name}' specified more than once")
            names.add(column.name)


def execution_refusal(error: Exception) -> SqlRefused:
    """The service's QueryExecutionException for a DuckDB error that a translated query raised while it ran."""
    failed = re.search(rf"Could not convert string '{FAILED}(.*)' to INT32", str(error), re.DOTALL)
    if failed is not None:
        return SqlRefused("QueryExecutionException", failed.group(1))
    lines = str(error).splitlines()
    message = re.sub(r"^[A-Za-z ]+ Error: ", "", lines[0] if lines else type(error).__name__)
    overflow = re.match(r"Overflow in (\w+) of (INT32|INT64) \((.*)\)!?", message)
    if message.startswith("Division by zero"):
        message = "Division by zero"
    elif overflow is not None:
        kind = "integer" if overflow.group(2) == "INT32" else "bigint"
        message = f"{kind} {overflow.group(1)} overflow: {overflow.group(3)}"
    elif "INT128 with value" in message and "out of range" in message:
        message = "bigint addition overflow"
    elif "More than one row returned by a subquery" in message:
        message = "Scalar sub-query has returned multiple rows"
    return SqlRefused("QueryExecutionException", message)


def like_matches(pattern: str | None, name: str) -> bool:
    """Whether a name matches the LIKE pattern of a SHOW statement; no pattern matches every name."""
    if pattern is None:
        return True
    wildcards = {"%": ".*", "_": "."}
    expression = "".join(wildcards.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None
