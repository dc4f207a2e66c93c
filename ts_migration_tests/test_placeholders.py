"""Placeholders: known ones are filled, anything else in braces is a mistake, and what is told shows no secret."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ts_migration.config import parse_config
from ts_migration.errors import ConfigurationError
from ts_migration.placeholders import SecretTemplate, Template, filled, names_in, part_filled

JOBS = """\
migration_jobs:
  - {job_name: a, source_database: d, source_table: t, target_bucket: b, start_time: 2023-01-01, end_time: 2024-01-01}
  - {job_name: c, source_database: d, source_table: u, target_bucket: e, start_time: 2023-01-01, end_time: 2024-01-01}
"""


def mistakes(action: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        parse_config(f"{JOBS}cutover:\n  actions:\n    - {{{action}}}\n")
    return raised.value.problems


@given(st.text())
def test_text_with_its_braces_doubled_is_that_text(text: str):
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert TypeAdapter(Template).validate_python(doubled) == doubled
    assert filled(doubled, lambda name: name) == text


@given(st.text())
def test_what_is_filled_in_is_never_read_as_a_placeholder(value: str):
    once = part_filled("{org}/{influxdb_token}", {"org": value})
    assert filled(once, {"influxdb_token": "T"}.__getitem__) == f"{value}/T"


@pytest.mark.parametrize(
    "text", ["{", "}", "{org", "org}", "{}", "{ORG}", "{0}", "{org.x}", "{org!r}", "{nothing}", "{{org}"]
)
def test_any_other_brace_is_a_mistake(text: str):
    with pytest.raises(ValidationError):
        TypeAdapter(Template).validate_python(text)


def test_a_secret_is_allowed_only_where_it_is_kept_secret():
    for text in ("{influxdb_token}", "{env:PASSWORD}"):
        assert names_in(TypeAdapter(SecretTemplate).validate_python(text))
        with pytest.raises(ValidationError):
            TypeAdapter(Template).validate_python(text)


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (
            "type: lambda_environment, fuction: f, set: {A: b}, function: g",
            "cutover: action 1 (lambda_environment): fuction: unknown key; did you mean function?",
        ),
        (
            "type: lambda_environment, function: g",
            "cutover: action 1 (lambda_environment): needed: at least one name in set or unset",
        ),
        (
            "type: lambda_environment, function: g, set: {A: b}, unset: [A]",
            "cutover: action 1 (lambda_environment): needed: a name in set or in unset, not in both: A",
        ),
        (
            "type: api_gateway_integration_uri, api: a, stage: s, uri: u, integration: i",
            "cutover: action 1 (api_gateway_integration_uri): needed: with protocol rest: path, method, and not integration",
        ),
        (
            "type: cloudwatch_dashboard, dashboard: d",
            "cutover: action 1 (cloudwatch_dashboard): needed: either replace or body_file",
        ),
        (
            "type: ssm_parameter, name: n, value: '{bucket}'",
            "cutover: action 1 (ssm_parameter): {bucket} is another one for each job; allowed: with job, one of 'a', 'c'",
        ),
        (
            "type: ssm_parameter, name: n, value: x, job: z",
            "cutover: action 1 (ssm_parameter): job = 'z': not allowed; allowed: 'a', 'c'",
        ),
        ("type: grafana_data_source, url: u, token_variable: T, uid: i, set: {password: x}",
         "cutover: action 1 (grafana_data_source): needed: fields in set that a cutover may change; not password"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_action_is_one_line(action: str, line: str):
    assert mistakes(action) == (line,)


def test_the_keys_of_actions_are_no_suggestion_for_the_keys_of_jobs():
    with pytest.raises(ConfigurationError) as raised:
        parse_config(JOBS.replace("job_name: a", "name: a"))
    assert "job number 1: name: unknown key; did you mean job_name?" in raised.value.problems


def test_an_unknown_type_is_told_with_the_types_that_there_are():
    (line,) = mistakes("type: lambda_env")
    assert line.startswith("cutover: action 1: type = 'lambda_env': not allowed; allowed: lambda_environment, ")


@pytest.mark.parametrize(
    "action",
    [
        "type: lambda_environment, function: f, set: {A: 'hunter2 {influxdb_tokn}'}",
        "type: secrets_manager, secret: s, value: 'hunter2 {'",
        "type: webhook, request: {url: 'https://hook', headers: {Authorization: 'Bearer hunter2'}}",
        "type: webhook, request: {url: 'https://hunter2', body: hunter2, json_body: {a: hunter2}}",
        "type: api_gateway_stage_variables, api: a, stage: s, set: {A: 'hunter2 {env:X}'}",
        "type: webhook, request: {url: [hunter2], body: {hunter2: x}}",
    ],
)
def test_a_mistake_shows_no_value_that_may_be_a_secret(action: str):
    assert "hunter2" not in "".join(mistakes(action))


def test_with_a_job_named_its_own_values_are_meant():
    config: Any = parse_config(
        f"{JOBS}cutover: {{actions: [{{type: ssm_parameter, name: n, value: '{{bucket}}', job: c}}]}}"
    )
    assert config.cutover.actions[0].job == "c"
