#!/usr/bin/env python
"""The guide's `python scripts/execute_migration.py --config FILE [--dry-run] [--region R] [--parallel-jobs N]`.

The same function as `ts-migration execute`, and nothing else.
"""

import typer

from ts_migration.cli.execute import execute
from ts_migration.cli.main import guarded

if __name__ == "__main__":
    guarded(lambda: typer.run(execute))
