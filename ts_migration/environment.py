"""Makes a process ready for work in a folder: `.env` loaded, a lasting Dagster home, loopback kept off proxies.

Called once where a command, a script or Dagster's entry point starts; nothing here runs at import. A variable that the
shell sets wins over `.env`. `dagster dev` does it the other way round (it overrides the shell with `.env`): hence
`differing_variables`, which commands print.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from ts_migration.config import DEFAULT_CONFIG, Environment
from ts_migration.dotenv import FILE_NAME, WORK_BLOCK, read_dotenv, write_block

STATE_FOLDER = ".ts_migration"
"""All state of a working folder: Dagster's home and the embedded stack's files."""

_GENERATED = "# Written by ts-migration. Delete this line to keep changes of your own: the file is then left alone."
_DAGSTER_YAML = """\
{generated}
# For a production instance (Postgres, logs in S3, run monitoring) see examples/dagster.yaml.
telemetry:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: {parallel_jobs}
"""


def state_folder(cwd: Path) -> Path:
    """Where the state of a working folder lies."""
    return cwd / STATE_FOLDER


def activate(cwd: Path | None = None, *, parallel_jobs: int | None = None) -> Environment:
    """Load `.env` of a folder into os.environ, prepare Dagster's home, and read the variables that the tool knows.

    Args:
        cwd: the working folder; the process's own by default.
        parallel_jobs: runs that the daemon may start at a time, written to a generated dagster.yaml; None leaves one
            that is there as it is.
    """
    folder = (cwd or Path.cwd()).resolve()
    for name, value in read_dotenv(folder / FILE_NAME).items():
        os.environ.setdefault(name, value)
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(default_dagster_home(folder)))).expanduser()
    if not home.is_absolute():
        home = folder / home
    os.environ["DAGSTER_HOME"] = str(home)
    prepare_dagster_home(home, parallel_jobs)
    _keep_loopback_off_proxies()
    return Environment.read(os.environ)


def default_dagster_home(folder: Path) -> Path:
    """Dagster's home of a working folder, absolute, as Dagster demands."""
    return state_folder(folder.resolve()) / "dagster"


def prepare_dagster_home(home: Path, parallel_jobs: int | None = None) -> None:
    """Make the folder, and a dagster.yaml unless there is one that somebody wrote."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    if path.exists() and (parallel_jobs is None or not path.read_text(encoding="utf-8").startswith(_GENERATED)):
        return
    text = _DAGSTER_YAML.format(generated=_GENERATED, parallel_jobs=parallel_jobs or 1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        fresh = path.with_name(f"dagster.yaml.{os.getpid()}.tmp")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


def remember(cwd: Path, *, config: Path | None = None) -> None:
    """Write DAGSTER_HOME and the configuration's path to `.env`: a new shell and `dagster dev` see the same jobs."""
    dotenv = cwd / FILE_NAME
    known = read_dotenv(dotenv)
    variables = {"DAGSTER_HOME": os.environ.get("DAGSTER_HOME") or str(default_dagster_home(cwd))}
    chosen = str(config.resolve()) if config else known.get("TS_MIGRATION_CONFIG")
    if chosen:
        variables["TS_MIGRATION_CONFIG"] = chosen
    if any(known.get(name) != value for name, value in variables.items()):
        write_block(dotenv, WORK_BLOCK, variables)


def config_path(given: str | None, environment: Environment, cwd: Path) -> Path:
    """The configuration file: as given, else TS_MIGRATION_CONFIG, else migration_config.yaml here or in scripts/."""
    if given:
        return Path(given)
    if environment.ts_migration_config:
        return Path(environment.ts_migration_config)
    candidates = (cwd / DEFAULT_CONFIG, cwd / "scripts" / DEFAULT_CONFIG)
    return next((path for path in candidates if path.is_file()), candidates[0])


def differing_variables(cwd: Path, variables: Mapping[str, str]) -> list[str]:
    """Names of `.env`'s variables that the shell sets to something else. Call it before `activate`."""
    return [name for name, value in read_dotenv(cwd / FILE_NAME).items() if variables.get(name, value) != value]


def _keep_loopback_off_proxies() -> None:
    """A proxy cannot reach the embedded servers: add loopback to NO_PROXY where a proxy is set."""
    proxies = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    if not any(os.environ.get(name) for name in proxies):
        return
    for name in ("NO_PROXY", "no_proxy"):
        listed = [host for host in os.environ.get(name, "").split(",") if host]
        if "*" not in listed:
            os.environ[name] = ",".join([*listed, *(h for h in ("127.0.0.1", "localhost") if h not in listed)])
