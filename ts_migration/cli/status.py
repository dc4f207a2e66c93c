"""`ts-migration status`."""


def status() -> None:
    """status."""
