"""Which statement a text begins, and the clauses of those that show, delete and drop.

Rules: influxdata/influxql parse_tree.go and parser.go. SELECT and the clauses that statements share are in `parser`.
"""

from collections.abc import Callable

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import ParseError
from ts_migration.local.influxdb.influxql.parser import ClauseParser
from ts_migration.local.influxdb.influxql.syntax import (
    Delete,
    DropMeasurement,
    Measurement,
    Show,
    Statement,
    Unimplemented,
    Unsupported,
)

_TOP = ("SELECT", "DELETE", "SHOW", "CREATE", "DROP", "EXPLAIN", "GRANT", "REVOKE", "ALTER", "SET", "KILL")
_CREATE = {
    "CONTINUOUS": "CREATE CONTINUOUS QUERY",
    "DATABASE": "CREATE DATABASE",
    "USER": "CREATE USER",
    "RETENTION": "CREATE RETENTION POLICY",
    "SUBSCRIPTION": "CREATE SUBSCRIPTION",
}
_DROP = {
    "CONTINUOUS": "DROP CONTINUOUS QUERY",
    "DATABASE": "DROP DATABASE",
    "MEASUREMENT": "",
    "RETENTION": "DROP RETENTION POLICY",
    "SERIES": "DROP SERIES",
    "SHARD": "DROP SHARD",
    "SUBSCRIPTION": "DROP SUBSCRIPTION",
    "USER": "DROP USER",
}
_OTHER = {"GRANT": "GRANT", "REVOKE": "REVOKE", "ALTER": "ALTER RETENTION POLICY", "SET": "SET PASSWORD"}


