"""Type conflicts are judged in columns exactly as the server's shard judges them point by point."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.storage.bucket import Bucket
from ts_migration.local.influxdb.storage.field_types import PartialWrite
from ts_migration.local.influxdb.storage.shard_groups import DAY_NS
from ts_migration_tests.local.influxdb.test_storage import WEEK, contents, write

TYPES = {"1i": "integer", "1.5": "float", "t": "boolean", '"s"': "string", "7u": "unsigned"}
VALUES = {"1i": 1, "1.5": 1.5, "t": True, '"s"': "s", "7u": 7}


@dataclass
class Server:
    """A slow model of influxd 2.7.11: points in order, one shard group after the other (tsdb/shard.go)."""

    pins: dict = field(default_factory=dict)
    stored: dict = field(default_factory=dict)

    def write(self, points: list) -> PartialWrite | str | None:
        shards: dict[int, list] = {}
        for point in points:
            shards.setdefault((point[2] + 3 * DAY_NS) // WEEK, []).append(point)
        answers = [self._shard(shard, mine) for shard, mine in shards.items()]
        return next((answer for answer in answers if answer is not None), None)

    def _shard(self, shard: int, points: list) -> PartialWrite | str | None:
        dropped, reason, kept, create = 0, "", [], []
        for point in points:
            fault = self._fault(shard, point)
            if fault:
                dropped, reason = dropped + 1, reason or fault
                continue
            kept.append(point)
            measurement, fields, _ = point
            create += [
                (shard, measurement, name, TYPES[value])
                for name, value in fields
                if name != "time" and (shard, measurement, name) not in self.pins
            ]
        for *place, type_ in create:
            if self.pins.setdefault(tuple(place), type_) != type_:
                return "field type conflict"
        for measurement, fields, time in kept:
            row = self.stored.setdefault((measurement, time), {})
            row |= {name: VALUES[value] for name, value in fields if name != "time"}
        return PartialWrite(reason, dropped) if dropped else None

    def _fault(self, shard: int, point: tuple) -> str | None:
        measurement, fields, _ = point
        if all(name == "time" for name, _ in fields):
            return f'invalid field name: input field "time" on measurement "{measurement}" is invalid'
        for name, value in fields:
            pinned = self.pins.get((shard, measurement, name))
            if name != "time" and pinned not in (None, TYPES[value]):
                return (
                    f'field type conflict: input field "{name}" on measurement "{measurement}" '
                    f"is type {TYPES[value]}, already exists as type {pinned}"
                )
        return None


point = st.tuples(
    st.sampled_from(["m", "n"]),
    st.lists(st.tuples(st.sampled_from(["f", "g", "h", "time"]), st.sampled_from(list(TYPES))), min_size=1, max_size=3),
    st.sampled_from([1, 2, 3 * WEEK, 3 * WEEK + 1]),
)


@settings(max_examples=250, deadline=None)
@given(requests=st.lists(st.lists(point, min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_mixture_of_types_is_answered_and_stored_as_the_server_would(
    requests: list, tmp_path_factory: pytest.TempPathFactory
):
    bucket, server = Bucket(tmp_path_factory.mktemp("bucket")), Server()
    for points in requests:
        lines = [f"{m} " + ",".join(f"{name}={value}" for name, value in fields) + f" {t}" for m, fields, t in points]
        assert write(bucket, "\n".join(lines)) == server.write(points)
    found = {
        (measurement, time): row
        for measurement in ("m", "n")
        for (_, time), row in contents(bucket, measurement).items()
    }
    assert found == server.stored
    bucket.close()


def test_the_reason_names_the_field_as_it_was_written(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "my\\ m,a=1 f\\ 1=1i 1")
    outcome = write(bucket, "my\\ m,a=1 f\\ 1=t 2")
    assert isinstance(outcome, PartialWrite)
    assert outcome.reason.startswith('field type conflict: input field "f 1" on measurement "my m" is type boolean')
