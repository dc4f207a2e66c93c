"""Help is quick, complete and true: every command is documented, with an example, here and in docs/commands.md."""

import re
import subprocess
import sys

import pytest
import typer.main

from ts_migration.cli.main import app
from ts_migration_tests.embedded_stack import CHECKOUT, run_command

DOCUMENT = CHECKOUT / "docs" / "commands.md"


def commands() -> dict[str, object]:
    """Every command by its words, `local up`."""
    found: dict[str, object] = {}

    def walk(command, words):
        children = getattr(command, "commands", None)
        if children:
            for name, child in children.items():
                walk(child, [*words, name])
        else:
            found[" ".join(words)] = command

    walk(typer.main.get_command(app), [])
    return found


def options(command) -> list[str]:
    return [name for parameter in command.params for name in parameter.opts if name.startswith("--")]


def test_there_are_the_commands_that_the_design_names():
    names = (
        "local up",
        "local down",
        "local status",
        "local seed",
        "local env",
        "plan",
        "execute",
        "status",
        "validate",
    )
    assert set(names) <= set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_a_help_with_an_example(name):
    command = commands()[name]
    text = f"{command.help}\n{command.epilog or ''}"
    assert re.search(rf"Example: .*ts-migration {name}", text), text
    assert all(getattr(parameter, "help", None) for parameter in command.params if parameter.name != "help")


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_every_option_is_documented(name):
    text = DOCUMENT.read_text(encoding="utf-8")
    section = re.search(rf"^## `ts-migration {name}`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/commands.md has no section for {name}"
    missing = [option for option in options(commands()[name]) if option not in ("--help", *_words(section[1]))]
    assert not missing


def _words(text: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", text))


def test_every_documented_command_exists_and_its_options_too():
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, section in re.findall(r"^## `ts-migration (.*?)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        assert name in commands(), name
        listed = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
        assert listed <= set(options(commands()[name])), name


def test_commands_in_the_other_documents_exist_with_their_options():
    known = commands()
    for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]:
        for line in re.findall(r"^(?:\$ )?(?:\.venv/bin/)?ts-migration ([^\n#]*)", path.read_text(), re.MULTILINE):
            name = next((one for one in known if re.match(rf"{one}(\s|$|\))", line)), None)
            assert name, f"{path.name}: ts-migration {line}"
            assert _words(line) <= {*options(known[name]), "--help"}, f"{path.name}: ts-migration {line}"


def test_help_imports_nothing_heavy():
    # `--help` of a tool that imports Dagster takes two seconds; people then stop asking.
    heavy = "dagster polars pyarrow boto3 botocore pandas numpy duckdb"
    script = (
        "import sys\nfrom ts_migration.cli.main import app\n"
        "try:\n    app(['execute', '--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_the_program_tells_its_version(tmp_path):
    answer = run_command("-m", "ts_migration.cli.main", "--version", cwd=tmp_path)
    assert (answer.returncode, answer.stdout.strip()) == (0, "0.1.0")
