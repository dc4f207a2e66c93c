"""The guide's scripts. Its command lines are typed, word for word, in `end_to_end/test_operations_story.py`."""

import pytest

from ts_migration_tests.embedded_stack import CHECKOUT, configuration, run_command

SCRIPTS = CHECKOUT / "scripts"


@pytest.mark.parametrize("name", ["execute_migration.py", "validate_migration.py"])
def test_a_script_explains_itself(name, tmp_path):
    answer = run_command(str(SCRIPTS / name), "--help", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert f"Usage: {name}" in answer.stdout
    assert "--config" in answer.stdout


@pytest.mark.stack
def test_a_script_ends_with_one_message_and_a_code(embedded_stack):
    embedded_stack.write_config(configuration("load_dat"), "missing.yaml")
    answer = run_command(
        str(SCRIPTS / "execute_migration.py"), "--config", "missing.yaml", "--parallel-jobs", "2",
        cwd=embedded_stack.folder,
    )  # fmt: skip
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: Timestream table ons_energy_data.load_dat: there is no table")
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("script", ["execute_migration.py", "validate_migration.py"])
def test_a_script_without_the_package_says_what_to_install(tmp_path, script):
    # -S: without the installed packages.
    answer = run_command("-S", str(SCRIPTS / script), "--help", cwd=tmp_path)
    assert answer.returncode == 2
    assert "pip install ." in answer.stderr
    assert "Traceback" not in answer.stderr
