#!/bin/bash
# `make demo`: a migration from the first table to the last proof, on the embedded stack. May be run again at any time:
# what is proven is not done twice.
set -euo pipefail
cd "$(dirname "$0")/.."
config=scripts/migration_config.yaml
started=$SECONDS

step() { printf '\n== %s\n' "$*"; }

step "1. Start the embedded stack"
ts-migration local up

# From here on the stack is what .env of this folder says, whatever this shell had set for a real migration.
eval "$(ts-migration local env)"

step "2. Seed three tables"
ts-migration local seed --rows "${DEMO_ROWS:-20000}"

step "3. Dry run"
ts-migration execute --config "$config" --dry-run

step "4. Execute"
ts-migration execute --config "$config"

step "5. Validate"
ts-migration validate --config "$config"

step "Done in $((SECONDS - started)) s"
echo "Graph, runs and checks:  .venv/bin/dagster dev     (then open http://localhost:3000)"
echo "Where the jobs stand:    .venv/bin/ts-migration status"
echo "Stop the servers:        .venv/bin/ts-migration local down"
