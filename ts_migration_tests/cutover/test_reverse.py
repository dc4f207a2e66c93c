"""Every action changes what it says, its reverse restores exactly what was there, and nothing shows a secret."""

import json
from typing import Any

import pytest

from ts_migration.cutover.plan import plan_cutover
from ts_migration.cutover.record import cutover_record
from ts_migration.cutover.switch import apply_cutover, revert_cutover
from ts_migration_tests.cutover.actions import NAMES, actions
from ts_migration_tests.cutover.world import INFLUXDB_TOKEN, OLD_PASSWORD, SECRETS, World

TOLD = ("message", "webhook")
"""What changes no state: it is told."""


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


@pytest.mark.parametrize("name", NAMES)
def test_the_reverse_of_an_action_restores_exactly_what_was_there(world: World, name: str):
    config, before = world.config(actions(world)[name]), world.state()
    applied = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert applied.state == "applied", applied.problem
    changed = differences(before, world.state())
    assert bool(changed) == (name not in TOLD)
    reverted = revert_cutover(config, world.clients, world.bucket, "test")
    assert (reverted.state, reverted.problem) == ("reverted", "")
    assert differences(before, world.state()) == {}


def test_a_cutover_that_is_applied_twice_is_done_once(world: World):
    config = world.config(*actions(world).values())
    first = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    state, calls = world.state(), len(world.web.calls)
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test") == first
    assert world.state() == state
    assert len(world.web.calls) == calls


def test_what_cannot_be_taken_back_is_followed_by_the_message_for_the_reverse(world: World):
    both = [actions(world)[name] for name in TOLD]
    config = world.config(*both)
    apply_cutover(config, world.clients, world.bucket, "p-1", "test")
    assert (world.messages(), world.web.told) == (["read from load, proof p-1"], ['{"text": "read from load"}'])
    revert_cutover(config, world.clients, world.bucket, "test")
    assert (world.messages(), world.web.told[1:]) == (["read from Timestream again"], ["back to Timestream"])


def test_what_an_action_sets(world: World):
    config = world.config(*actions(world).values())
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"
    state = world.state()
    assert state["lambda"]["Variables"] == {
        "DATABASE": "influxdb",
        "INFLUXDB_URL": "http://influx:8086",
        "INFLUXDB_TOKEN": INFLUXDB_TOKEN,
        "REGION": "sa-east-1",
    }
    assert state["rest stage"][1] == {"db": "load", "org": "ons-energy", "other": "x"}
    assert state["http stage"] == {"org": "ons-energy", "other": "x"}
    assert state["rest integration"]["uri"] == state["http integration"] == "http://influx:8086/query"
    assert state["rest integration"]["timeoutInMillis"] == 4000
    assert state["rest stage"][0] != world.ids["deployment"]
    assert state["parameters"]["/app/url"] == ("String", "where to read", None, "http://influx:8086")
    assert state["parameters"]["/app/token"][0::3] == ("SecureString", INFLUXDB_TOKEN)
    assert state["parameters"]["/app/hosts"][0::3] == ("StringList", "c,d")
    assert state["parameters"]["/app/new"][0::3] == ("SecureString", INFLUXDB_TOKEN)
    assert state["secrets"]["app/whole"][0] == INFLUXDB_TOKEN
    assert json.loads(state["secrets"]["app/json"][0]) == {"password": "old-secret-hunter2", "token": INFLUXDB_TOKEN}
    assert state["grafana"]["type"] == "influxdb"
    assert state["grafana"]["jsonData"] == {"defaultDatabase": "ons", "timeout": 60, "version": "Flux"}
    assert state["grafana secure"] == {"token": INFLUXDB_TOKEN, "password": INFLUXDB_TOKEN}
    assert json.loads(state["dashboards"]["new"]) == {"widgets": []}


def test_replaced_texts_of_a_dashboard_stand_in_valid_json(world: World):
    config = world.config(actions(world)["dashboard"])
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    properties = json.loads(world.state()["dashboards"]["plants"])["widgets"][0]["properties"]
    assert properties == {"region": "sa-east-1", "title": 'the "load" bucket'}


def test_no_secret_is_in_the_record_the_plan_or_any_message(world: World):
    config = world.config(*actions(world).values())
    plan = plan_cutover(config, world.clients)
    assert plan.possible
    record = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    revert_cutover(config, world.clients, world.bucket, "test")
    texts = [repr(plan), repr(record), world.proof_objects(), repr(world.clients)]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []
    assert INFLUXDB_TOKEN in world.clients.secrets.text("{influxdb_token}")


def test_former_values_of_a_function_and_of_parameters_are_not_recorded_whatever_their_names(world: World):
    chosen = actions(world)
    config = world.config(chosen["lambda"], chosen["parameter"])
    record = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert [one.changes[0].before for one in record.actions] == ["(secret)", "(secret)"]
    assert "timestream" not in world.proof_objects()


def test_a_plan_shows_before_and_after_and_changes_nothing(world: World):
    before = world.state()
    chosen = actions(world)
    plan = plan_cutover(world.config(*chosen.values()), world.clients)
    shown = {name: [(one.name, one.before, one.after) for one in action.changes] for name, action in
             zip(chosen, plan.actions, strict=True)}  # fmt: skip
    assert shown["lambda"] == [
        ("DATABASE", "timestream", "influxdb"),
        ("INFLUXDB_URL", None, "http://influx:8086"),
        ("INFLUXDB_TOKEN", None, "{influxdb_token}"),
        ("OLD_KEY", "(secret)", None),
        ("NEVER", None, None),
    ]
    assert shown["secure parameter"] == [("/app/token", "(secret)", "{influxdb_token}")]
    assert shown["new parameter"] == [("/app/org", None, "ons-energy")]
    assert shown["grafana"][-2:] == [("token", None, "{influxdb_token}"), ("password", "(secret)", "{influxdb_token}")]
    assert world.state() == before
    assert cutover_record(world.bucket) is None
    assert world.messages() == world.web.told == []


def test_the_reverse_needs_no_configuration_of_the_actions(world: World):
    before = world.state()
    apply_cutover(world.config(*actions(world).values()), world.clients, world.bucket, "proof", "test")
    # Somebody empties the list in the meantime.
    other = world.config("type: ssm_parameter, name: /other, value: x")
    assert revert_cutover(other, world.clients, world.bucket, "test").state == "reverted"
    assert differences(before, world.state()) == {}


def test_two_actions_on_one_thing_are_undone_to_what_was_before_both(world: World):
    before = world.state()
    rest = actions(world)["rest uri"]
    first, second = rest, rest.replace("/query", "/query2")
    parameter = "type: ssm_parameter, name: /app/url, value: '{}'"
    config = world.config(first, second, parameter.format("one"), parameter.format("two"))
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"
    assert revert_cutover(config, world.clients, world.bucket, "test").state == "reverted"
    assert differences(before, world.state()) == {}


def test_grafana_gets_its_old_secure_setting_back_from_where_the_configuration_says(world: World):
    config = world.config(actions(world)["grafana"])
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert world.web.secure["password"] == INFLUXDB_TOKEN
    revert_cutover(config, world.clients, world.bucket, "test")
    assert world.web.secure == {"password": OLD_PASSWORD, "token": ""}