class StatementParser(ClauseParser):
    """Parses one statement after the other."""

    def statement(self) -> Statement:
        """One statement, by its first word."""
        match self._word(_TOP):
            case "SELECT":
                return self.select()
            case "DELETE":
                return self._delete()
            case "SHOW":
                return self._show()
            case "CREATE":
                return self._unimplemented(_CREATE[self._word(tuple(_CREATE))])
            case "DROP":
                kind = self._word(tuple(_DROP))
                return DropMeasurement(self.identifier()) if kind == "MEASUREMENT" else self._unimplemented(_DROP[kind])
            case "EXPLAIN":
                self.optional("ANALYZE")
                self.optional("VERBOSE")
                self.expect("SELECT")
                self.select()
                return Unsupported("EXPLAIN")
            case "KILL":
                return self._unimplemented("SHOW QUERIES")
            case word:
                return self._unimplemented(_OTHER[word])

    def _word(self, expected: tuple[str, ...]) -> str:
        token = self.lexer.skip()
        if token.kind not in expected:
            raise token.unexpected(*expected)
        return token.kind

    def _unimplemented(self, name: str) -> Statement:
        """Step over a statement whose clauses nobody will look at."""
        while self.lexer.skip().kind not in (";", "EOF"):
            pass
        self.lexer.unscan()
        return Unimplemented(name)

    def _delete(self) -> Delete:
        token = self.lexer.skip()
        sources: tuple[Measurement, ...] = ()
        if token.kind == "FROM":
            sources = self.measurements()
            if any(source.database for source in sources):
                raise ParseError("database not supported at line 1, char 1")
        else:
            self.lexer.unscan()
        condition = self.condition()
        if condition is None and not sources:
            raise token.unexpected("FROM", "WHERE")
        return Delete(sources, condition)

    def _show(self) -> Statement:
        readers: dict[str, Callable[[], Statement]] = {
            "CONTINUOUS": lambda: self._pair("QUERIES", "SHOW CONTINUOUS QUERIES"),
            "DATABASES": lambda: Show("DATABASES"),
            "DIAGNOSTICS": lambda: self._unimplemented("SHOW DIAGNOSTICS"),
            "FIELD": self._show_field,
            "GRANTS": lambda: self._pair("FOR", "SHOW GRANTS"),
            "MEASUREMENT": self._show_measurement,
            "MEASUREMENTS": self._show_measurements,
            "QUERIES": lambda: self._unimplemented("SHOW QUERIES"),
            "RETENTION": self._show_policies,
            "SERIES": self._show_series,
            "SHARD": lambda: self._pair("GROUPS", "SHOW SHARD GROUPS"),
            "SHARDS": lambda: self._unimplemented("SHOW SHARDS"),
            "STATS": lambda: self._unimplemented("SHOW STATS"),
            "SUBSCRIPTIONS": lambda: self._unimplemented("SHOW SUBSCRIPTIONS"),
            "TAG": self._show_tag,
            "USERS": lambda: self._unimplemented("SHOW USERS"),
        }
        return readers[self._word(tuple(readers))]()

    def _pair(self, word: str, name: str) -> Statement:
        self._word((word,))
        return self._unimplemented(name)

    def _on(self) -> str:
        return self.identifier() if self.optional("ON") else ""

    def _from(self) -> tuple[Measurement, ...]:
        return self.measurements() if self.optional("FROM") else ()

    def _rows(self) -> tuple[int, int]:
        self.order()
        return self.number_after("LIMIT"), self.number_after("OFFSET")

    def _show_policies(self) -> Show:
        self._word(("POLICIES",))
        return Show("RETENTION POLICIES", self._on())

    def _show_field(self) -> Show:
        if self._word(("KEY", "KEYS")) == "KEY":
            return self._key_cardinality("FIELD KEY")
        database, sources = self._on(), self._from()
        limit, offset = self._rows()
        return Show("FIELD KEYS", database, sources=sources, limit=limit, offset=offset)

    def _show_measurement(self) -> Show:
        exact = self._word(("EXACT", "CARDINALITY")) == "EXACT"
        if exact:
            self.expect("CARDINALITY")
        return self._cardinality("MEASUREMENT", exact=exact)

    def _show_series(self) -> Show:
        exact = self.optional("EXACT")
        if self.optional("CARDINALITY"):
            return self._cardinality("SERIES", exact=exact)
        database, sources, condition = self._on(), self._from(), self.condition()
        limit, offset = self._rows()
        return Show("SERIES", database, sources=sources, condition=condition, limit=limit, offset=offset)

    def _key_cardinality(self, of: str) -> Show:
        exact = self.optional("EXACT")
        token = self.lexer.skip()
        if token.kind != "CARDINALITY":
            raise token.unexpected(*(("CARDINALITY",) if exact else ("EXACT", "CARDINALITY")))
        return self._cardinality(of, exact=exact)

    def _cardinality(self, of: str, *, exact: bool, with_key: bool = False) -> Show:
        database, sources = self._on(), self._from()
        operator, key = self._key() if with_key else ("", ())
        condition, dimensions = self.condition(), self.dimensions()
        limit, offset = self.number_after("LIMIT"), self.number_after("OFFSET")
        return Show(
            f"{of} CARDINALITY",
            database,
            sources=sources,
            condition=condition,
            key_operator=operator,
            key=key,
            dimensions=dimensions,
            exact=exact,
            limit=limit,
            offset=offset,
        )

    def _show_measurements(self) -> Show:
        database = policy = ""
        if self.optional("ON"):
            database = self._identifier_or_all()
            if self.optional("."):
                policy = self._identifier_or_all()
        sources: tuple[Measurement, ...] = ()
        if self.optional("WITH"):
            self.expect("MEASUREMENT")
            token = self.lexer.skip()
            if token.kind not in ("=", "=~"):
                raise token.unexpected("=", "=~")
            source = self.source(subqueries=False)
            sources = (source,) if isinstance(source, Measurement) else ()
        condition = self.condition()
        limit, offset = self._rows()
        return Show("MEASUREMENTS", database, policy, sources, condition, limit=limit, offset=offset)

    def _identifier_or_all(self) -> str:
        token = self.lexer.skip()
        if token.kind not in ("IDENT", "*"):
            raise token.unexpected("identifier or *")
        return token.text or "*"

    def _show_tag(self) -> Show:
        kind = self._word(("KEY", "KEYS", "VALUES"))
        if kind == "KEY":
            return self._key_cardinality("TAG KEY")
        if kind == "VALUES" and self.optional("EXACT"):
            self.expect("CARDINALITY")
            return self._cardinality("TAG VALUES", exact=True, with_key=True)
        if kind == "VALUES" and self.optional("CARDINALITY"):
            return self._cardinality("TAG VALUES", exact=False, with_key=True)
        database, sources = self._on(), self._from()
        operator, key = self._key() if kind == "VALUES" or self._next_is_with() else ("", ())
        condition = self.condition()
        limit, offset = self._rows()
        if kind == "KEYS":
            self.number_after("SLIMIT")
            self.number_after("SOFFSET")
        return Show(f"TAG {kind}", database, "", sources, condition, operator, key, limit=limit, offset=offset)

    def _next_is_with(self) -> bool:
        found = self.lexer.skip().kind == "WITH"
        self.lexer.unscan()
        return found

    def _key(self) -> tuple[str, tuple[str, ...] | syntax.Regex]:
        """`WITH KEY …`: an operator and the key, keys or pattern."""
        self.expect("WITH", "KEY")
        token = self.lexer.skip()
        match token.kind:
            case "IN":
                self.expect("(")
                names = [self.identifier()]
                while self.optional(","):
                    names.append(self.identifier())
                self.expect(")")
                return "=", tuple(names)
            case "=" | "!=":
                return token.kind, (self.identifier(),)
            case "=~" | "!~":
                pattern = self.pattern()
                if pattern is None:
                    raise self.lexer.skip().unexpected("regex")
                return token.kind, pattern
        raise token.unexpected("IN", "=", "=~")
