"""Texts with placeholders such as `{influxdb_url}`: what is allowed in them, and how they are filled.

A brace that is meant is written twice, `{{` and `}}`. An unknown placeholder is a mistake, never left as it stands.
What the placeholders stand for is told by whoever fills them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

ANYWHERE = ("influxdb_url", "org", "proof")
"""The same for all jobs: URL and organisation of the target, and the proof that the cutover rests on."""
OF_JOB = ("job", "bucket", "measurement", "source_database", "source_table")
"""Of the job that an action names; all jobs must agree where it names none."""
SECRET = ("influxdb_token",)
"""Only in values that are kept secret where they go. `{env:NAME}` is one too: an environment variable."""

_PART = re.compile(r"\{\{|\}\}|\{([a-z_]+(?::[A-Za-z_][A-Za-z0-9_]*)?)\}|[{}]")
_ENV = "env:"
_KIND = "placeholder"
CREDENTIAL_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token")


def names_in(text: str) -> tuple[str, ...]:
    """The placeholders of a text, in order."""
    return tuple(match[1] for match in _PART.finditer(text) if match[1])


def is_secret(name: str) -> bool:
    """Whether what a placeholder stands for must never be shown or kept."""
    return name in SECRET or name.startswith(_ENV)


def variable_of(name: str) -> str | None:
    """The environment variable that `env:NAME` names; None for other placeholders."""
    return name.removeprefix(_ENV) if name.startswith(_ENV) else None


def filled(text: str, value_of: Callable[[str], str]) -> str:
    """The text with every placeholder replaced and doubled braces made single."""
    return _PART.sub(lambda match: value_of(match[1]) if match[1] else match[0][0], text)


def part_filled(text: str, values: Mapping[str, str]) -> str:
    """The text with these placeholders filled and all others left: still one with placeholders."""

    def kept(match: re.Match[str]) -> str:
        value = values.get(match[1] or "")
        return match[0] if value is None else value.replace("{", "{{").replace("}", "}}")

    return _PART.sub(kept, text)


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON's kinds with every text in it changed; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: map_texts(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map_texts(one, change) for one in value)
    return value


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a value of JSON's kinds; no keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one)


def _public_json(value: Any) -> Any:
    return map_texts(value, _public)


def _secret_json(value: Any) -> Any:
    return map_texts(value, _secret)


def _public(text: str) -> str:
    return _checked(text, secrets=False)


def _secret(text: str) -> str:
    return _checked(text, secrets=True)


def _checked(text: str, *, secrets: bool) -> str:
    """The text as it is.

    Raises:
        PydanticCustomError: with a message that shows the placeholder and not the text, which may hold a secret.
    """
    allowed = ", ".join(f"{{{name}}}" for name in (*ANYWHERE, *OF_JOB, *((*SECRET, "env:NAME") if secrets else ())))
    for match in _PART.finditer(text):
        name = match[1]
        if name is None and len(match[0]) == 1:
            raise PydanticCustomError(
                _KIND, "a single {brace}; write a brace that is meant twice; allowed: {allowed}",
                {"brace": match[0], "allowed": allowed},
            )  # fmt: skip
        if name is None or name in ANYWHERE or name in OF_JOB or (secrets and is_secret(name)):
            continue
        what = "a secret must not be here: {found}" if is_secret(name) else "unknown placeholder {found}"
        raise PydanticCustomError(_KIND, f"{what}; allowed: {{allowed}}", {"found": f"{{{name}}}", "allowed": allowed})
    return text


JsonTemplate = Annotated[Any, AfterValidator(_public_json)]
"""A value of JSON's kinds; the texts in it may hold placeholders, none of them secret."""
SecretJsonTemplate = Annotated[Any, AfterValidator(_secret_json)]
Template = Annotated[str, AfterValidator(_public)]
"""Text with placeholders, none of them secret."""
SecretTemplate = Annotated[str, AfterValidator(_secret)]
"""Text with placeholders that may be secret: it is never shown or kept filled."""
