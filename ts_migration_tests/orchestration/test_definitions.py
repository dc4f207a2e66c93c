"""What a configuration becomes in Dagster: names, groups, checks and jobs; and that nothing is asked for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.config import MigrationConfig, parse_config
from ts_migration.errors import Missing
from ts_migration.orchestration.configured import configured_path
from ts_migration.orchestration.names import TABLE_CHECKS, WINDOW_CHECKS, TableNames
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.windows import Grid, to_ns
from ts_migration_tests.orchestration.scripted import without_environment

JOB = """
  - job_name: {name}
    source_database: {database}
    source_table: {table}
    target_bucket: {name}
    start_time: {start}
    end_time: {end}
    validation_enabled: {validated}
"""


def job(
    name: str,
    table: str = "load",
    database: str = "grid",
    *,
    start: str = "2023-01-15T00:00:00Z",
    end: str = "2023-03-10T00:00:00Z",
    validated: str = "true",
) -> str:
    return JOB.format(name=name, database=database, table=table, start=start, end=end, validated=validated)


def config(*jobs: str) -> MigrationConfig:
    return parse_config("migration_jobs:" + "".join(jobs))


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


def asset_keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def groups(definitions: dg.Definitions) -> set[str]:
    graph = definitions.resolve_asset_graph()
    return {graph.get(key).group_name for key in graph.get_all_asset_keys()}


def test_definitions_load_without_a_variable_and_without_a_server() -> None:
    definitions = build_definitions(config(job("one"), job("two", table="exchange")))

    dg.Definitions.validate_loadable(definitions)
    assert asset_keys(definitions) == {
        *(f"grid/{table}/{asset}" for table in ("load", "exchange") for asset in ("export_files", "line_protocol_files", "influxdb_bucket", "migrated")),
        "migration_report",
    }  # fmt: skip


def test_two_jobs_of_one_table_have_keys_and_jobs_of_their_own() -> None:
    early = job("The Early One", end="2023-02-01T00:00:00Z")
    late = job("late", start="2023-02-01T00:00:00Z")

    definitions = build_definitions(config(early, late))

    dg.Definitions.validate_loadable(definitions)
    assert {key for key in asset_keys(definitions) if key.endswith("migrated")} == {
        "grid/load/the_early_one/migrated",
        "grid/load/late/migrated",
    }
    names = {found.name for found in definitions.resolve_all_job_defs() if not found.name.startswith("__")}
    assert names == {
        "cutover",
        *(
            f"{what}_grid__load__{name}"
            for what in ("migrate", "check", "roll_up", "roll_back")
            for name in ("the_early_one", "late")
        ),
    }
    assert groups(definitions) == {"load__the_early_one", "load__late", "migration"}


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ((job("a"), job("b", table="exchange")), {"load", "exchange", "migration"}),
        ((job("a"), job("b", database="mine")), {"grid__load", "mine__load", "migration"}),
        ((job("a", table="migration"),), {"grid__migration", "migration"}),
    ],
    ids=["tables", "one_name_in_two_databases", "the_reports_name"],
)
def test_groups_are_as_short_as_they_can_be_without_mixing_tables(jobs: tuple[str, ...], expected: set[str]) -> None:
    assert groups(build_definitions(config(*jobs))) == expected


def test_a_windows_checks_are_partitioned_and_block_and_those_of_the_table_are_not_partitioned() -> None:
    settings = config(job("one"))
    names = TableNames.of(settings, settings.migration_jobs[0])

    graph = build_definitions(settings).resolve_asset_graph()

    checks = {key: graph.get(key) for key in graph.asset_check_keys}
    window = {key.name for key in checks if key.asset_key == names.influxdb_bucket}
    assert window == set(WINDOW_CHECKS)
    for key, node in checks.items():
        assert node.blocking == (key.asset_key != names.migrated)
        assert (node.partitions_def is None) == (key.asset_key == names.migrated)
    assert {key.name for key in checks if key.asset_key == names.migrated} == set(TABLE_CHECKS)


def test_partitions_keep_the_first_and_the_last_window_that_the_range_cuts() -> None:
    settings = config(job("one"))
    names = TableNames.of(settings, settings.migration_jobs[0])

    node = build_definitions(settings).resolve_asset_graph().get(names.export_files)

    assert node.partitions_def.get_partition_keys() == ["2023-01-01", "2023-02-01", "2023-03-01"]


def test_the_window_job_leaves_the_roll_up_alone() -> None:
    settings = config(job("one"))
    names = TableNames.of(settings, settings.migration_jobs[0])

    selected = build_definitions(settings).resolve_job_def(names.job).asset_layer.selected_asset_keys

    assert selected == {names.export_files, names.converted_files, names.influxdb_bucket}


def test_a_job_without_validation_has_no_checks_of_its_windows_and_loads() -> None:
    settings = config(job("one", validated="false"))
    names = TableNames.of(settings, settings.migration_jobs[0])

    definitions = build_definitions(settings)

    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    assert not {key.name for key in graph.asset_check_keys if key.asset_key == names.influxdb_bucket}
    assert names.check_job not in {found.name for found in definitions.resolve_all_job_defs()}


def test_the_configuration_is_the_named_one_then_the_folders_then_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Missing, match=r"there is no configuration file migration_config\.yaml"):
        configured_path()
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/migration_config.yaml", "migration_config.yaml", "other.yaml"):
        (tmp_path / name).write_text("")
        if name == "other.yaml":
            monkeypatch.setenv("TS_MIGRATION_CONFIG", name)
        assert configured_path() == Path(name)


def test_a_window_that_is_not_over_yet_is_a_partition_of_its_table() -> None:
    now = datetime.now(UTC)
    start, end = now - timedelta(days=70), now + timedelta(days=70)
    grid = Grid("0 0 1 * *", to_ns(start), to_ns(end))

    assert tuple(partitions_of(grid).get_partition_keys()) == grid.keys
