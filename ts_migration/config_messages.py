"""Mistakes of a configuration as lines for people: job, key, value found, what is allowed.

Turns pydantic's errors into our words and suggests known keys. What is a mistake is decided in `config`.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ts_migration.cutover_actions import OfAction
from ts_migration.query_settings import QueryPair

_ALLOWED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text; put it in quotes",
    "string_too_short": "text that is not empty",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "tuple_type": "a list",
    "list_type": "a list",
    "too_short": "at least one entry",
    "invalid_key": "keys that are text",
}
"""What is allowed, by pydantic's kind of error."""

_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}

_ACTION = "cutover: action "

_SHOWN = 80
"""Characters of a found value that a message shows."""


def line_of(problem: Mapping[str, Any], raw: dict[Any, Any], sections: Mapping[str, type[BaseModel]]) -> str | None:
    """One line for one of pydantic's errors, or None where other lines say all of it.

    Args:
        problem: of `ValidationError.errors()`.
        raw: the whole configuration as it was read.
        sections: every section's model by the key that holds it, "" for the whole file.
    """
    location = [part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    kind = problem["type"]
    if kind == "too_short" and problem["input"]:
        return None  # the entries are there, and each has a line of its own that says what is wrong with it
    subject, rest = _subject(location, raw)
    key = ".".join(str(part) for part in rest)
    if kind == "missing":
        return f"{subject}{key} is required and not given"
    if kind == "placeholder":
        return f"{subject}{key}: {problem['msg']}"  # the text around it may be a secret
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        types = str(problem["ctx"].get("expected_tags", "the type of an action, see docs/cutover.md"))
        return not_allowed(f"{subject}type", problem["ctx"].get("tag"), types.replace("'", ""))
    if kind == "extra_forbidden":
        return f"{subject}{key}: unknown key{_nearest(location, sections)}"
    if subject.startswith(_ACTION) and kind != "literal_error":
        # What an action holds may be a secret, of which no message shows anything.
        return f"{subject}{'' if key == 'entry' else f'{key}: '}needed: {_allowed(problem)}"
    return not_allowed(f"{subject}{key}", problem["input"], _allowed(problem))


def not_allowed(what: str, found: object, allowed: str) -> str:
    """A line of the usual form: what is found and what would be allowed."""
    shown = "nothing" if found is None else repr(found)
    return f"{what} = {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}: not allowed; allowed: {allowed}"


def _allowed(problem: Mapping[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        word, name = _BOUNDS[kind]
        return f"{word} {context[name]:,}"
    if kind == "value_error":
        return str(context.get("error", problem["msg"]))
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    return _ALLOWED.get(kind, str(problem["msg"]))


def _subject(location: list[Any], raw: dict[Any, Any]) -> tuple[str, list[Any]]:
    """The job that an error's location lies in, as text, and the rest of the location."""
    if len(location) >= 2 and location[0] == "migration_jobs" and isinstance(location[1], int):
        jobs = raw.get("migration_jobs")
        job = jobs[location[1]] if isinstance(jobs, list) and location[1] < len(jobs) else None
        return f"{job_label(location[1], job)}: ", location[2:] or ["entry"]
    if location[:2] == ["cutover", "actions"] and len(location) > 2:
        known_type = len(location) > 3
        return (
            f"{_ACTION}{location[2] + 1}{f' ({location[3]})' if known_type else ''}: ",
            location[4:] or ["entry"],
        )
    if len(location) >= 2 and location[0] == "queries" and isinstance(location[1], int):
        pairs = raw.get("queries")
        pair = pairs[location[1]] if isinstance(pairs, list) and location[1] < len(pairs) else None
        return f"{query_label(location[1], pair)}: ", location[2:] or ["entry"]
    return "", location


def job_label(index: int, job: object) -> str:
    """A job as messages name it: by its name, or by its place in the list where it has none."""
    name = job.get("job_name") if isinstance(job, dict) else None
    return f"job {name!r}" if isinstance(name, str) and name else f"job number {index + 1}"


def query_label(index: int, pair: object) -> str:
    """A query as messages name it, as `job_label` does jobs."""
    name = pair.get("name") if isinstance(pair, dict) else None
    return f"query {name!r}" if isinstance(name, str) and name else f"query number {index + 1}"


def _nearest(location: list[Any], sections: Mapping[str, type[BaseModel]]) -> str:
    """A suggestion for an unknown key: the nearest key known in its section, or the section that has it."""
    holder = next((part for part in reversed(location[:-1]) if part in sections), "")
    known = list(sections[holder].model_fields)
    unknown = str(location[-1])
    near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.6)
    # Keys of actions and queries are words such as name and url: they say nothing about where another one belongs.
    others = {name: model for name, model in sections.items() if name and not issubclass(model, (OfAction, QueryPair))}
    elsewhere = next((name for name, model in others.items() if unknown in model.model_fields), None)
    if elsewhere and elsewhere != holder:
        return f"; it belongs in {elsewhere}"
    return f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(known)}"
