"""Which column a name means: the fields of FROM, one level inside another. How a field is computed is not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ts_migration.local.timestream.catalog import DataType, RowType
from ts_migration.local.timestream.sql.syntax import Name
from ts_migration.local.timestream.sql.tokens import Source
from ts_migration.local.timestream.sql.typed import Typed, quote


@dataclass(frozen=True, slots=True)
class Field:
    """A column that can be referred to: by its name, or qualified by its alias, or by its database and table."""

    name: str | None
    qualifier: tuple[str, ...]
    value: Typed

    def answers(self, parts: tuple[str, ...]) -> bool:
        """Whether a reference means this field."""
        return self.name == parts[-1] and self.is_of(parts[:-1])

    def is_of(self, qualifier: tuple[str, ...]) -> bool:
        """Whether the field belongs to the relation of that name; an empty name is any relation's."""
        if not qualifier:
            return True
        return len(qualifier) <= len(self.qualifier) and self.qualifier[-len(qualifier) :] == qualifier


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a query: its name (None if it has none) and type."""

    name: str | None
    type: DataType
    finite: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """The fields of one query level, and the level around it.

    After grouping, ``grouped`` maps the text of each grouped column to what it became; other columns are then refused.
    A ``closed`` scope refuses columns of the levels around it: an aggregate of them would belong to that level.
    """

    fields: tuple[Field, ...]
    parent: Scope | None = None
    grouped: Mapping[str, Typed] | None = None
    closed: bool = False

    def resolve(self, source: Source, name: Name) -> Typed:
        """The value of a column reference. SqlRefused if there is none, more than one, or it is not grouped."""
        scope: Scope | None = self
        closed = False
        while scope is not None:
            found = scope._own(source, name)
            if found is not None and closed:
                message = f"Column '{'.'.join(name.parts)}' of an outer query inside an aggregate is not supported"
                raise source.refuse(name.at, message)
            if found is not None:
                return found
            closed = closed or scope.closed
            scope = scope.parent
        raise source.refuse(name.at, f"Column '{'.'.join(name.parts)}' does not exist")

    def _own(self, source: Source, name: Name) -> Typed | None:
        found = [field for field in self.fields if field.answers(name.parts)]
        if len(found) > 1:
            raise source.refuse(name.at, f"Column '{'.'.join(name.parts)}' is ambiguous")
        if found:
            return self._after_grouping(source, name, found[0])
        if len(name.parts) == 1:
            return None
        row = self._own(source, Name(name.at, name.parts[:-1]))
        return None if row is None else _row_field(row, name.parts[-1])

    def _after_grouping(self, source: Source, name: Name, field: Field) -> Typed:
        if self.grouped is None:
            return field.value
        if field.value.sql not in self.grouped:
            message = f"'{'.'.join(name.parts)}' must be an aggregate expression or appear in GROUP BY clause"
            raise source.refuse(name.at, message)
        return self.grouped[field.value.sql]


def _row_field(row: Typed, name: str) -> Typed | None:
    if not isinstance(row.type, RowType):
        return None
    for index, field in enumerate(row.type.fields):
        if field.name == name:
            return Typed(f"struct_extract({row.sql}, '{struct_name(index)}')", field.type)
    return None


def struct_name(index: int) -> str:
    """The DuckDB name of a row's field."""
    return f"f{index}"


def column_name(index: int) -> str:
    """The DuckDB name of a query's column."""
    return f"_{index}"


def fields_of(outputs: tuple[Output, ...], relation: str, qualifier: tuple[str, ...]) -> tuple[Field, ...]:
    """The columns of a query that stands in FROM under a DuckDB alias."""
    return tuple(
        Field(
            output.name,
            qualifier,
            Typed(f"{relation}.{quote(column_name(i))}", output.type, finite=output.finite, simple=True),
        )
        for i, output in enumerate(outputs)
    )
