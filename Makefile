# Two commands do everything on a machine that has Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG := scripts/migration_config.yaml
# Tests start hundreds of commands: each would compile the program anew where a machine forbids to keep that.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint types format conformance bench bench-long clean install

demo: install ## The whole road on the embedded stack: start, seed, dry run, execute, validate.
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh

# In their order: by default modules of few tests come last, and those are the stories that take minutes.
test: install ## All tests, a module at a time on each of three processes; LONG=1 and FULL=1 add the long ones.
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

conformance: install ## The conformance replay against INFLUXDB_URL, INFLUXDB_TOKEN, INFLUXDB_ORG; else the embedded server.
	$(BIN)/pytest ts_migration_tests/local/influxdb/test_conformance.py

bench: install ## All benchmarks, each against its limit; exit code 1 where a budget is not met.
	$(BIN)/python -m benchmarks

bench-long: install ## The rows of memory alone, with the window of 40 M rows: 2 to 3 minutes more.
	LONG=1 $(BIN)/python -m benchmarks --only memory

clean: ## Stop the embedded stack and delete everything that commands wrote here.
	@if [ -x $(BIN)/ts-migration ]; then $(BIN)/ts-migration local down --delete-data; fi
	rm -rf .ts_migration .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -f migration_execution*.log migration_validation*.log migration_results_*.json

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV), about a minute, once'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	@touch $@
