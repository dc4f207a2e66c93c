"""`ts-migration plan`."""


def plan() -> None:
    """plan."""
