"""The migration guide's command lines by section, read from the material beside the checkout, which users do not have."""

import re

from ts_migration_tests.shared_material import shared

SECTIONS = (
    "Step 2: Pre-Migration Validation",
    "Step 3: Execute Migration",
    "Step 4: Monitor Migration Progress",
    "Step 5: Validate Migration Results",
    "Real-Time Monitoring",
    'Issue: Migration Job Stuck in "Export" Step',
    "Issue: Validation Failures",
    "Stopping Migration",
    "1. Final Validation",
    "2. Performance Testing",
    "4. Cleanup",
    "A. Environment Setup Script",
    "B. Quick Start Commands",
)
"""Those with command lines, from step 2 on."""


def command_lines() -> dict[str, list[str]]:
    """Section -> its command lines, continued ones joined; skips the test where the guide is not there."""
    found: dict[str, list[str]] = {}
    section = ""
    for heading, block in re.findall(
        r"^#+ ([^\n]*)$|^```bash\n(.*?)^```", shared("guide.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        section = heading or section
        lines = [re.sub(r"\s+", " ", line).strip() for line in block.replace("\\\n", " ").splitlines()]
        found.setdefault(section, []).extend(line for line in lines if line and not line.startswith("#"))
    return {section: found[section] for section in SECTIONS}
