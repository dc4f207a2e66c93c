"""The configuration as its author meets it: the guide's files load, and every mistake is one line that says it all."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.config import (
    Environment,
    exclusive_end_ns,
    load_config,
    parse_config,
    time_ns,
)
from ts_migration.errors import ConfigurationError, Missing
from ts_migration.windows import NS_PER_S, iso
from ts_migration_tests.shared_material import shared

ONE_JOB = """\
migration_jobs:
  - job_name: "Generation"
    source_database: "energy"
    source_table: "generation"
    target_bucket: "generation"
    start_time: "2023-01-01T00:00:00Z"
    end_time: "2024-12-31T23:59:59Z"
"""
SECOND_JOB = ONE_JOB.partition("\n")[2]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text)
    return caught.value.problems


def only_problem(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def guide_examples() -> list[str]:
    """The two whole configurations that the guide prints."""
    blocks = re.findall(r"```yaml\n(.*?)```", shared("guide.md").read_text(), re.DOTALL)
    return [block for block in blocks if "job_name" in block]


def test_the_guides_examples_load_unchanged():
    basic, production = (parse_config(text) for text in guide_examples())
    assert basic.migration_jobs[0].batch_size == 10_000
    assert basic.migration_jobs[0].rollback_enabled
    assert basic.migration_settings.progress_monitoring_interval == 60
    assert production.migration_settings.parallel_jobs == 3
    assert production.migration_settings.retry_delay_seconds == 600
    assert production.validation_rules.record_count_tolerance == 0.0001
    assert production.validation_rules.sample_accuracy_threshold == 0.99


def test_our_own_example_migrates_three_tables():
    config = load_config(Path(__file__).resolve().parents[1] / "scripts" / "migration_config.yaml")
    assert [job.source_table for job in config.migration_jobs] == ["generation_data", "load_data", "exchange_data"]
    assert [len(job.grid) for job in config.migration_jobs] == [24, 24, 24]


def test_all_mistakes_come_in_one_go_and_each_once():
    found = problems(
        """\
migration_jobs:
  - job_name: "Generation"
    source_database: "energy data"
    source_tabel: "generation"
    target_bucket: "_internal"
    start_time: "2023-13-01T00:00:00Z"
    end_time: "2024-12-31T23:59:59Z"
    batch_size: 0
migration_settings:
  parallel_jobs: "two"
