"""The guide's log files: they are put aside under names that its archive takes, and are JSON where that is asked for."""

import json

from ts_migration.cli.log_file import KEPT_FILES, LogFile


def test_a_log_that_is_full_is_put_aside_under_a_name_that_ends_in_log(tmp_path):
    log = LogFile(tmp_path / "migration_execution.log", largest_bytes=200)
    for number in range(60):
        log.write(f"line {number:03d} of this log")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"migration_execution.log", *(f"migration_execution.{n}.log" for n in range(1, KEPT_FILES + 1))}
    kept = sorted(line.split("line ")[1][:3] for path in tmp_path.iterdir() for line in path.read_text().splitlines())
    assert kept == [f"{number:03d}" for number in range(60 - len(kept), 60)]


def test_two_commands_of_one_folder_write_to_one_log(tmp_path):
    one, other = (LogFile(tmp_path / "migration_execution.log", largest_bytes=200) for _ in range(2))
    for number in range(12):
        (one if number % 2 else other).write(f"line {number:02d}")
    lines = [path.read_text() for path in tmp_path.iterdir()]
    assert all(f"line {number:02d}" in "".join(lines) for number in range(12))


def test_lines_are_json_with_their_facts_where_that_is_asked_for(tmp_path):
    log = LogFile(tmp_path / "migration_execution.log", "json")
    log.write("load 1/2: proven", event="window", job="load", window="", points=7)
    (line,) = (tmp_path / "migration_execution.log").read_text().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told == {"message": "load 1/2: proven", "event": "window", "job": "load", "points": 7}


def test_a_folder_that_cannot_be_written_to_costs_one_warning(tmp_path, capsys):
    log = LogFile(tmp_path / "missing" / "migration_execution.log")
    log.write("one")
    log.write("two")
    assert capsys.readouterr().err.count("cannot be written") == 1
