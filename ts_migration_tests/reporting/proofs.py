"""A small table that has a window of every kind, with names that would break a careless report."""

from ts_migration.reporting.results import MigrationResults, results_of
from ts_migration.stages.proof import TableProof, WindowManifests, window_proof
from ts_migration.windows import Window
from ts_migration_tests.stages.manifests import STANDING, five, window_manifests

DAY = 86_400 * 10**9
EVIL = '<script>alert("x")</script>'
CLOSING = "a</details></style>'\""
TURNED = "abc\u202edef\x1b[31m"
"""Turns the reading direction, and colours a terminal."""


def proof(failed: bool = True) -> TableProof:
    """Four days: proven, failed, passed with a tolerance, not begun; without `failed` the first two, proven."""
    windows = [Window(n * DAY, (n + 1) * DAY, f"1970-01-0{n + 1}") for n in range(4)]
    evidence = (
        f"changed: m,a={EVIL} f at 1970-01-02T03:00:00.000000001Z: expected 1.5 (float), bucket has '{CLOSING}' (string)",
        f"missing: m,a={TURNED} f at 1970-01-02T04:00:00Z: expected 7 (integer)",
        "1970-01-02T00:00:00Z to 1970-01-02T00:22:30Z: expected 9 values, bucket has 8, digests differ",
    )
    wrong = five(checksum={"passed": False, "stage": "load", "difference": "1 changed value", "evidence": evidence})
    manifests = [
        window_manifests(windows[0]),
        window_manifests(windows[1], status="failed", verdicts=wrong) if failed else window_manifests(windows[1]),
        window_manifests(windows[2], status="passed", verdicts=five(record_count={"severity": "WARN"})),
        WindowManifests(),
    ]
    proofs = tuple(window_proof(window, each, STANDING) for window, each in zip(windows, manifests, strict=True))
    return TableProof(f"load {EVIL}", "energy.load", "bucket", "load", proofs if failed else proofs[:2])


def results(failed: bool = True) -> MigrationResults:
    """Their results."""
    return results_of(
        [proof(failed)], "validation", job_settings={proof().job: {}}, configuration="migration_config.yaml"
    )
