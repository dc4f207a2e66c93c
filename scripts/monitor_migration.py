#!/usr/bin/env python
"""The guide's `python scripts/monitor_migration.py --auto-discover`, `--job-ids ONE TWO`, `--job-id ID`.

The same function as `ts-migration monitor`, and nothing else.
"""

import typer

from ts_migration.cli.main import guarded
from ts_migration.cli.monitor import monitor

if __name__ == "__main__":
    guarded(lambda: typer.run(monitor))
