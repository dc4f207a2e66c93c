"""Filling the placeholders of actions: secrets only where they are sent; and what people may see of values."""

import re
from collections.abc import Mapping
from typing import Any

from ts_migration.config import Environment, MigrationConfig
from ts_migration.cutover.record import MASK
from ts_migration.cutover_actions import ActionOptions
from ts_migration.cutover_settings import Action
from ts_migration.errors import ConfigurationError, MigrationError, Permanent
from ts_migration.placeholders import filled, is_secret, map_texts, names_in, part_filled, variable_of

_SECRET_NAME = re.compile(r"token|secret|passw|pwd|credential|key|auth|dsn", re.IGNORECASE)
_SECRET_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_SHORTEST_SECRET = 4
"""Characters: a shorter one would be found in every other word."""
_LITERAL = ("job", "type", "body_file")
"""Keys whose text is no template."""


def resolved_actions(config: MigrationConfig, environment: Environment, proof: str | None) -> tuple[Action, ...]:
    """The actions with every public placeholder filled; only secret ones are left. No proof: `{proof}` is left too.

    Raises:
        ConfigurationError: a placeholder stands for an environment variable that is not set.
    """
    return tuple(
        _resolved(action, _public_values(config, environment, action, proof)) for action in config.cutover.actions
    )


def _public_values(
    config: MigrationConfig, environment: Environment, action: ActionOptions, proof: str | None
) -> dict[str, str]:
    jobs = [config.job(action.job)] if action.job else list(config.migration_jobs)
    # A placeholder in which the jobs differ is in no action without a job: the configuration was checked for it.
    anywhere = {"influxdb_url": environment.influxdb_url, "org": environment.influxdb_org}
    return {**jobs[0].placeholders, **anywhere, **({"proof": proof} if proof is not None else {})}


def _resolved(action: Action, values: Mapping[str, str]) -> Action:
    given = action.model_dump()
    texts = {key: value for key, value in given.items() if key not in _LITERAL}
    unset: set[str] = set()

    def fill(text: str) -> str:
        unset.update(name for name in names_in(text) if values.get(name) == "")
        return part_filled(text, values)

    changed = map_texts(texts, fill)
    if unset:
        names = {"influxdb_url": "INFLUXDB_URL", "org": "INFLUXDB_ORG"}
        raise ConfigurationError(
            [f"{action.type}: the environment variable {names[name]} is not set" for name in sorted(unset)],
            where="cutover",
        )
    return type(action).model_validate({**given, **changed})


class Secrets:
    """Fills what is secret, and knows what it filled: nothing that is shown or kept may hold it."""

    def __init__(self, environment: Environment, variables: Mapping[str, str]) -> None:
        self._token = environment.influxdb_token.get_secret_value()
        self._variables = variables
        self._seen: set[str] = set()
        self._see(self._token)

    def text(self, template: str) -> str:
        """The text with its secrets, to be sent and never to be shown.

        Raises:
            Permanent: an environment variable is not set.
        """
        return filled(template, self._value)

    def json(self, template: Any) -> Any:
        """As `text`, for every text of a JSON value."""
        return map_texts(template, self.text)

    def variable(self, name: str) -> str:
        """A secret environment variable.

        Raises:
            Permanent: it is not set.
        """
        value = self._variables.get(name, "")
        if not value:
            raise Permanent(f"the environment variable {name} is not set")
        self._see(value)
        return value

    def _see(self, value: str) -> None:
        if len(value) >= _SHORTEST_SECRET:
            self._seen.add(value)

    def _value(self, name: str) -> str:
        variable = variable_of(name)
        if variable:
            return self.variable(variable)
        if name == "influxdb_token":
            return self._token or self.variable("INFLUXDB_TOKEN")
        return f"{{{name}}}"

    def shown(self, name: str, template: str | None) -> str | None:
        """What is set, as people may see it: secrets by the names of their placeholders."""
        if template is None:
            return None
        if any(is_secret(one) for one in names_in(template)):
            return template
        return self.masked(name, filled(template, self._value))

    def masked(self, name: str, value: str | None) -> str | None:
        """A value as people may see it: masked where its name or content says that it is a secret."""
        if value is None:
            return None
        if _SECRET_NAME.search(name) or _SECRET_IN_URL.search(value) or any(one in value for one in self._seen):
            return MASK
        return value

    def told(self, error: BaseException) -> str:
        """An error's text without secrets."""
        text = str(error) if isinstance(error, MigrationError) else f"{type(error).__name__}: {error}"
        for one in sorted(self._seen, key=len, reverse=True):
            text = text.replace(one, MASK)
        return text
