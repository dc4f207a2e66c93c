"""`.env` is the user's file: our blocks come and go, and every other line stays as it was."""

import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.dotenv import (
    STACK_BLOCK,
    WORK_BLOCK,
    dotenv_text,
    read_dotenv,
    remove_block,
    shell_exports,
    write_block,
)

USERS = "# mine\nMY_KEY=1\nPATH_TO='a b'  # kept\n"


def test_a_block_is_added_below_the_users_lines(tmp_path):
    path = tmp_path / ".env"
    path.write_text(USERS)
    write_block(path, STACK_BLOCK, {"INFLUXDB_URL": "http://127.0.0.1:1"})
    assert path.read_text().startswith(USERS)
    assert read_dotenv(path) == {"MY_KEY": "1", "PATH_TO": "a b", "INFLUXDB_URL": "http://127.0.0.1:1"}


def test_the_file_can_be_read_by_its_owner_only(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    write_block(path, STACK_BLOCK, {"TOKEN": "x"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writing_a_block_again_replaces_it_and_nothing_grows(tmp_path):
    path = tmp_path / ".env"
    path.write_text(USERS)
    write_block(path, STACK_BLOCK, {"A": "1"})
    write_block(path, WORK_BLOCK, {"B": "1"})
    first = path.read_text()
    for value in ("2", "3"):
        write_block(path, STACK_BLOCK, {"A": value})
        write_block(path, WORK_BLOCK, {"B": value})
    assert read_dotenv(path)["A"] == read_dotenv(path)["B"] == "3"
    assert len(path.read_text()) == len(first)


def test_a_variable_that_the_user_set_is_left_to_the_users_line(tmp_path):
    # Somebody keeps INFLUXDB_URL of production in .env and tries the embedded stack: their line must not lose.
    path = tmp_path / ".env"
    path.write_text("INFLUXDB_URL=https://production\n")
    kept = write_block(path, STACK_BLOCK, {"INFLUXDB_URL": "http://127.0.0.1:1", "INFLUXDB_ORG": "o"})
    assert kept == ("INFLUXDB_URL",)
    assert read_dotenv(path) == {"INFLUXDB_URL": "https://production", "INFLUXDB_ORG": "o"}


def test_removing_a_block_leaves_exactly_what_was_there_before(tmp_path):
    path = tmp_path / ".env"
    path.write_text(USERS)
    write_block(path, STACK_BLOCK, {"A": "1"})
    remove_block(path, STACK_BLOCK)
    assert path.read_text() == USERS


def test_a_file_that_only_held_our_block_goes_with_it(tmp_path):
    path = tmp_path / ".env"
    write_block(path, STACK_BLOCK, {"A": "1"})
    remove_block(path, STACK_BLOCK)
    assert not path.exists()
    remove_block(path, STACK_BLOCK)


def test_a_block_whose_end_was_deleted_by_hand_does_not_swallow_the_users_lines(tmp_path):
    path = tmp_path / ".env"
    write_block(path, STACK_BLOCK, {"A": "1"})
    lines = path.read_text().splitlines()[:-1]
    path.write_text("\n".join([*lines, "", "MINE=1"]) + "\n")
    write_block(path, STACK_BLOCK, {"A": "2"})
    assert read_dotenv(path) == {"MINE": "1", "A": "2"}


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
def test_every_value_survives_the_file(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("dotenv") / ".env"
    write_block(path, STACK_BLOCK, {"VALUE": value})
    assert read_dotenv(path) == {"VALUE": value}


@pytest.mark.parametrize("value", ["plain", "a b", "it's", '"double"', "$HOME", "`id`", "a\\b", "*", "né"])
def test_exports_mean_the_same_to_a_shell(value):
    script = shell_exports({"VALUE": value}) + '\nprintf %s "$VALUE"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == value


def test_dotenv_lines_are_quoted():
    assert dotenv_text({"A": "x y", "B": ""}) == "A='x y'\nB=''"
