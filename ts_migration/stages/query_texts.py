"""Placeholders of the configured queries filled in, each quoted as its language wants it. Pure.

Which of them there are, and what is a mistake, is decided in `query_settings`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ts_migration.influxdb import quoting as influxdb
from ts_migration.query_settings import PLACEHOLDER, TIME_PLACEHOLDER
from ts_migration.timestream import quoting as timestream
from ts_migration.windows import iso

HOUR_NS = 3_600_000_000_000
_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": HOUR_NS}
_UNITS_NS |= {"d": 24 * HOUR_NS, "w": 7 * 24 * HOUR_NS}


@dataclass(frozen=True, slots=True)
class QueryPlace:
    """What a table's queries are about.

    Attributes:
        database, table: of Timestream.
        bucket, measurement: of InfluxDB.
        start_ns, end_ns: the job's range, the end excluded.
        anchor_ns: the end of the table's data, excluded: 1 ns after its newest record of the range.
    """

    database: str
    table: str
    bucket: str
    measurement: str
    start_ns: int
    end_ns: int
    anchor_ns: int

    def time_ns(self, name: str) -> int:
        """The time that a placeholder names, without its offset."""
        match name:
            case "start":
                return self.start_ns
            case "end":
                return self.end_ns
            case "anchor_hour":
                return self.rounded_up(HOUR_NS)
            case "anchor_day":
                return self.rounded_up(24 * HOUR_NS)
        return self.anchor_ns

    def rounded_up(self, size_ns: int) -> int:
        """The end of the bin, counted from 1970, that the newest record lies in; no later than the job's range."""
        return min(-(-self.anchor_ns // size_ns) * size_ns, self.end_ns)


def timestream_text(text: str, place: QueryPlace) -> str:
    """Timestream's SQL: names in double quotes, times exact."""
    names = {"database": timestream.identifier(place.database), "table": timestream.identifier(place.table)}
    return _filled(text, place, names, timestream.moment)


def flux_text(text: str, place: QueryPlace) -> str:
    """Flux: names as strings, times as time literals."""
    names = {
        "bucket": influxdb.flux_string(place.bucket),
        "measurement": influxdb.flux_string(place.measurement),
    }
    return _filled(text, place, names, iso)


def influxql_text(text: str, place: QueryPlace) -> str:
    """InfluxQL: names in double quotes, times as ns."""
    names = {"bucket": influxdb.identifier(place.bucket), "measurement": influxdb.identifier(place.measurement)}
    return _filled(text, place, names, str)


def _filled(text: str, place: QueryPlace, names: Mapping[str, str], moment: Callable[[int], str]) -> str:
    def put(found: re.Match[str]) -> str:
        name = found[1].strip()
        if name in names:
            return names[name]
        time = TIME_PLACEHOLDER.fullmatch(name)
        if time is None:
            raise ValueError(f"{found[0]} is no placeholder")
        base, sign, amount, unit = time.groups()
        offset = int(amount) * _UNITS_NS[unit] * (-1 if sign == "-" else 1) if amount else 0
        return moment(place.time_ns(base) + offset)

    return PLACEHOLDER.sub(put, text)
