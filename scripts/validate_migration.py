#!/usr/bin/env python
"""The guide's `python scripts/validate_migration.py --config FILE [--parallel]`.

The same function as `ts-migration validate`, and nothing else.
"""

import typer

from ts_migration.cli.main import guarded
from ts_migration.cli.validate import validate

if __name__ == "__main__":
    guarded(lambda: typer.run(validate))
