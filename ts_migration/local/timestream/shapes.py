"""Requests held against the service's own models: required members, JSON types, lengths, ranges, patterns and enums.

Here belongs what botocore's models say of a single request. Rules that need the stored tables, or that the models
leave to prose, do not. The messages are those of AWS's own validation, which names every violation in one answer.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

from ts_migration.local.timestream.refusals import SerializationError, UnknownOperationError, ValidationError

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "list": (list,),
    "structure": (dict,),
    "double": (int, float),
    "timestamp": (int, float),
}


@cache
def _operations() -> dict[str, OperationModel]:
    """All operations of both services. They share one target prefix, so one name is one operation here."""
    operations: dict[str, OperationModel] = {}
    for service in ("timestream-query", "timestream-write"):
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        operations.update({name: model.operation_model(name) for name in model.operation_names})
    return operations


def validate_request(operation: str, body: dict[str, Any]) -> None:
    """Refuse a request that the service's model does not allow.

    Raises:
        UnknownOperationError: there is no such operation.
        SerializationError: a member has the wrong JSON type.
        ValidationError: members are missing or out of bounds; the message names all of them.
    """
    model = _operations().get(operation)
    if model is None:
        raise UnknownOperationError(f"Timestream_20181101 has no operation {operation!r}.")
    violations: list[str] = []
    if model.input_shape is not None:
        _structure(body, model.input_shape, "", violations)
    if violations:
        count = "1 validation error" if len(violations) == 1 else f"{len(violations)} validation errors"
        raise ValidationError(f"{count} detected: {'; '.join(violations)}")


def _check(value: Any, shape: Shape, path: str, violations: list[str]) -> None:
    allowed = _JSON_TYPES[shape.type_name]
    if type(value) not in allowed:
        raise SerializationError(f"The value at '{path}' is not a {shape.type_name}.")
    if isinstance(shape, StructureShape):
        _structure(value, shape, path, violations)
    elif isinstance(shape, ListShape):
        _length(len(value), "[...]", shape, path, violations)
        for position, member in enumerate(value, start=1):
            _check(member, shape.member, f"{path}.{position}.member", violations)
    elif isinstance(shape, StringShape):
        _string(value, shape, path, violations)
    elif shape.type_name in ("integer", "long"):
        _range(value, shape, path, violations)


def _structure(value: dict[str, Any], shape: StructureShape, path: str, violations: list[str]) -> None:
    for name, member in shape.members.items():
        # AWS names members in violations with a small first letter.
        member_path = f"{path}.{name[:1].lower()}{name[1:]}" if path else name[:1].lower() + name[1:]
        given = value.get(name)
        if given is not None:
            _check(given, member, member_path, violations)
        elif name in shape.required_members:
            violations.append(_violation("null", member_path, "Member must not be null"))


def _string(value: str, shape: StringShape, path: str, violations: list[str]) -> None:
    shown = "***Sensitive information***" if shape.metadata.get("sensitive") else f"'{value}'"
    if shape.enum and value not in shape.enum:
        rule = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        violations.append(_violation(shown, path, rule))
    # The models state `pattern` without anchors and the service applies it to the whole value.
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        violations.append(_violation(shown, path, f"Member must satisfy regular expression pattern: {pattern}"))
    _length(len(value), shown, shape, path, violations)


def _length(length: int, shown: str, shape: Shape, path: str, violations: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        violations.append(_violation(shown, path, f"Member must have length greater than or equal to {low}"))
    if high is not None and length > high:
        violations.append(_violation(shown, path, f"Member must have length less than or equal to {high}"))


def _range(value: int, shape: Shape, path: str, violations: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        violations.append(_violation(f"'{value}'", path, f"Member must have value greater than or equal to {low}"))
    if high is not None and value > high:
        violations.append(_violation(f"'{value}'", path, f"Member must have value less than or equal to {high}"))
    bits = 63 if shape.type_name == "long" else 31
    if not -(2**bits) <= value < 2**bits:
        raise SerializationError(f"The value at '{path}' is not a {shape.type_name}.")


def _violation(shown: str, path: str, rule: str) -> str:
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"
