"""The mapping: which columns of a Timestream row become measurement, tags, fields and time of an InfluxDB point.

Values only. How options and a table's schema resolve to a mapping is in `resolution`; how rows are written is in
`encoder`. The digest of `validation` reads the same mapping by a way of its own, so that neither can hide the other's
fault.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property


class FieldType(StrEnum):
    """Types of InfluxDB 2 fields that a mapping produces, named as `SHOW FIELD KEYS` prints them."""

    FLOAT = "float"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class TagSource:
    """A tag taken from a VARCHAR column (a dimension or measure_name). NULL and empty values make no tag.

    `measure_names` limits it to rows with one of these measure names; None means every row.
    """

    column: str
    tag: str
    measure_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FieldSource:
    """A field taken from a column. NULL makes no field.

    `measure_names` limits it to rows with one of these measure names; None means every row. `rfc3339` writes a
    TIMESTAMP measure as text (`windows.iso`: as many digits as it needs) instead of integer nanoseconds.
    """

    column: str
    field: str
    type: FieldType
    measure_names: tuple[str, ...] | None = None
    rfc3339: bool = False


@dataclass(frozen=True)
class Mapping:
    """A resolved mapping of one table.

    Attributes:
        measurement: name of the measurement.
        tags: sorted by the bytes of their tag keys with their escapes, as the server sorts them.
        fields: sorted by field key, then column.
        measure_names: every measure name known when the mapping was resolved; a row with another one has drifted.
        dimensions: dimension columns of the table, in DESCRIBE's order, known when the mapping was resolved.
        injective: whether dimensions, measure_name and time are all kept apart, so that no two rows become one point.
    """

    measurement: str
    tags: tuple[TagSource, ...]
    fields: tuple[FieldSource, ...]
    measure_names: tuple[str, ...]
    dimensions: tuple[str, ...]
    injective: bool

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON: what manifests and verdicts are bound to."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Mapping":
        """The mapping that `to_json` wrote."""
        raw = json.loads(text)

        def names(value: list[str] | None) -> tuple[str, ...] | None:
            return None if value is None else tuple(value)

        return cls(
            measurement=raw["measurement"],
            tags=tuple(TagSource(tag["column"], tag["tag"], names(tag["measure_names"])) for tag in raw["tags"]),
            fields=tuple(
                FieldSource(
                    field["column"],
                    field["field"],
                    FieldType(field["type"]),
                    names(field["measure_names"]),
                    field["rfc3339"],
                )
                for field in raw["fields"]
            ),
            measure_names=tuple(raw["measure_names"]),
            dimensions=tuple(raw["dimensions"]),
            injective=raw["injective"],
        )
