"""`queries` and `query_settings` of a configuration: what is right loads, and every mistake is one line that says it all."""

import pytest

from ts_migration.config import parse_config
from ts_migration.errors import ConfigurationError
from ts_migration_tests.test_config import ONE_JOB, only_problem, problems

PAIR = """\
queries:
  - name: peak
    timestream: SELECT max(x) AS x FROM {{database}}.{{table}} WHERE time < {{ anchor_hour+ 2d }}
    influxql: SELECT max(x) AS x FROM {{measurement}} WHERE time < {{end}}
"""


def test_a_pair_loads_with_its_defaults():
    (pair,) = parse_config(ONE_JOB + PAIR).queries
    assert (pair.order, pair.relative_tolerance, pair.absolute_tolerance) == ("any", 1e-9, 0.0)
    assert (pair.max_latency_ms, pair.runs, pair.columns) == (None, 5, {})


def test_a_pair_without_a_job_is_asked_of_every_job_and_one_with_a_job_of_that_job():
    config = parse_config(ONE_JOB + PAIR + "  - {name: own, job: generation, timestream: SELECT 1, flux: 'x'}\n")
    assert [pair.name for pair in config.queries_of(config.migration_jobs[0])] == ["peak", "own"]
    other = config.migration_jobs[0].model_copy(update={"job_name": "other"})
    assert [pair.name for pair in config.queries_of(other)] == ["peak"]


def test_numbers_may_be_written_as_people_write_them():
    (pair,) = parse_config(ONE_JOB + PAIR + "    relative_tolerance: 1e-6\n    max_latency_ms: 500\n").queries
    assert (pair.relative_tolerance, pair.max_latency_ms) == (1e-6, 500)
    assert only_problem(ONE_JOB + PAIR + "    relative_tolerance: some\n") == (
        "query 'peak': relative_tolerance = 'some': not allowed; allowed: a number"
    )


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("{{tabel}}", "{{tabel}}"),
        ("{{bucket}}", "{{bucket}}"),
        ("{{anchor - 3 months}}", "{{anchor - 3 months}}"),
        ("{{}}", "{{}}"),
    ],
)
def test_an_unknown_placeholder_is_a_mistake_that_names_those_of_its_language(text, unknown):
    problem = only_problem(ONE_JOB + PAIR.replace("{{table}}", text))
    assert problem.startswith("query 'peak': timestream = ")
    assert f"{unknown} is none of them" in problem
    assert "{{database}}, {{table}}, {{start}}" in problem


def test_mistakes_of_pairs_name_the_pair():
    assert only_problem(ONE_JOB + PAIR + "    order: sorted\n") == (
        "query 'peak': order = 'sorted': not allowed; allowed: any or same"
    )
    assert only_problem(ONE_JOB + PAIR + "    max_latency: 3\n") == (
        "query 'peak': max_latency: unknown key; did you mean max_latency_ms?"
    )
    assert only_problem(ONE_JOB + PAIR + "    job: nobody's\n") == (
        "query 'peak': job = \"nobody's\": not allowed; allowed: 'Generation'"
    )
    assert "query number 2: name is required and not given" in problems(
        ONE_JOB + PAIR + "  - {timestream: SELECT 1, flux: x}\n"
    )


def test_a_pair_has_flux_or_influxql_and_not_both():
    for text in (PAIR + "    flux: from()\n", PAIR.replace("    influxql:", "    columns: {x: y}\n    # ")):
        assert "allowed: one of flux and influxql" in only_problem(ONE_JOB + text)


def test_two_pairs_of_one_name_are_a_mistake():
    with pytest.raises(
        ConfigurationError, match="query 'peak': name: not allowed; allowed: names that differ; found 2"
    ):
        parse_config(ONE_JOB + PAIR + PAIR.partition("\n")[2])


def test_the_example_of_the_documents_loads():
    import re

    from ts_migration_tests.embedded_stack import CHECKOUT

    text = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(queries:.*?)```", text, re.DOTALL)
    config = parse_config(ONE_JOB.replace("Generation", "Load Data Migration") + example)
    assert config.queries[0].max_latency_ms == 500
