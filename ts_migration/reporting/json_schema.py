"""The JSON Schema of `migration_results_<time>.json`, made from the models: `docs/results.schema.json`.

`python -m ts_migration.reporting.json_schema > docs/results.schema.json` writes it anew after a field was added.
"""

import json
import sys
from typing import Any

from ts_migration.reporting.results import SCHEMA_VERSION, MigrationResults


def results_schema() -> str:
    """The schema as indented JSON. It allows fields that it does not know: later versions may add some."""
    schema = _open(MigrationResults.model_json_schema(mode="serialization"))
    titled = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"Results of ts-migration, schema version {SCHEMA_VERSION}",
    }
    return json.dumps(titled, indent=2, ensure_ascii=False) + "\n"


def _open(schema: Any) -> Any:
    """A schema whose objects may have further fields."""
    if isinstance(schema, dict):
        return {
            key: _open(value) for key, value in schema.items() if not (key == "additionalProperties" and value is False)
        }
    return [_open(each) for each in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    sys.stdout.write(results_schema())
