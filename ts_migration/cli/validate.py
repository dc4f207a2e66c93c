"""`ts-migration validate`."""


def validate() -> None:
    """validate."""
