"""Whatever fails, wherever: all is as before, and the record says so; a crash goes on or is put back."""

from typing import Any

import pytest

from ts_migration.cutover.kinds import kind_of
from ts_migration.cutover.record import cutover_record
from ts_migration.cutover.switch import apply_cutover, revert_cutover
from ts_migration.errors import MigrationError, Missing, Permanent, Refused
from ts_migration_tests.cutover.actions import NAMES, actions, few
from ts_migration_tests.cutover.test_reverse import differences
from ts_migration_tests.cutover.world import SECRETS, Refusing, World

CHANGES = (
    "lambda PublishVersion",
    "lambda UpdateFunctionConfiguration",
    "apigateway UpdateStage",
    "apigatewayv2 UpdateStage",
    "apigateway UpdateIntegration",
    "apigateway CreateDeployment",
    "apigateway UpdateStage",
    "apigatewayv2 UpdateIntegration",
    "ssm PutParameter",
    "ssm PutParameter",
    "ssm PutParameter",
    "secretsmanager PutSecretValue",
    "cloudwatch PutDashboard",
    "cloudwatch PutDashboard",
    "sns Publish",
)
"""Every request that changes something in AWS when they are applied."""


def without_traces(state: dict[str, Any]) -> dict[str, Any]:
    """The state without a version of the function that nothing names: where publishing it was done and not answered."""
    return {key: value for key, value in state.items() if key != "lambda versions"}


def test_the_requests_that_are_refused_one_by_one_are_all_that_there_are(world: World, refusing: Refusing):
    refusing.refuse(None)
    apply_cutover(world.config(*few(world)), world.clients, world.bucket, "proof", "test")
    assert tuple(refusing.writes) == CHANGES


@pytest.mark.parametrize("done_first", [False, True], ids=["refused", "done and refused"])
@pytest.mark.parametrize("at", range(len(CHANGES)), ids=[f"{n} {name}" for n, name in enumerate(CHANGES)])
def test_a_failure_at_any_request_ends_with_the_previous_state(
    world: World, refusing: Refusing, at: int, done_first: bool
):
    config, before = world.config(*few(world)), world.state()
    refusing.refuse(at, done_first=done_first)
    record = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    refusing.stop()
    assert (record.state, cutover_record(world.bucket)) == ("reverted", record)
    assert "failed: " in record.problem
    assert "not allowed" in record.problem
    compared = without_traces if (at, done_first) == (0, True) else dict
    assert differences(compared(before), world.state()) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_of_any_action_at_the_end_undoes_it_and_all_before_it(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
):
    # The action does all of its work and fails then: the worst moment, for it must be undone too.
    chosen = actions(world)
    last = chosen[name]
    first = [chosen[one] for one in ("lambda", "rest variables", "webhook") if one != name]
    config, before = world.config(*first, last), world.state()
    number = len(config.cutover.actions)
    kind = type(kind_of(config.cutover.actions[-1].type, world.clients))
    apply = kind.apply

    def fail(self: Any, action: Any, undo: Any) -> None:
        apply(self, action, undo)
        if action.model_dump() == resolved.model_dump():
            raise Permanent("it broke")

    from ts_migration.cutover.values import resolved_actions

    resolved = resolved_actions(config, world.clients.environment, "proof")[-1]
    monkeypatch.setattr(kind, "apply", fail)
    record = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert record.state == "reverted"
    assert record.problem.startswith(f"action {number} ({resolved.type} {resolved.target}) failed: it broke")
    assert differences(before, world.state()) == {}
    assert {one.state for one in record.actions} == {"reverted"}
    assert world.web.told == ['{"text": "read from load"}', "back to Timestream"]


@pytest.mark.parametrize("done_first", [False, True], ids=["refused", "done and refused"])
@pytest.mark.parametrize("at", range(8))
def test_a_record_that_cannot_be_written_once_ends_with_the_previous_state(
    world: World, refusing: Refusing, at: int, done_first: bool
):
    chosen = actions(world)
    config, before = world.config(chosen["parameter"], chosen["secret"], chosen["rest uri"]), world.state()
    refusing.refuse(at, done_first=done_first, services=("s3",))
    try:
        record = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    except MigrationError:
        assert at == 0
    else:
        assert record.state == "reverted"
        assert cutover_record(world.bucket) == record
    assert differences(before, world.state()) == {}


