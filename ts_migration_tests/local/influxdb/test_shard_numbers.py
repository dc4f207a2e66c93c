"""Numbers of the embedded server's shards: those of a restored bucket with very many of them, too."""

import time
from pathlib import Path

from ts_migration.local.influxdb.storage.shard_groups import ShardGroup, ShardGroups
from ts_migration.local.influxdb.storage.shard_numbers import ShardNumbers


def test_a_bucket_of_thirty_thousand_shards_is_numbered_at_once_and_for_good(tmp_path: Path) -> None:
    groups = [ShardGroup(start, start + 1) for start in range(30_000)]
    began = time.monotonic()
    declared = ShardGroups()
    declared.add_all(groups)
    assert declared.all() == groups
    numbers = ShardNumbers(tmp_path / "shards.json")
    other = numbers.numbers_of("a", groups[:1])[groups[0]]
    found = numbers.numbers_of("b", groups)
    assert time.monotonic() - began < 5  # one by one it took many minutes
    assert len({other, *found.values()}) == 30_001
    assert ShardNumbers(tmp_path / "shards.json").numbers_of("b", groups) == found
    assert numbers.find(found[groups[7]]) == ("b", groups[7])
