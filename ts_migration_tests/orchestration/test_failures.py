"""What kind of failure Dagster is told: only what no other try mends may roll a job back."""

import pytest

from ts_migration.errors import MigrationError, Permanent, Refused, Transient
from ts_migration.line_protocol.parquet import DamagedFile
from ts_migration.orchestration.failures import FAILURE_KIND, PERMANENT, failure_of
from ts_migration.timestream.query import QueryTooLarge


@pytest.mark.parametrize(
    ("error", "for_good"),
    [
        (Permanent("a token that is none"), True),
        (Transient("throttled"), False),
        (Refused("others' points"), False),
        (QueryTooLarge("exceeds maximum available memory"), False),
        (DamagedFile("the file is damaged"), False),
    ],
)
def test_what_another_try_may_mend_is_no_failure_for_good(error: MigrationError, for_good: bool) -> None:
    assert (failure_of(error).metadata[FAILURE_KIND].value == PERMANENT) is for_good
