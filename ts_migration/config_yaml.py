"""YAML of a configuration file, read without silent losses: a key given twice is refused, times stay text.

YAML itself would keep the last of two keys, and would cut a time without quotes to the microsecond. Anchors and merge
keys (`<<: *defaults`) work. What the keys mean is in `config`.
"""

from typing import Any

import yaml

from ts_migration.errors import ConfigurationError

_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """SafeLoader that leaves times as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, where: str) -> dict[Any, Any]:
    """The mapping that a text holds.

    Raises:
        ConfigurationError: it is no YAML, gives keys twice, or is something else than a mapping.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        problems = list(_repeated_keys(node, set())) if node is not None else []
        if problems:
            raise ConfigurationError(problems, where=where)
        content = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigurationError([f"{line}not valid YAML: {error.problem or error.context}"], where=where) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError([f"not valid YAML: {error}"], where=where) from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        found = "nothing" if content is None else "a list" if isinstance(content, list) else repr(content)[:80]
        raise ConfigurationError(
            [f"keys with values are needed, migration_jobs among them; the file holds {found}"], where=where
        )
    return content


def _repeated_keys(node: yaml.Node, visited: set[int]) -> Any:
    """A line for every key that a mapping gives twice, wherever it lies."""
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated_keys(entry, visited)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in lines:
                    yield f"line {key.start_mark.line + 1}: {key.value}: given twice; first in line {lines[key.value]}"
                lines.setdefault(key.value, key.start_mark.line + 1)
            yield from _repeated_keys(value, visited)
