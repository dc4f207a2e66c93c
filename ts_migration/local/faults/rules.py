"""Rules of misbehaviour: what a service does wrong, to which of its requests, how often. Values and their JSON file.

Which request a rule hits is in `schedule`; what is then done to it, in `middleware` and `unloads`.
"""

import json
import math
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from ts_migration.errors import ConfigurationError, Permanent

_VERSION = 1
_SCOPE = "fault rule"


class FaultyService(StrEnum):
    """The embedded servers that can be told to misbehave."""

    TIMESTREAM = "timestream"
    INFLUXDB = "influxdb"
    S3 = "s3"


class FaultKind(StrEnum):
    """What goes wrong with a request."""

    THROTTLE = "throttle"
    """Refused, not worked on: ThrottlingException, 429, SlowDown."""
    ERROR = "error"
    """An internal error, 500; the request is not worked on."""
    UNAVAILABLE = "unavailable"
    """503; the request is not worked on."""
    RESET = "reset"
    """The connection is reset before the request is worked on."""
    SLOW = "slow"
    """Worked on after a delay, also where the client has given up by then."""
    LOST_ANSWER = "lost-answer"
    """Worked on fully, then the connection is reset: the client cannot know that it was done."""
    CUT_ANSWER = "cut-answer"
    """Worked on; the answer ends in the middle."""
    UNLOAD_NO_MANIFEST = "unload-no-manifest"
    """UNLOAD writes its files and names a manifest that is not there."""
    UNLOAD_MISSING_FILE = "unload-missing-file"
    """One file that UNLOAD's manifest names is not there."""
    UNLOAD_WRONG_SIZE = "unload-wrong-size"
    """One file is shorter than the manifest says."""
    UNLOAD_TRUNCATED_FILE = "unload-truncated-file"
    """One file is cut in half, and the manifest gives the size that it has."""
    QUERY_OUT_OF_MEMORY = "query-out-of-memory"
    """The query needs more memory than the service gives: a shorter window may pass."""
    QUERY_TIMED_OUT = "query-timed-out"
    """The query takes longer than the service allows: a shorter window may pass."""
    RESTORE_UNCHECKED = "restore-unchecked"
    """InfluxDB takes whatever file it is given, as real servers do: of a broken one nothing can be read afterwards."""
    RESTORE_BROKEN_FILE = "restore-broken-file"
    """The same, and the file breaks on its way: it is taken, and its points are not there."""


UNLOAD_KINDS = frozenset(kind for kind in FaultKind if kind.value.startswith("unload-"))
"""What befalls an UNLOAD as a whole: its requests are answered as ever, its files are not what they should be."""
RESTORE_KINDS = frozenset({FaultKind.RESTORE_UNCHECKED, FaultKind.RESTORE_BROKEN_FILE})
"""What befalls a file that is restored: the request is answered as ever."""
TIMESTREAM_KINDS = UNLOAD_KINDS | {FaultKind.QUERY_OUT_OF_MEMORY, FaultKind.QUERY_TIMED_OUT}
REQUEST_KINDS = frozenset(FaultKind) - UNLOAD_KINDS - RESTORE_KINDS
"""What befalls a single request."""

_REFUSALS = (FaultKind.THROTTLE, FaultKind.UNAVAILABLE)
_SLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One way in which one service misbehaves.

    Attributes:
        service: who does.
        kind: what goes wrong.
        on: a glob that a request's label must match; labels are what `dialects` calls requests. "" matches all requests
            that the kind can befall.
        times: how many requests are hit at most; None: for ever.
        every: each n-th of the matching requests is hit.
        share: the part of the matching requests that is hit, by the seed; None: all that `every` leaves.
        retry_after_s: seconds that the refusal asks to wait; None: it does not say.
        delay_s: of slow, seconds before the request is worked on; None: 1.
        seed: decides which requests a share hits.
        id: tells the rule from an equal one that was set before: counting begins anew.

    Raises:
        ConfigurationError: names everything that does not fit together.
    """

    service: FaultyService
    kind: FaultKind
    on: str = ""
    times: int | None = None
    every: int = 1
    share: float | None = None
    retry_after_s: float | None = None
    delay_s: float | None = None
    seed: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(3))

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigurationError(problems, where=_SCOPE)

    def _problems(self) -> Iterable[str]:
        known = kinds_of(self.service)
        if self.kind not in known:
            yield f"{self.service} knows no {self.kind}; allowed: {', '.join(known)}"
        if self.times is not None and self.times < 1:
            yield f"times = {self.times}: not allowed; allowed: 1 or more, or none for ever"
        if self.every < 1:
            yield f"every = {self.every}: not allowed; allowed: 1 (all) or more"
        if self.share is not None and not 0.0 < self.share <= 1.0:
            yield f"share = {self.share}: not allowed; allowed: above 0, at most 1"
        if self.share is not None and self.every != 1:
            yield "share and every are given: one of the two decides"
        if self.retry_after_s is not None and self.kind not in _REFUSALS:
            yield f"{self.kind} has no retry_after; allowed: {', '.join(_REFUSALS)}"
        if self.delay_s is not None and self.kind is not FaultKind.SLOW:
            yield f"{self.kind} has no delay; allowed: {FaultKind.SLOW}"
        for name, seconds in (("retry_after", self.retry_after_s), ("delay", self.delay_s)):
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                yield f"{name} = {seconds}: not allowed; allowed: seconds, 0 or more"

    @property
    def waits_s(self) -> float:
        """Seconds before a slow request is worked on."""
        return _SLOW_S if self.delay_s is None else self.delay_s

    @property
    def extent(self) -> str:
        """How often the rule hits, in words."""
        often = f"{self.share:.0%} (seed {self.seed})" if self.share is not None else ""
        often = often or ("each" if self.every == 1 else f"1 of every {self.every}")
        return f"{often}, {'for ever' if self.times is None else f'at most {self.times} times'}"

    def same_place(self, other: "FaultRule") -> bool:
        """Whether setting one replaces the other."""
        return (self.service, self.kind, self.on) == (other.service, other.kind, other.on)


def kinds_of(service: FaultyService) -> tuple[FaultKind, ...]:
    """What can go wrong with a service."""
    foreign = {FaultyService.TIMESTREAM: RESTORE_KINDS, FaultyService.INFLUXDB: TIMESTREAM_KINDS}
    absent = foreign.get(service, RESTORE_KINDS | TIMESTREAM_KINDS)
    return tuple(kind for kind in FaultKind if kind not in absent)


def rules_file(data: Path) -> Path:
    """Where the rules of the server with this data folder lie. Beside it: S3's data folder holds buckets only."""
    return data.parent / "faults" / f"{data.name}.json"


def read_rules(path: Path) -> tuple[FaultRule, ...]:
    """The rules of a file; none where there is no file.

    Raises:
        Permanent: it is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
        return tuple(_rule(entry) for entry in content["rules"])
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise Permanent(
            f"the fault rules cannot be read: {error!r}", where=str(path), next_step="ts-migration local faults clear"
        ) from error


def write_rules(path: Path, rules: Iterable[FaultRule]) -> None:
    """Replace the rules of a file at once; without rules there is no file."""
    kept = [asdict(rule) for rule in rules]
    if not kept:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_text(json.dumps({"version": _VERSION, "rules": kept}, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def _rule(entry: dict[str, Any]) -> FaultRule:
    known = {each.name for each in fields(FaultRule)}
    if unknown := entry.keys() - known:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return FaultRule(**(entry | {"service": FaultyService(entry["service"]), "kind": FaultKind(entry["kind"])}))
