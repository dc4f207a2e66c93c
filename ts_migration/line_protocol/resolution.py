"""How a table's schema and the options of a job become a `Mapping` (DESIGN 4.3), and every reason why they cannot.

Pure: a schema and options in, a mapping or one refusal out. The values are in `mapping`, the rules of names in `names`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ts_migration.config import MappingOptions
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.names import escaped_key, field_key_problem, measurement_problem, tag_key_problem
from ts_migration.timestream.schema import Column, ColumnRole, ColumnType, TableSchema

MULTI = "multi"
"""SHOW MEASURES' data_type of multi-measure records."""

MEASURE_NAME = "measure_name"
TIME_NS = "time_ns"

_FIELD_TYPES = {
    ColumnType.DOUBLE: FieldType.FLOAT,
    ColumnType.BIGINT: FieldType.INTEGER,
    ColumnType.BOOLEAN: FieldType.BOOLEAN,
    ColumnType.VARCHAR: FieldType.STRING,
    ColumnType.TIMESTAMP: FieldType.INTEGER,
}


def resolve(schema: TableSchema, options: MappingOptions, measurement: str) -> Mapping:
    """The mapping of a table.

    Args:
        schema: DESCRIBE and SHOW MEASURES of the source table.
        options: the job's `mapping`.
        measurement: name of the measurement, already chosen from options and table.

    Raises:
        Refused: every reason why no exact mapping can be made, a line each.
    """
    return _Resolution(schema, options, measurement).mapping()


