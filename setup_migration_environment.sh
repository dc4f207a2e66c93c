#!/bin/bash
# As the guide's quick start has it: source setup_migration_environment.sh
. "$(dirname -- "${BASH_SOURCE:-$0}")/scripts/setup_migration_environment.sh"
