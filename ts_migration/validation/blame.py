"""The verdicts of a window, made to agree with what was seen of the values that differ. Pure.

A check alone guesses its stage from sums; a trail has seen where a value changes, so its word counts.
"""

from dataclasses import dataclass, replace

from ts_migration.validation.trails import Trail, earliest
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Stage, Verdict


@dataclass(frozen=True)
class Trails:
    """What was looked at of one window.

    Attributes:
        differing: values that the export and the bucket disagree about.
        sampled: values of the sample's faults, in the order in which the check names them.
        source: values that Timestream now and the export disagree about.
    """

    differing: tuple[Trail, ...] = ()
    sampled: tuple[Trail, ...] = ()
    source: tuple[Trail, ...] = ()


NOT_LOOKED = Trails()


def blamed(verdict: Verdict, trails: Trails) -> Verdict:
    """The verdict with the stage, and for the sample and the counts the evidence, that the trails show."""
    if verdict.passed:
        return verdict
    if verdict.check is Check.SAMPLE:
        lines = tuple(trail.line for trail in trails.sampled)
        evidence = (*lines, *verdict.evidence[len(lines) :])
        return replace(verdict, stage=_stage(verdict.stage, trails.sampled), evidence=evidence)
    if verdict.stage is Stage.EXPORT:
        # A finding about the source: what the bucket differs in says nothing of it.
        verdict = replace(verdict, stage=earliest(trail.stage for trail in trails.source) or verdict.stage)
    else:
        verdict = replace(verdict, stage=_stage(verdict.stage, trails.differing))
    if verdict.check is Check.RECORD_COUNT:
        lines = tuple(trail.line for trail in trails.source)
        return replace(verdict, evidence=(*verdict.evidence, *lines)[:EVIDENCE_ROWS])
    return verdict


def _stage(own: Stage | None, trails: tuple[Trail, ...]) -> Stage | None:
    """The earliest stage that a trail blames. That the conversion's own objects are spoiled is evidence as well."""
    seen = [trail.stage for trail in trails]
    return earliest([*seen, own if own is Stage.CONVERSION else None]) or own