@dataclass
class _Resolution:
    """The work of one `resolve`: problems gather until the end, so that one refusal names all of them."""

    schema: TableSchema
    options: MappingOptions
    measurement: str

    def __post_init__(self) -> None:
        self.problems: list[str] = []
        self.single: dict[str, set[ColumnType]] = defaultdict(set)
        for measure in self.schema.measures:
            if measure.type != MULTI:
                self._add_single(measure.name, measure.type)
        self.multi = {measure.name for measure in self.schema.measures if measure.type == MULTI}
        self.per_name = self.options.single_measure == "field_per_measure_name"
        self.widened: set[str] = set()

    def mapping(self) -> Mapping:
        """The mapping, or one refusal with all problems."""
        self._check_options()
        fields = [*self._single_fields(), *self._multi_fields(), *self._dimension_fields()]
        tags = self._tags()
        self._check_names(tags, fields)
        self._check_keys(tags, fields)
        self._check_widening(fields)
        if not fields and not self.problems:
            self.problems.append("the table holds no measure, so there is nothing to write")
        if self.problems:
            raise self._refusal()
        return Mapping(
            measurement=self.measurement,
            tags=tuple(sorted(tags, key=lambda tag: escaped_key(tag.tag).encode())),
            fields=tuple(sorted(fields, key=lambda field: (field.field, field.column))),
            measure_names=tuple(sorted(set(self.single) | self.multi)),
            dimensions=tuple(column.name for column in self.schema.dimensions),
            injective=self._injective(),
        )

    def _add_single(self, name: str, data_type: str) -> None:
        try:
            self.single[name].add(ColumnType(data_type))
        except ValueError:
            self.problems.append(f"measure {name!r} has type {data_type!r}, which has no type in InfluxDB 2")

    def _single_fields(self) -> Iterable[FieldSource]:
        columns = {column.type: column for column in self.schema.with_role(ColumnRole.MEASURE_VALUE)}
        if not self.per_name:
            for column in columns.values():
                yield self._field(column, self._renamed(column.name), None)
            return
        for name, types in sorted(self.single.items()):
            key = self._renamed(name)
            one_field = len(types) == 1 or self._widens_all(key, types)
            for kind in sorted(types):
                if kind in columns:
                    yield self._field(columns[kind], key if one_field else f"{key}_{kind}", (name,))
                else:
                    self.problems.append(f"measure {name!r} has type {kind}, and DESCRIBE names no column for it")

    def _widens_all(self, key: str, types: set[ColumnType]) -> bool:
        """Whether `types` asks for one float field where one measure_name holds integers and doubles."""
        return key in self.options.types and types <= {ColumnType.BIGINT, ColumnType.DOUBLE}

    def _multi_fields(self) -> Iterable[FieldSource]:
        for column in self.schema.with_role(ColumnRole.MULTI):
            yield self._field(column, self._renamed(column.name), None)

    def _dimension_fields(self) -> Iterable[FieldSource]:
        for column in self.schema.dimensions:
            if column.name in self.options.dimensions_as_fields:
                yield FieldSource(column.name, self._renamed(column.name), FieldType.STRING)

    def _field(self, column: Column, key: str, measure_names: tuple[str, ...] | None) -> FieldSource:
        kind = _FIELD_TYPES[column.type]
        rfc3339 = column.type is ColumnType.TIMESTAMP and self.options.timestamp_measures == "rfc3339"
        if rfc3339:
            kind = FieldType.STRING
        if kind is FieldType.INTEGER and self.options.types.get(key) == "float":
            kind = FieldType.FLOAT
            self.widened.add(key)
        return FieldSource(column.name, key, kind, measure_names, rfc3339)

    def _tags(self) -> list[TagSource]:
        tags = [
            TagSource(column.name, self._renamed(column.name))
            for column in self.schema.dimensions
            if column.name not in self.options.dimensions_as_fields
        ]
        single = bool(self.single) and not self.per_name
        multi = bool(self.multi) and self.options.keep_measure_name
        if single or multi:
            everywhere = (single or not self.single) and (multi or not self.multi)
            limited = (set(self.single) if single else set()) | (self.multi if multi else set())
            names = None if everywhere else tuple(sorted(limited))
            tags.append(TagSource(MEASURE_NAME, self._renamed(MEASURE_NAME), names))
        return tags

    def _injective(self) -> bool:
        """Whether no two rows can become one point: nothing that names a row is taken out of the series key.

        A dimension that became a field tells no rows apart any more; a dropped measure_name does so only where there
        are several.
        """
        names = set(self.single) | self.multi
        kept = self.options.keep_measure_name or not self.multi or len(names) == 1
        return kept and not self.options.dimensions_as_fields

    def _renamed(self, name: str) -> str:
        return self.options.rename.get(name, name)

    def _check_options(self) -> None:
        """Names in the options that the table does not have."""
        dimensions = {column.name for column in self.schema.dimensions}
        columns = {column.name for column in self.schema.columns} - {"time"}
        if TIME_NS in columns:
            self.problems.append(
                f"the table has a column {TIME_NS!r}, the name that exports give to the exact time: no mapping helps, "
                "but a copy of the table with another name for it can be migrated (a scheduled query makes one)"
            )
        for name in self.options.dimensions_as_fields:
            if name not in dimensions:
                known = ", ".join(sorted(dimensions)) or "none"
                self.problems.append(f"dimensions_as_fields: there is no dimension {name!r}; dimensions: {known}")
        for name in self.options.rename:
            if name not in columns | set(self.single):
                known = ", ".join(sorted(columns | set(self.single)))
                self.problems.append(f"rename: there is no column or measure_name {name!r}; known: {known}")
        if self.options.dimensions_as_fields and self.per_name and len(self.single) > 1:
            self.problems.append(
                "dimensions_as_fields: with one field per measure_name the dimension would be written once per "
                "measure; allowed: with single_measure: value_columns"
            )

    def _check_names(self, tags: list[TagSource], fields: list[FieldSource]) -> None:
        """Names that line protocol cannot carry exactly."""
        if problem := measurement_problem(self.measurement):
            self.problems.append(f"measurement {self.measurement!r} {problem}; set mapping.measurement")
        for tag in tags:
            if problem := tag_key_problem(tag.tag):
                self.problems.append(f"tag {tag.tag!r} (column {tag.column!r}) {problem}; use mapping.rename")
        for key, column in sorted({(field.field, field.column) for field in fields}):
            if problem := field_key_problem(key):
                self.problems.append(f"field {key!r} (column {column!r}) {problem}; use mapping.rename")

    def _check_keys(self, tags: list[TagSource], fields: list[FieldSource]) -> None:
        """Columns that would share a key, and fields of two types."""
        by_tag: dict[str, list[str]] = defaultdict(list)
        for tag in tags:
            by_tag[tag.tag].append(tag.column)
        for key, columns in by_tag.items():
            if len(columns) > 1:
                self.problems.append(
                    f"the columns {_names(columns)} would all become the tag {key!r}; use mapping.rename"
                )
        by_field: dict[str, list[FieldSource]] = defaultdict(list)
        for field in fields:
            by_field[field.field].append(field)
        for key, sources in sorted(by_field.items()):
            if key in by_tag:
                way = _way_apart([by_tag[key][0], *map(_source_name, sources)])
                self.problems.append(
                    f"{key!r} would be a tag (column {by_tag[key][0]!r}) and a field (column {sources[0].column!r}), "
                    f"and InfluxQL would rename one of them in answers; {way}"
                )
            way = _way_apart([_source_name(source) for source in sources])
            if len({source.type for source in sources}) > 1:
                kinds = ", ".join(f"{_told(source)} {source.type}" for source in sources)
                self.problems.append(f"the field {key!r} would have two types: {kinds}; {way} or mapping.types")
            elif self._may_meet(sources):
                told = " and ".join(map(_told, sources))
                self.problems.append(f"{told} would all become the field {key!r}; {way}")

    def _may_meet(self, sources: list[FieldSource]) -> bool:
        """Whether two sources of one field key could both speak in one row, or in two rows of one point.

        They cannot where one measure_name holds two types of which `types` made one, nor where one source is of
        single-measure rows and the other of multi-measure rows that carry their measure_name as a tag.
        """
        if len(sources) < 2:
            return False
        if any(source.column in self.options.dimensions_as_fields for source in sources):
            return True  # a dimension speaks in rows of every kind
        single = [source for source in sources if source.measure_names is not None]
        if len(single) == len(sources):
            return len({source.measure_names for source in single}) > 1
        others = len(sources) - len(single)
        values = {column.name for column in self.schema.with_role(ColumnRole.MEASURE_VALUE)}
        if not single:
            return others > 1 or any(source.column in values for source in sources)
        one_name = len({source.measure_names for source in single}) == 1
        return not (others == 1 and one_name and self.options.keep_measure_name)

    def _check_widening(self, fields: list[FieldSource]) -> None:
        keys = {field.field for field in fields}
        for key in self.options.types:
            if key not in keys:
                self.problems.append(f"types: there is no field {key!r}; fields: {', '.join(sorted(keys)) or 'none'}")
            elif key not in self.widened:
                kind = next(field.type for field in fields if field.field == key)
                self.problems.append(f"types: the field {key!r} is {kind}; only an integer can be widened to float")

    def _refusal(self) -> Refused:
        count = "1 reason" if len(self.problems) == 1 else f"{len(self.problems)} reasons"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return Refused(
            f"no exact mapping to InfluxDB can be made, for {count}\n{lines}",
            where=f"{self.schema.database}.{self.schema.table}",
            next_step="change the job's `mapping` (such as mapping.rename) as each line says",
        )


def _names(names: Iterable[str]) -> str:
    return " and ".join(repr(name) for name in names)


def _source_name(source: FieldSource) -> str:
    """What `rename` knows a field's source by."""
    return source.column if source.measure_names is None else source.measure_names[0]


def _told(source: FieldSource) -> str:
    if source.measure_names is None:
        return repr(source.column)
    return f"measure_name {_source_name(source)!r} ({source.column!r})"


def _way_apart(names: Sequence[str]) -> str:
    """How sources of one key get keys of their own."""
    if len(set(names)) == len(names):
        return "use mapping.rename"
    return "mapping.rename would rename both: set mapping.single_measure: value_columns"
