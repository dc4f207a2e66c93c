#!/usr/bin/env python
"""The guide's `python scripts/monitor_migration.py --auto-discover`, `--job-ids ONE TWO`, `--job-id ID`.

The same function as `ts-migration monitor`, and nothing else.
"""

import sys

try:
    import typer

    from ts_migration.cli.guard import guarded
    from ts_migration.cli.monitor import monitor
except ModuleNotFoundError as missing:
    print(f"error: {missing.name} is not installed. Next: pip install . in the project's folder", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    guarded(lambda: typer.run(monitor))
