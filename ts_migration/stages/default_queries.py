"""The migration guide's two Flux queries beside their SQL, for any table: the last hour, and a day by the hour. Pure.

They are anchored at the end of the table's data, for history has no last hour, and ask for numeric fields. Both have
windows from 1970 on; `timeSrc` makes Flux name a window by its start, as bin() does. A series is one of InfluxDB: the
tags of the mapping, with null for a tag that is empty. Which fields and series are asked for is found in `query_scope`.
"""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from ts_migration.influxdb.quoting import flux_string
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.query_settings import RELATIVE_TOLERANCE, QuerySettings
from ts_migration.stages.query_texts import HOUR_NS, QueryPlace
from ts_migration.stages.questions import Question
from ts_migration.timestream.quoting import identifier, in_window, literal, table_name
from ts_migration.validation.query_answers import AnswerRules
from ts_migration.windows import Window, iso

MEANS = "last 24 h, mean of every hour"
POINTS_A_SERIES = 10
DAY_NS = 24 * HOUR_NS
_MEASURE_NAME = identifier("measure_name")


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a table the default queries ask for.

    Attributes:
        fields: sources of numeric fields that have values in the last day.
        newest: field key -> time of its newest value in that day, ns.
        series: tag values (None: no tag) of the series that are asked for; None: of all.
        note: what is left out, for people.
    """

    fields: tuple[FieldSource, ...]
    newest: Dict[str, int]
    series: tuple[tuple[str | None, ...], ...] | None = None
    note: str = ""
    too_large: frozenset[str] = frozenset()
    """Integer fields that have no mean in InfluxDB, whose sums of integers wrap around at 64 bits."""

    @property
    def averaged(self) -> tuple[FieldSource, ...]:
        """Sources of the fields that have a mean in both systems."""
        return tuple(source for source in self.fields if source.field not in self.too_large)


def looked_at(place: QueryPlace) -> Window:
    """The day whose fields and series are asked for: it ends with the newest record's hour, within the job's range."""
    hour_end = -(-place.anchor_ns // HOUR_NS) * HOUR_NS
    return Window(max(hour_end - DAY_NS, place.start_ns), min(hour_end, place.end_ns))


def last_day(place: QueryPlace) -> Window:
    """`range(start: -24h)` of the same day.

    It begins with a whole hour: Flux names a window that the range cuts by the cut, bin() by the hour. So it is empty
    where the job's range holds less than that.
    """
    day = looked_at(place)
    return Window(-(-day.start_ns // HOUR_NS) * HOUR_NS, day.end_ns)


def default_questions(
    place: QueryPlace, mapping: Mapping, scope: Scope, settings: QuerySettings
) -> tuple[Question, ...]:
    """The guide's queries about one table: the last hour, for floats and for integers, and a day by the hour."""
    texts = _Texts(place, mapping, scope)
    floats = [source for source in scope.fields if source.type is FieldType.FLOAT]
    integers = [source for source in scope.fields if source.type is FieldType.INTEGER]
    note = f" ({scope.note})" if scope.note else ""

    def question(name: str, sql: str, text: str, scale: str | None = None) -> Question:
        rules = AnswerRules(relative=RELATIVE_TOLERANCE if scale else 0.0, scale=scale, trusted=True)
        return Question(name + note, sql, "flux", text, rules, settings.max_latency_ms, settings.runs)

    found = []
    for fields, what in ((floats, ""), (integers, ", integers")):
        if fields:
            found.append(question(f"last hour, limit 10{what}", texts.first_sql(fields), texts.first_flux(fields)))
    if scope.averaged and not last_day(place).empty:
        sql, text = texts.mean_sql(scope.averaged), texts.mean_flux(scope.averaged)
        found.append(question(MEANS, sql, text, texts.scale))
    return tuple(found)


def default_unasked(place: QueryPlace, scope: Scope) -> tuple[str, ...]:
    """What of the guide's queries is not asked about a table, and why; a line each."""
    lines = []
    if scope.too_large:
        names = ", ".join(map(repr, sorted(scope.too_large)))
        lines.append(
            f"{MEANS}: not asked for {names}: their sum of a day passes 64 bits, where InfluxDB's wraps around"
        )
    if last_day(place).empty:
        lines.append(f"{MEANS}: not asked: the job's range has no whole hour before the end of the data")
    return tuple(lines)


def feeds(source: FieldSource) -> str:
    """Condition: a row of Timestream has a value for a field."""
    return f"({identifier(source.column)} IS NOT NULL{_of_measures(source.measure_names)})"


def tag_value(source: TagSource) -> str:
    """A tag's value in a row of Timestream, NULL where the point has none."""
    value = f"nullif({identifier(source.column)}, '')"
    if source.measure_names is None:
        return value
    return f"CASE WHEN true{_of_measures(source.measure_names)} THEN {value} END"


def _of_measures(names: Sequence[str] | None) -> str:
    return "" if names is None else f" AND {_MEASURE_NAME} IN ({', '.join(map(literal, names))})"


