"""The allow-list of scalar functions by name. Aggregates and window functions have lists of their own."""

from __future__ import annotations

from ts_migration.local.timestream.sql.number_functions import NUMBER_FUNCTIONS
from ts_migration.local.timestream.sql.signatures import BadArguments, Function
from ts_migration.local.timestream.sql.string_functions import STRING_FUNCTIONS
from ts_migration.local.timestream.sql.time_functions import TIME_FUNCTIONS

FUNCTIONS: dict[str, Function] = {**NUMBER_FUNCTIONS, **STRING_FUNCTIONS, **TIME_FUNCTIONS}

__all__ = ["FUNCTIONS", "BadArguments"]