def test_grafana_and_a_webhook_that_refuse_end_with_the_previous_state(world: World):
    chosen, before = actions(world), world.state()
    for names, answers in ((("parameter", "grafana"), [403]), (("parameter", "webhook"), [410])):
        world.web.answers = answers
        record = apply_cutover(
            world.config(*(chosen[name] for name in names)), world.clients, world.bucket, "proof", "test"
        )
        assert (record.state, "HTTP 4" in record.problem) == ("reverted", True)
        assert differences(before, world.state()) == {}
        assert [secret for secret in SECRETS if secret in world.proof_objects()] == []


def test_what_may_pass_is_tried_again(world: World, refusing: Refusing):
    refusing.code = "ThrottlingException"
    refusing.refuse(1)
    world.web.answers = [409, 503]
    config = world.config(*actions(world).values())
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"


def test_reverses_that_fail_are_named_and_the_others_are_done(world: World, monkeypatch: pytest.MonkeyPatch):
    chosen = actions(world)
    config, before = world.config(chosen["lambda"], chosen["parameter"], chosen["secret"]), world.state()
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    parameter = type(kind_of("ssm_parameter", world.clients))

    def fail(self: Any, undo: Any) -> None:
        raise Permanent("no way back")

    with monkeypatch.context() as patched:
        patched.setattr(parameter, "revert", fail)
        record = revert_cutover(config, world.clients, world.bucket, "test")
        assert record.state == "failed"
        assert record.problem == "action 2 (ssm_parameter /app/url): its reverse failed: no way back"
        assert [one.state for one in record.actions] == ["reverted", "failed", "reverted"]
        assert set(differences(before, world.state())) == {"parameters", "lambda versions"}
        # It is told once, however often it is tried.
        assert revert_cutover(config, world.clients, world.bucket, "test").problem == record.problem
    # Once the reason is gone, what is left is put back, and only that.
    record = revert_cutover(config, world.clients, world.bucket, "test")
    assert (record.state, record.problem, {one.problem for one in record.actions}) == ("reverted", "", {""})
    assert differences(before, world.state()) == {}


def test_a_webhook_that_nobody_answers_does_not_keep_the_cutover_half_reverted(world: World):
    wrong = "type: webhook, request: {url: 'http://127.0.0.1:9/x'}, on_revert: {url: 'http://127.0.0.1:9/x'}"
    chosen, before = actions(world), world.state()
    record = apply_cutover(
        world.config(chosen["lambda"], chosen["message"], wrong), world.clients, world.bucket, "proof", "test"
    )
    assert record.state == "reverted"
    assert record.problem.count("does not answer") == 2  # it, and that nobody was told that it is taken back
    assert differences(before, world.state()) == {}
    # Once the address is mended the cutover is done.
    mended = world.config(chosen["lambda"], chosen["message"], chosen["webhook"])
    assert apply_cutover(mended, world.clients, world.bucket, "proof", "test").state == "applied"


class Killed(BaseException):
    """As a process that dies: nothing catches it."""


def killed(world: World, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> dict[str, Any]:
    """A cutover that dies in its second action, before or after that is done; the state of before it."""
    chosen = actions(world)
    config, before = world.config(chosen["lambda"], chosen["rest uri"], chosen["secret"]), world.state()
    kind = type(kind_of("api_gateway_integration_uri", world.clients))
    apply = kind.apply

    def die(self: Any, action: Any, undo: Any) -> None:
        if done:
            apply(self, action, undo)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(kind, "apply", die)
        apply_cutover(config, world.clients, world.bucket, "proof", "test")
    return before


@pytest.mark.parametrize("done", [False, True])
def test_a_killed_cutover_goes_on_and_its_reverse_restores_what_was_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch, done: bool
):
    before = killed(world, monkeypatch, done=done)
    chosen = actions(world)
    config = world.config(chosen["lambda"], chosen["rest uri"], chosen["secret"])
    record = cutover_record(world.bucket)
    assert [one.state for one in record.actions] == ["applied", "planned", "planned"]
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"
    # No second version and no second deployment.
    assert len(world.state()["rest deployments"]) == len(world.state()["lambda versions"]) == 2
    assert revert_cutover(config, world.clients, world.bucket, "test").state == "reverted"
    assert differences(before, world.state()) == {}