class _Texts:
    """The texts of one table's default queries."""

    def __init__(self, place: QueryPlace, mapping: Mapping, scope: Scope) -> None:
        self.place = place
        self.tags = mapping.tags
        self.scope = scope
        self.scale = "_scale"
        while self.scale in {tag.tag for tag in mapping.tags}:
            self.scale = f"_{self.scale}"
        self._own = [f"tag_{number}" for number in range(len(mapping.tags))]

    def first_sql(self, fields: Sequence[FieldSource]) -> str:
        """The first ten points of every series and field within the last hour that has any."""
        series = ", ".join(["field_key", *self._own])
        rows = (
            f"SELECT at_time, field_value, {series}, "  # noqa: S608 - quoted
            f"row_number() OVER (PARTITION BY {series} ORDER BY at_time) AS place "
            f"FROM ({self._rows(fields, self._last_hour(fields), _exact)})"
        )
        return (
            f'SELECT at_time AS "_time", field_key AS "_field", field_value AS "_value"{self._named_tags()} '  # noqa: S608
            f"FROM ({rows}) WHERE place <= {POINTS_A_SERIES}"
        )

    def first_flux(self, fields: Sequence[FieldSource]) -> str:
        """`from |> range(start: -1h) |> limit(n: 10)`."""
        return f"{self._flux(fields, self._last_hour(fields))}\n  |> limit(n: {POINTS_A_SERIES})"

    def mean_sql(self, fields: Sequence[FieldSource]) -> str:
        """The mean of every hour of the last day, with the largest of the averaged values, which it is rounded by."""
        series = ", ".join(["field_key", *self._own])
        return (
            f'SELECT bin(at_time, 1h) AS "_time", field_key AS "_field", avg(field_value) AS "_value", '  # noqa: S608
            f"max(abs(field_value)) AS {identifier(self.scale)}{self._named_tags()} "
            f"FROM ({self._rows(fields, last_day(self.place), as_double)}) GROUP BY bin(at_time, 1h), {series}"
        )

    def mean_flux(self, fields: Sequence[FieldSource]) -> str:
        """`from |> range(start: -24h) |> aggregateWindow(every: 1h, fn: mean)`, hours without a value left out."""
        return (
            f"{self._flux(fields, last_day(self.place))}\n"
            '  |> aggregateWindow(every: 1h, fn: mean, createEmpty: false, timeSrc: "_start")'
        )

    def _last_hour(self, fields: Sequence[FieldSource]) -> Window:
        """`range(start: -1h)` at the newest value of the fields: integers may have ended before floats."""
        end = max(self.scope.newest[source.field] for source in fields) + 1
        return Window(max(end - HOUR_NS, self.place.start_ns), end)

    def _named_tags(self) -> str:
        return "".join(f", {own} AS {identifier(tag.tag)}" for own, tag in zip(self._own, self.tags, strict=True))

    def _rows(self, fields: Sequence[FieldSource], window: Window, value: Callable[[FieldSource], str]) -> str:
        """One row for each value of the fields."""
        tags = "".join(f", {tag_value(tag)} AS {own}" for tag, own in zip(self.tags, self._own, strict=True))
        table = table_name(self.place.database, self.place.table)
        chosen = f" AND ({self._chosen_rows()})" if self.scope.series is not None else ""
        return " UNION ALL ".join(
            f'SELECT "time" AS at_time, {literal(source.field)} AS field_key, {value(source)} AS field_value{tags} '  # noqa: S608
            f"FROM {table} WHERE {in_window(window)} AND {feeds(source)}{chosen}"
            for source in fields
        )

    def _chosen_rows(self) -> str:
        return " OR ".join(
            "(" + " AND ".join(_equals(tag, value) for tag, value in zip(self.tags, values, strict=True)) + ")"
            for values in self.scope.series or ()
        )

    def _flux(self, fields: Sequence[FieldSource], window: Window) -> str:
        keys = dict.fromkeys(source.field for source in fields)
        wanted = " or ".join(f"r._field == {flux_string(key)}" for key in keys)
        lines = [
            f"from(bucket: {flux_string(self.place.bucket)})",
            f"  |> range(start: {iso(window.start_ns)}, stop: {iso(window.end_ns)})",
            f"  |> filter(fn: (r) => r._measurement == {flux_string(self.place.measurement)})",
            f"  |> filter(fn: (r) => {wanted})",
        ]
        if self.scope.series is not None:
            lines.append(f"  |> filter(fn: (r) => {self._chosen_series()})")
        return "\n".join(lines)

    def _chosen_series(self) -> str:
        return " or ".join(
            "(" + " and ".join(_flux_equals(tag.tag, value) for tag, value in zip(self.tags, values, strict=True)) + ")"
            for values in self.scope.series or ()
        )


def _exact(source: FieldSource) -> str:
    """The value in the type that the field has."""
    return as_double(source) if source.type is FieldType.FLOAT else identifier(source.column)


def as_double(source: FieldSource) -> str:
    """A field's number in a row of Timestream as a DOUBLE."""
    return f"CAST({identifier(source.column)} AS DOUBLE)"


def _equals(tag: TagSource, value: str | None) -> str:
    return f"{tag_value(tag)} IS NULL" if value is None else f"{tag_value(tag)} = {literal(value)}"


def _flux_equals(tag: str, value: str | None) -> str:
    column = f"r[{flux_string(tag)}]"
    return f"not exists {column}" if value is None else f"{column} == {flux_string(value)}"
