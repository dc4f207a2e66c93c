"""`ts-migration execute`."""


def execute() -> None:
    """execute."""