"""
    )
    assert [line.partition(": not")[0].partition("; ")[0] for line in found] == [
        "job 'Generation': source_database = 'energy data'",
        "job 'Generation': source_table is required and not given",
        "job 'Generation': target_bucket = '_internal'",
        "job 'Generation': start_time = '2023-13-01T00:00:00Z'",
        "job 'Generation': batch_size = 0",
        "job 'Generation': source_tabel: unknown key",
        "migration_settings.parallel_jobs = 'two'",
    ]
    assert all("allowed: " in line or "required" in line or "did you mean" in line for line in found)


@pytest.mark.parametrize(
    ("addition", "line"),
    [
        ("    batchsize: 5\n", "job 'Generation': batchsize: unknown key; did you mean batch_size?"),
        ("    parallel_jobs: 2\n", "job 'Generation': parallel_jobs: unknown key; it belongs in migration_settings"),
        ("    mapping: {renames: {a: b}}\n", "job 'Generation': mapping.renames: unknown key; did you mean rename?"),
        ("migration_setting: {}\n", "migration_setting: unknown key; did you mean migration_settings?"),
        ("    validation_enabled: maybe\n", "validation_enabled = 'maybe': not allowed; allowed: true or false"),
        ("    rollback_enabled: 1\n", "rollback_enabled = 1: not allowed; allowed: true or false"),
        ("    batch_size: 10.5\n", "batch_size = 10.5: not allowed; allowed: a whole number"),
        ("    batch_size: 5000000\n", "batch_size = 5000000: not allowed; allowed: at most 1,000,000"),
        ("    batch_size:\n", "batch_size = nothing: not allowed; allowed: a whole number"),
        ("    compression: 11\n", "compression = 11: not allowed; allowed: none, or a gzip level from 0 to 9"),
        ("    compression:\n", "compression = nothing: not allowed; allowed: none, or a gzip level from 0 to 9"),
        (
            "    write_connections: 0\n",
            "write_connections = 0: not allowed; allowed: auto, or a whole number from 1 to",
        ),
        ("    window: fortnight\n", "window = 'fortnight': not allowed; allowed: hour, day, week, month or a cron"),
        ("    window: '0 0 31 2 *'\n", "window = '0 0 31 2 *': not allowed"),
        ("    window: '0 0 * * * *'\n", "window = '0 0 * * * *': not allowed"),
        ("    window: '* * * * *'\n", "makes more than 50,000 windows"),
        ("    shard_group_duration: 30 days\n", "allowed: a duration such as 12h, 7d or 30d"),
        ("    retention_days: 20\n    shard_group_duration: 30d\n", "shard_group_duration = '720h': not allowed"),
        ("    mapping: {types: {x: integer}}\n", "mapping.types.x = 'integer': not allowed; allowed: float"),
        ("    5: 6\n", "5 = 5: not allowed; allowed: keys that are text"),
        (
            "validation_rules: {record_count_tolerance: 2}\n",
            "record_count_tolerance = 2: not allowed; allowed: below 1",
        ),
        ("validation_rules: {sample_accuracy_threshold: 99%}\n", "= '99%': not allowed; allowed: a number"),
        ("migration_settings:\n", "migration_settings = nothing: not allowed; allowed: keys with values"),
        ("    batch_size: 5\n    batch_size: 6\n", "line 9: batch_size: given twice; first in line 8"),
    ],
)
def test_a_mistake_names_job_key_value_and_what_is_allowed(addition, line):
    assert line in only_problem(ONE_JOB + addition)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file holds nothing"),
        ("- a\n", "the file holds a list"),
        ("migration_jobs: []\n", "migration_jobs = []: not allowed; allowed: at least one entry"),
        ("migration_jobs:\n", "migration_jobs = nothing: not allowed; allowed: a list"),
        ("migration_jobs: [abc]\n", "job number 1: entry = 'abc': not allowed; allowed: keys with values"),
        ("migration_jobs:\n\t- a: 1\n", "line 2: not valid YAML"),
        (ONE_JOB.replace('"Generation"', ""), "job number 1: job_name = nothing"),
        (ONE_JOB.replace('"Generation"', "12"), "job_name = 12: not allowed; allowed: text; put it in quotes"),
        (ONE_JOB.replace('_table: "generation"', '_table: ".."'), "source_table = '..': not allowed"),
        (ONE_JOB.replace("2024-12-31T", "2020-12-31T"), "end_time = '2020-12-31T23:59:59Z': not allowed"),
        (ONE_JOB.replace("2024-12-31T", "9999-12-31T"), "end_time = '9999-12-31T23:59:59Z': not allowed"),
        (ONE_JOB.replace("2023-01-01T", "1500-01-01T"), "start_time = '1500-01-01T00:00:00Z': not allowed"),
        (f"x: !!python/name:os.system\n{ONE_JOB}", "line 1: not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(text, line):
    assert line in only_problem(text)


def test_a_found_value_is_shown_but_not_a_page_of_it():
    line = only_problem(ONE_JOB.replace('_table: "generation"', f'_table: "{"x y" * 200}"'))
    assert len(line) < 300


def test_two_jobs_need_different_names():
    assert any("names that differ" in line for line in problems(ONE_JOB + SECOND_JOB))


def test_two_jobs_that_write_one_measurement_at_one_time_are_refused():
    line = only_problem(ONE_JOB + SECOND_JOB.replace('"Generation"', '"Again"'))
    assert line.startswith("job 'Again': target_bucket = 'generation': measurement 'generation' is already written")


def test_two_jobs_may_split_one_table_by_time_and_then_have_places_of_their_own():
    later = SECOND_JOB.replace('"Generation"', '"Later"').replace("2024-12-31", "2026-12-31").replace("2023-", "2025-")
    config = parse_config(ONE_JOB + later)
    assert [config.place(job).name for job in config.migration_jobs] == [
        "energy/generation",
        "energy/generation@later",
    ]


def test_two_tables_whose_names_become_one_asset_key_are_refused():
    other = SECOND_JOB.replace('"Generation"', '"Other"').replace('_table: "generation"', '_table: "gen.eration"')
    first = ONE_JOB.replace('_table: "generation"', '_table: "gen-eration"')
    assert "become one asset key energy/gen_eration" in only_problem(first + other)


def test_a_bucket_that_is_made_by_a_restore_is_no_other_jobs_target():
    other = SECOND_JOB.replace('"Generation"', '"Other"').replace('_table: "generation"', '_table: "load"')
    line = only_problem(ONE_JOB + "    load: bulk\n" + other)
    assert line.startswith("job 'Other': target_bucket = 'generation': is also the target of job 'Generation'")
    assert "a bucket of its own" in line


def test_two_jobs_that_disagree_about_one_bucket_are_refused():
    other = SECOND_JOB.replace('"Generation"', '"Other"').replace('_table: "generation"', '_table: "load"')
    line = only_problem(ONE_JOB + "    retention_days: 400\n" + other)
    assert line.startswith("job 'Other': retention_days: bucket 'generation' is also the target of job 'Generation'")


def test_a_short_retention_brings_the_shard_groups_that_fit_it():
    config = parse_config(ONE_JOB + "    retention_days: 7\n")
    assert config.migration_jobs[0].shard_group_duration == 86_400
    assert parse_config(ONE_JOB).migration_jobs[0].shard_group_duration == 30 * 86_400


def test_the_guides_last_second_means_through_that_whole_second():
    job = parse_config(ONE_JOB).migration_jobs[0]
    assert iso(job.end_time) == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"),
        ("2024-12-31T23:30:59Z", "2024-12-31T23:31:00Z"),
        ("2024-12-31T23:59:59.0Z", "2025-01-01T00:00:00Z"),
        ("2024-12-31T23:59:59.999Z", "2024-12-31T23:59:59.999Z"),
        ("2024-12-31T23:59:58Z", "2024-12-31T23:59:58Z"),
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ("2024-12-31T20:59:59-03:00", "2025-01-01T00:00:00Z"),
        ("2024-12-31 23:59:59", "2025-01-01T00:00:00Z"),
    ],
)
def test_only_a_bare_59th_second_is_extended(text, end):
    assert iso(exclusive_end_ns(text)) == end


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_a_time_is_read_to_the_nanosecond(moment):
    assert time_ns(iso(moment)) == moment


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_an_exclusive_end_is_the_time_or_one_second_after_it(moment):
    assert exclusive_end_ns(iso(moment)) - moment in (0, NS_PER_S)


def test_times_without_quotes_keep_their_nanoseconds():
    # YAML itself would cut 2023-01-01T00:00:00.123456789Z to the microsecond, in silence.
    config = parse_config(ONE_JOB.replace('"2023-01-01T00:00:00Z"', "2023-01-01T00:00:00.123456789Z"))
    assert iso(config.migration_jobs[0].start_time) == "2023-01-01T00:00:00.123456789Z"


def test_merge_keys_share_settings_between_jobs():
    text = ONE_JOB.replace("- job_name", "- &first\n    job_name")
    text += '  - <<: *first\n    job_name: "Second"\n    source_table: "load"\n    target_bucket: "load"\n'
    config = parse_config(text)
    assert [(job.job_name, job.source_table) for job in config.migration_jobs] == [
        ("Generation", "generation"),
        ("Second", "load"),
    ]


def test_a_missing_file_says_where_an_example_is(tmp_path):
    with pytest.raises(Missing, match=r"no configuration file .*nothing\.yaml.*scripts/migration_config\.yaml"):
        load_config(tmp_path / "nothing.yaml")


def test_a_file_in_another_encoding_is_one_message(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("# Geração\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(path)


def test_an_unknown_job_is_refused_with_the_names_that_there_are():
    config = parse_config(ONE_JOB)
    assert config.job("generation") is config.job("Generation")
    with pytest.raises(Missing, match=r"no job 'x'.*'Generation'"):
        config.job("x")


def test_the_environment_names_all_variables_that_are_missing_and_no_secret():
    environment = Environment.read({"INFLUXDB_TOKEN": "hidden", "INFLUXDB_URL": "http://db"})
    with pytest.raises(ConfigurationError) as caught:
        environment.require("s3_export_bucket", "influxdb_org", "influxdb_token")
    assert caught.value.problems == (
        "the environment variable S3_EXPORT_BUCKET is not set",
        "the environment variable INFLUXDB_ORG is not set",
    )
    assert "hidden" not in repr(environment)


def test_what_a_mapping_depends_on_has_a_fingerprint_that_batch_size_does_not_touch():
    one, two = (parse_config(ONE_JOB + extra).migration_jobs[0] for extra in ("", "    batch_size: 5\n"))
    other = parse_config(ONE_JOB + "    mapping: {keep_measure_name: false}\n").migration_jobs[0]
    assert one.mapping_fingerprint == two.mapping_fingerprint != other.mapping_fingerprint


TWO_JOBS = """\
migration_jobs:
  - {job_name: First, source_database: d, source_table: t, target_bucket: b, start_time: 2023-01-01, end_time: 2023-02-01}
  - {job_name: Second, source_database: d, source_table: t, target_bucket: b, start_time: 2023-02-01, end_time: 2023-03-01}
"""


def test_a_second_job_of_a_table_leaves_the_first_ones_proof_where_it_is() -> None:
    both = parse_config(TWO_JOBS)
    alone = parse_config("\n".join(TWO_JOBS.splitlines()[:2]))

    first, second = both.migration_jobs
    assert both.place(first) == alone.place(first)
    assert not both.place(second).proof.startswith(both.place(first).proof)
    assert both.key_prefix(first) == ("d", "t", "first")


def test_names_in_any_script_make_slugs_that_differ() -> None:
    names = ("Geração", "Geracao 2", "日本", "東京")
    jobs = [parse_config(TWO_JOBS.replace("First", name)).migration_jobs[0] for name in names]

    assert [job.slug for job in jobs][:2] == ["geracao", "geracao-2"]
    assert len({job.slug for job in jobs}) == len(names)
    assert all(job.slug.isascii() for job in jobs)
