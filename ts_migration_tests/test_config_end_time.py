"""A later end_time in a configuration file: nothing but those characters changes, or it is refused."""

from pathlib import Path

import pytest

from ts_migration.config import parse_config
from ts_migration.config_end_time import difference, with_end_times, write_keeping_former
from ts_migration.errors import Refused
from ts_migration.windows import iso

JOB = """\
  - job_name: {name}
    source_database: grid
    source_table: {name}
    target_bucket: {name}   # its own
    start_time: 2023-01-01
    end_time: {end}
"""
HEAD = "# who runs it: the grid team\nmigration_jobs:\n"
MAY = 1_682_899_200 * 10**9


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ('"2023-03-31T23:59:59Z"  # through March', '"2023-05-01T00:00:00Z"  # through March'),
        ("2023-04-01", "2023-05-01T00:00:00Z"),
        ("'2023-04-01 00:00'", "'2023-05-01T00:00:00Z'"),
    ],
)
def test_an_end_time_changes_in_its_place_and_nothing_else_does(written: str, changed: str) -> None:
    text = HEAD + JOB.format(name="one", end="2023-02-01") + JOB.format(name="two", end=written)

    after = with_end_times(text, {"two": MAY})

    assert after == text.replace(written, changed)
    assert [iso(job.end_time) for job in parse_config(after).migration_jobs] == [
        "2023-02-01T00:00:00Z",
        "2023-05-01T00:00:00Z",
    ]


def test_two_jobs_change_at_once_and_the_difference_shows_both() -> None:
    text = HEAD + JOB.format(name="one", end="2023-02-01") + JOB.format(name="two", end="2023-04-01")

    shown = difference(text, with_end_times(text, {"one": MAY, "two": MAY}), "file")

    assert [line for line in shown if line.startswith("+ ")] == ["+    end_time: 2023-05-01T00:00:00Z"] * 2


@pytest.mark.parametrize("other", ["&end 2023-04-01", "*end"])
def test_an_end_time_that_jobs_share_is_refused_with_what_to_write(other: str) -> None:
    text = HEAD + JOB.format(name="one", end="&end 2023-04-01") + JOB.format(name="two", end="*end")
    name = "one" if other.startswith("&") else "two"

    with pytest.raises(Refused, match=r"anchor.*write `end_time: 2023-05-01T00:00:00Z` there"):
        with_end_times(text, {name: MAY})


def test_an_end_time_of_a_merge_key_is_refused() -> None:
    first = JOB.format(name="one", end="2023-04-01").replace("  - job_name", "  - &defaults\n    job_name")
    second = "  - <<: *defaults\n    job_name: two\n    target_bucket: two\n"

    with pytest.raises(Refused, match="merge key"):
        with_end_times(HEAD + first + second, {"two": MAY})


def test_the_former_file_is_kept_and_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("before")
    path.chmod(0o640)

    former = write_keeping_former(path, "before", "after")

    assert (path.read_text(), former.read_text()) == ("after", "before")
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(Refused, match="changed since it was read"):
        write_keeping_former(path, "before", "again")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["config.yaml", former.name])
