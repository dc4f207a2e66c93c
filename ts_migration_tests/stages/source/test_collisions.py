"""Rows that a mapping would make one point: found before a window moves."""

import pytest

from ts_migration.errors import Refused
from ts_migration.line_protocol.resolution import resolve
from ts_migration.stages.collisions import refuse_collisions
from ts_migration.stages.table import begin_table
from ts_migration.timestream.series import series_counts
from ts_migration_tests.stages.source.tables import Source, day, multi, single


def test_rows_that_differ_only_in_a_dropped_dimension_are_refused_with_their_place(source: Source) -> None:
    source.put([multi(2), multi(2, Dimensions=[{"Name": "plant", "Value": "other"}])])
    job = source.job(mapping="{dimensions_as_fields: [plant]}")
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)

    refuse_collisions(job, source.schema, mapping, [day(2)], source.query)
    with pytest.raises(Refused, match=r"2 rows would become 1 points.*2 rows.*keep_measure_name"):
        refuse_collisions(job, source.schema, mapping, [day(1)], source.query)


def test_an_injective_mapping_asks_nothing(source: Source) -> None:
    source.put([multi(0)])
    job = source.job()
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)

    refuse_collisions(job, source.schema, mapping, [day(1)], None)  # type: ignore[arg-type]


def test_a_rule_that_makes_one_tag_of_two_is_refused_where_it_would_and_only_there(source: Source) -> None:
    def plant(index: int, name: str) -> dict[str, object]:
        return multi(index, Dimensions=[{"Name": "plant", "Value": name}])

    source.put([plant(2, "x\\"), plant(2, "x"), plant(26, "y\\"), plant(26, "z"), plant(50, "a\nb"), plant(50, "a b")])
    job = source.job(mapping="{rewrite: {trailing_backslash: drop, newline_in_tag: space}}")
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)
    assert mapping.injective

    refuse_collisions(job, source.schema, mapping, [day(2)], source.query)
    for number in (1, 3):
        with pytest.raises(Refused, match=r"2 rows would become 1 points.*off mapping.rewrite"):
            refuse_collisions(job, source.schema, mapping, [day(number)], source.query)
    escaping = source.job(mapping="{rewrite: {newline_in_tag: escape}}")
    refuse_collisions(escaping, source.schema, mapping, [day(1), day(3)], source.query)


def test_a_measure_name_is_never_rewritten_and_keeps_rows_apart(source: Source) -> None:
    source.put([multi(2, MeasureName="balance"), multi(2, MeasureName="balance\\")])
    job = source.job(mapping="{rewrite: {trailing_backslash: drop, newline_in_tag: space}}")
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)
    refuse_collisions(job, source.schema, mapping, [day(1)], source.query)
    assert series_counts(source.query, source.schema, mapping, day(1), job.mapping.rewrite.active).series == 2


def test_a_field_that_rows_of_both_kinds_have_in_one_series_is_counted_once(source: Source) -> None:
    """The bucket has it once: the whole table's check of the cardinality would fail for ever."""
    both = multi(2, MeasureName="load")
    source.put(
        [both, single(5, "load", "DOUBLE", "1", Dimensions=both["Dimensions"]), single(6, "count", "BIGINT", "1")]
    )
    job = source.job()
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)
    counted = series_counts(source.query, source.schema, mapping, day(1))
    assert (counted.series, counted.with_fields) == (2, len(both["MeasureValues"]) + 1)


def test_rows_that_write_to_one_field_from_two_columns_are_refused_too(source: Source) -> None:
    """One measure_name with two types of which `types` makes one field: no column is written twice, the field is."""

    def of(key: str) -> list[dict[str, str]]:
        return [{"Name": key, "Value": "a"}]

    source.put([single(0, "x", "DOUBLE", "1.5", Dimensions=of("p")), single(0, "x", "BIGINT", "2", Dimensions=of("q"))])
    job = source.job(mapping="{dimensions_as_fields: [p, q], types: {x: float}}")
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)
    with pytest.raises(Refused, match=r"2 rows would become 1 points"):
        refuse_collisions(job, source.schema, mapping, [day(1)], source.query)
    apart = source.job(mapping="{dimensions_as_fields: [p], types: {x: float}}")
    refuse_collisions(apart, source.schema, resolve(source.schema, apart.mapping, "t"), [day(1)], source.query)
