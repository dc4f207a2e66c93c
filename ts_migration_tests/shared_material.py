"""Where tests find recorded answers and real data: the folder `shared` beside the checkout, which users do not have."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """The path of recorded material, or skip the test that wants it, saying what is missing."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"recorded material {name} is not beside the checkout")
    return path