@pytest.mark.parametrize("done", [False, True])
def test_a_killed_cutover_is_reverted_from_its_record(world: World, monkeypatch: pytest.MonkeyPatch, done: bool):
    before = killed(world, monkeypatch, done=done)
    config = world.config(actions(world)["lambda"])
    assert revert_cutover(config, world.clients, world.bucket, "test").state == "reverted"
    assert differences(before, world.state()) == {}


def test_a_text_that_is_replaced_by_one_that_holds_it_is_replaced_once(world: World, monkeypatch: pytest.MonkeyPatch):
    config, before = world.config(
        "type: cloudwatch_dashboard, dashboard: plants, replace: {us-east-1: us-east-1-new}"
    ), world.state()  # fmt: skip
    kind = type(kind_of("cloudwatch_dashboard", world.clients))
    apply = kind.apply

    def die(self: Any, action: Any, undo: Any) -> None:
        apply(self, action, undo)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(kind, "apply", die)
        apply_cutover(config, world.clients, world.bucket, "proof", "test")
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert '"us-east-1-new"' in world.state()["dashboards"]["plants"]
    revert_cutover(config, world.clients, world.bucket, "test")
    assert differences(before, world.state()) == {}


def test_texts_that_overlap_are_replaced_at_once_and_one_that_would_be_left_is_refused(world: World):
    """Where both begin the longer one wins; one that is found only inside another is never left in silence."""
    kind = kind_of("cloudwatch_dashboard", world.clients)

    def changed(texts: str) -> dict[str, str]:
        config = world.config(f"type: cloudwatch_dashboard, dashboard: plants, replace: {{{texts}}}")
        (action,) = config.cutover.actions
        return {change.before: change.name for change in kind.changes(action)}

    assert changed("us: eu, east: west") == {"us": "1 times", "east": "1 times"}
    # Swapped: one after the other would make both of them the same.
    assert changed("region: title, title: region") == {"region": "1 times", "title": "1 times"}
    with pytest.raises(Refused, match="'east' is in its body only where it overlaps another text"):
        changed("east: west, us-east-1: eu-west-1")


def test_a_reverse_that_is_killed_goes_on(world: World, monkeypatch: pytest.MonkeyPatch):
    chosen = actions(world)
    config, before = world.config(chosen["lambda"], chosen["rest uri"], chosen["secret"]), world.state()
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    kind = type(kind_of("api_gateway_integration_uri", world.clients))
    revert = kind.revert

    def die(self: Any, undo: Any) -> None:
        revert(self, undo)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(kind, "revert", die)
        revert_cutover(config, world.clients, world.bucket, "test")
    assert cutover_record(world.bucket).state == "reverting"
    assert revert_cutover(config, world.clients, world.bucket, "test").state == "reverted"
    assert differences(before, world.state()) == {}


def test_a_version_that_a_killed_cutover_left_behind_goes_with_the_next_reverse(world: World, refusing: Refusing):
    config, before = world.config(actions(world)["lambda"]), world.state()
    refusing.refuse(0, done_first=True)
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "reverted"
    assert set(differences(before, world.state())) == {"lambda versions"}
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    revert_cutover(config, world.clients, world.bucket, "test")
    assert differences(before, world.state()) == {}


