"""A new home of Dagster is opened by several commands at once: its tables are made once, and nobody finds half of them."""

import subprocess
import sys
from pathlib import Path

from ts_migration_tests.embedded_stack import clean_environment

COMMAND = """
import sys
import time
from pathlib import Path
import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from ts_migration.orchestration.home import open_instance
home = Path(sys.argv[1])
(home / f"ready-{sys.argv[2]}").touch()
while len(list(home.glob("ready-*"))) < int(sys.argv[3]):
    time.sleep(0.005)
with open_instance() as instance:
    instance.report_runless_asset_event(dg.AssetMaterialization("a"))
    instance.get_runs()
"""


def test_commands_that_open_a_new_home_at_once_all_find_their_tables(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    count = 3
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(tmp_path), str(number), str(count)],
            env={**clean_environment(), "DAGSTER_HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    errors = [each.communicate(timeout=100)[1] for each in opening]
    assert [each.returncode for each in opening] == [0] * count, errors
    assert (tmp_path / "storage-is-made").exists()
