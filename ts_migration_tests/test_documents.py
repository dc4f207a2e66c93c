"""docs/configuration.md names every key with its default, and the documents' links lead somewhere."""

import re
from textwrap import indent

import pytest

from ts_migration.config import (
    Environment,
    MappingOptions,
    MigrationJob,
    MigrationSettings,
    RewriteRules,
    ValidationRules,
    parse_config,
)
from ts_migration.cutover_settings import ACTIONS, CutoverSettings
from ts_migration.notification_settings import MetricSettings, NotificationSettings
from ts_migration.query_settings import QueryPair, QuerySettings
from ts_migration_tests.embedded_stack import CHECKOUT

SECTIONS = {
    "migration_jobs": MigrationJob,
    "mapping": MappingOptions,
    "mapping.rewrite": RewriteRules,
    "migration_settings": MigrationSettings,
    "validation_rules": ValidationRules,
    "cutover": CutoverSettings,
    "query_settings": QuerySettings,
    "queries": QueryPair,
    "notifications": NotificationSettings,
    "metrics": MetricSettings,
}


def rows_of(section: str) -> dict[str, list[str]]:
    """Cells of a section's table by key."""
    text = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    body = re.search(rf"^## `{section}`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if "| `" in line]
    return {row[0].strip("|` "): row[1:] for row in cells}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_documented_and_no_other(section):
    assert list(rows_of(section)) == list(SECTIONS[section].model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_documented_defaults_are_the_defaults(section):
    shown = {
        "window": "`month`",
        "shard_group_duration": "`30d`",
        "mapping": "none",
        "measurement": "the table's name",
        "write_connections": "`auto`",
        "rewrite": "none",
        "events": "all of them",
    }
    for key, field in SECTIONS[section].model_fields.items():
        documented = rows_of(section)[key][1]
        if field.is_required():
            assert documented == "required", key
        elif key in shown:
            assert documented == shown[key]
        elif field.get_default(call_default_factory=True) in (None, (), {}):
            assert documented == "none", key
        else:
            default = field.get_default(call_default_factory=True)
            text = str(default).lower() if isinstance(default, bool) else f"{default}"
            assert documented.strip("`") in (text, text.removesuffix(".0")), key


def test_every_key_of_every_action_of_a_cutover_is_documented():
    rows = rows_of("cutover.actions")
    assert list(rows) == list(ACTIONS)
    for name, model in ACTIONS.items():
        missing = [key for key in set(model.model_fields) - {"type", "job"} if f"`{key}`" not in rows[name][0]]
        assert not missing, name


def test_every_example_of_an_action_loads():
    text = (CHECKOUT / "docs" / "cutover.md").read_text(encoding="utf-8")
    job = "{job_name: a, source_database: d, source_table: t, target_bucket: b, start_time: 2023-01-01, end_time: 2024-01-01}"
    seen = set()
    for example in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        section = example if example.startswith("cutover:") else f"cutover:\n  actions:\n{indent(example, '    ')}"
        config = parse_config(f"migration_jobs: [{job}]\n{section}")
        seen |= {action.type for action in config.cutover.actions}
    assert seen == set(ACTIONS)


def test_every_variable_that_the_tool_reads_is_documented():
    text = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert not [name for name in Environment.model_fields if f"`{name.upper()}`" not in text]


def test_links_between_documents_lead_somewhere():
    broken = []
    for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    # The picture is taken from the real interface; it comes with it.
    assert [link for link in broken if "asset-graph.png" not in link] == []


def test_the_makefile_and_ci_name_the_targets_that_people_are_told():
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "lint", "types", "format", "conformance", "bench", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "make lint" in (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
