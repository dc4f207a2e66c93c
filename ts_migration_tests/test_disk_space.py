"""A full disk is told as a full disk, whoever ran into it; nothing else is taken for one."""

import errno
import sqlite3
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.config import MigrationSettings
from ts_migration.disk_space import full_disk_behind
from ts_migration.orchestration.failures import FAILURE_KIND, PERMANENT, told_to_dagster


def sqlite_on_a_full_disk(path: Path) -> sqlite3.OperationalError:
    """What SQLite raises where no page can be added to a database."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE rows (text)")
        database.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("INSERT INTO rows VALUES (?)", ("x" * 100_000,))
    database.close()
    return caught.value


def test_a_file_that_cannot_be_written_names_itself(tmp_path):
    told = full_disk_behind(OSError(errno.ENOSPC, "No space left on device", "/data/part.lp.gz"), tmp_path)
    assert str(told) == (
        "/data/part.lp.gz: no space is left on the disk. Next: free some, then run the same command again: it goes on "
        "where it was."
    )


def test_what_sqlite_says_of_it_is_found_behind_what_was_raised_for_it(tmp_path):
    raised = RuntimeError("a run could not be written down")
    raised.__cause__ = sqlite_on_a_full_disk(tmp_path / "runs.db")
    assert full_disk_behind(raised, tmp_path) is not None


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "Permission denied"), sqlite3.OperationalError("no such table")]
)
def test_other_errors_are_none(error, tmp_path):
    if isinstance(error, sqlite3.Error):
        error.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert full_disk_behind(error, tmp_path) is None


def test_a_stage_that_finds_the_disk_full_fails_for_now_and_is_not_tried_again(tmp_path):
    context = dg.build_asset_context()
    with pytest.raises(dg.Failure) as caught, told_to_dagster(context, MigrationSettings()):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "journal"))
    assert "no space is left on the disk" in str(caught.value.description)
    assert caught.value.metadata[FAILURE_KIND].value != PERMANENT, "a rollback would begin"
    assert not caught.value.allow_retries
