"""Logs and results in one dated archive."""

import tarfile
from datetime import date

from ts_migration.operations.archive import archive

DAY = date(2026, 11, 22)


def test_logs_and_results_are_archived_under_the_day_and_stay(tmp_path):
    names = ("migration_execution.log", "migration_results_20261122.json", "migration_report_20261122.html")
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "migration_config.yaml").write_text("stays out")
    made = archive(tmp_path, DAY)
    assert made is not None
    assert made.path.name == "migration_logs_20261122.tar.gz"
    with tarfile.open(made.path) as tar:
        assert sorted(tar.getnames()) == sorted(names)
    assert all((tmp_path / name).exists() for name in names)
    (tmp_path / "migration_validation.log").write_text("later")
    again = archive(tmp_path, DAY)
    assert again is not None
    assert (again.files, again.path) == (4, made.path)
    assert not list(tmp_path.glob("*.part"))


def test_an_empty_folder_makes_no_archive(tmp_path):
    assert archive(tmp_path, DAY) is None
    assert not list(tmp_path.iterdir())
