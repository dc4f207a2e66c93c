#!/usr/bin/env python
"""The guide's `python scripts/execute_migration.py --config FILE [--dry-run] [--region R] [--parallel-jobs N]`.

The same function as `ts-migration execute`, and nothing else.
"""

import sys

try:
    import typer

    from ts_migration.cli.execute import execute
    from ts_migration.cli.guard import guarded
except ModuleNotFoundError as missing:
    print(f"error: {missing.name} is not installed. Next: pip install . in the project's folder", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    guarded(lambda: typer.run(execute))