def test_a_killed_cutover_of_other_actions_or_another_proof_is_reverted_before_the_new_one(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    before = killed(world, monkeypatch, done=True)
    config = world.config(actions(world)["parameter"])
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"
    assert set(differences(before, world.state())) == {"parameters"}


def test_an_applied_cutover_is_not_done_again_for_a_later_proof(world: World):
    config = world.config(actions(world)["webhook"])
    first = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert apply_cutover(config, world.clients, world.bucket, "later", "test") == first
    assert len(world.web.told) == 1


def test_other_actions_are_refused_while_a_cutover_is_applied(world: World):
    apply_cutover(world.config(actions(world)["parameter"]), world.clients, world.bucket, "proof", "test")
    with pytest.raises(Refused, match="--revert"):
        apply_cutover(world.config(actions(world)["secret"]), world.clients, world.bucket, "proof", "test")


def test_a_reverted_cutover_can_be_applied_again_and_its_record_is_kept(world: World):
    config = world.config(actions(world)["parameter"])
    first = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    revert_cutover(config, world.clients, world.bucket, "test")
    second = apply_cutover(config, world.clients, world.bucket, "proof", "test")
    assert (second.state, second.id != first.id) == ("applied", True)
    kept = [one.key for one in world.bucket.list("manifests/cutover-history/")]
    assert kept == [f"manifests/cutover-history/{first.id}.json"]


def test_there_is_nothing_to_revert_without_a_cutover(world: World):
    with pytest.raises(Missing, match="no cutover"):
        revert_cutover(world.config(actions(world)["parameter"]), world.clients, world.bucket, "test")


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("type: lambda_environment, function: nobody, set: {A: b}", "ResourceNotFoundException"),
        ("type: secrets_manager, secret: nothing, value: x", "ResourceNotFoundException"),
        ("type: ssm_parameter, name: /app/url, value: '{influxdb_token}'", "a secret must not be the value"),
        ("type: cloudwatch_dashboard, dashboard: plants, replace: {nowhere: x}", "'nowhere' is not in its body"),
        ("type: cloudwatch_dashboard, dashboard: plants, body_file: gone.json", "cannot be read"),
        ("type: webhook, request: {url: '{env:NOT_SET}'}", "NOT_SET is not set"),
        ("type: sns_message, topic: 'arn:aws:sns:us-east-1:123456789012:gone', message: x", "NotFound"),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_is_changed(world: World, action: str, what: str):
    before = world.state()
    with pytest.raises(Permanent, match="nothing was changed") as raised:
        apply_cutover(world.config(actions(world)["parameter"], action), world.clients, world.bucket, "proof", "test")
    assert what in str(raised.value)
    assert differences(before, world.state()) == {}
    assert cutover_record(world.bucket) is None


def test_what_could_not_be_put_back_is_refused(world: World):
    api = world.ids["http"]
    by_hand = (
        f"type: api_gateway_integration_uri, protocol: http, api: {api}, stage: by-hand,"
        f" integration: {world.ids['integration']}, uri: 'http://x'"
    )
    with pytest.raises(Permanent, match="does not deploy by itself"):
        apply_cutover(world.config(by_hand), world.clients, world.bucket, "proof", "test")
    untold = actions(world)["grafana"].replace("revert_secure_json_data", "job: load, revert_secure_json_data")
    untold = untold.replace('{password: "{env:OLD_PASSWORD}"}', "{}")
    with pytest.raises(Permanent, match="revert_secure_json_data"):
        apply_cutover(world.config(untold), world.clients, world.bucket, "proof", "test")
    world.web.provisioned = True
    with pytest.raises(Permanent, match="provisioned from a file"):
        apply_cutover(world.config(actions(world)["grafana"]), world.clients, world.bucket, "proof", "test")


def test_a_secret_that_was_rotated_since_is_left_alone_and_told(world: World):
    config = world.config(actions(world)["secret"])
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    world.aws("secretsmanager").put_secret_value(SecretId="app/whole", SecretString="rotated")
    record = revert_cutover(config, world.clients, world.bucket, "test")
    assert (record.state, "was changed again after the cutover" in record.problem) == ("failed", True)
    assert world.state()["secrets"]["app/whole"][0] == "rotated"


def test_variables_that_somebody_else_sets_in_the_meantime_stay(world: World):
    config = world.config(actions(world)["lambda"])
    apply_cutover(config, world.clients, world.bucket, "proof", "test")
    lambda_ = world.aws("lambda")
    variables = lambda_.get_function_configuration(FunctionName="dashboard")["Environment"]["Variables"]
    lambda_.update_function_configuration(
        FunctionName="dashboard", Environment={"Variables": {**variables, "NEW": "1"}}
    )
    revert_cutover(config, world.clients, world.bucket, "test")
    assert world.state()["lambda"]["Variables"] == {
        "DATABASE": "timestream", "OLD_KEY": "old-lambda-hunter2", "REGION": "sa-east-1", "NEW": "1",
    }  # fmt: skip


def test_a_function_that_changes_between_reading_and_writing_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    config = world.config(actions(world)["lambda"])
    lambda_ = world.aws("lambda")
    kind = type(kind_of("lambda_environment", world.clients))
    settled, raced = kind._settled, []

    def race(self: Any, function: str) -> Any:
        found = settled(self, function)
        variables = found["Environment"]["Variables"]
        if len(raced) == 1:
            lambda_.update_function_configuration(
                FunctionName=function, Environment={"Variables": {**variables, "RACED": "1"}}
            )
        raced.append(function)
        return found

    monkeypatch.setattr(kind, "_settled", race)
    assert apply_cutover(config, world.clients, world.bucket, "proof", "test").state == "applied"
    assert world.state()["lambda"]["Variables"]["RACED"] == "1"
