"""Rows that a mapping would make one point: found before a window moves."""

import pytest

from ts_migration.errors import Refused
from ts_migration.stages.collisions import refuse_collisions
from ts_migration.stages.table import begin_table
from ts_migration_tests.stages.source.tables import Source, day, multi


def test_rows_that_differ_only_in_a_dropped_dimension_are_refused_with_their_place(source: Source) -> None:
    source.put([multi(2), multi(2, Dimensions=[{"Name": "plant", "Value": "other"}])])
    job = source.job(mapping="{dimensions_as_fields: [plant]}")
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)

    refuse_collisions(job, source.schema, mapping, [day(2)], source.query)
    with pytest.raises(Refused, match=r"1 points would be written by several rows.*2 rows.*keep_measure_name"):
        refuse_collisions(job, source.schema, mapping, [day(1)], source.query)


def test_an_injective_mapping_asks_nothing(source: Source) -> None:
    source.put([multi(0)])
    job = source.job()
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)

    refuse_collisions(job, source.schema, mapping, [day(1)], None)  # type: ignore[arg-type]
