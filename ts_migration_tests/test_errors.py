"""Errors read as sentences and never show a secret by accident."""

import pytest

from ts_migration.errors import ConfigurationError, ExitCode, MigrationError, Missing, Permanent, Transient


def test_an_error_says_where_what_is_allowed_and_what_to_do_next():
    error = Permanent("the token was refused", where="http://db", allowed="a token with write", next_step="make one")
    assert str(error) == "http://db: the token was refused. Allowed: a token with write. Next: make one."


def test_an_error_without_more_to_say_is_only_its_sentence():
    assert str(Missing("there is no table 'x'")) == "there is no table 'x'"


def test_a_sentence_that_ends_with_a_stop_gets_no_second_one():
    assert str(Permanent("It broke.", next_step="mend it")) == "It broke. Next: mend it."


def test_all_mistakes_of_a_configuration_are_one_message_with_a_line_each():
    error = ConfigurationError(["a is wrong", "b is wrong"], where="x.yaml")
    assert str(error) == "x.yaml: 2 mistakes in the configuration\n  - a is wrong\n  - b is wrong"
    assert error.problems == ("a is wrong", "b is wrong")


def test_a_transient_error_carries_the_servers_wish_to_wait():
    assert Transient("busy", retry_after_s=3.0).retry_after_s == 3.0


@pytest.mark.parametrize("kind", [Missing, Permanent, Transient, ConfigurationError])
def test_every_error_of_the_product_is_caught_by_one_class(kind):
    assert issubclass(kind, MigrationError)


def test_exit_codes_are_what_the_documentation_says():
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "COULD_NOT_START": 2,
        "STILL_RUNNING": 3,
        "CANCELLED": 130,
    }
