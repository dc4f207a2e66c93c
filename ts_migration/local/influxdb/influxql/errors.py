"""The two ways in which a query fails: it cannot be parsed at all, or one of its statements cannot be answered.

Texts are those of InfluxDB 2.7.11 where they are known; what only the embedded server refuses says so.
"""


class InfluxQLError(Exception):
    """Whatever is wrong with a query or a statement; its text is the answer."""


class ParseError(InfluxQLError):
    """The text is no InfluxQL: the whole request is answered 400, and nothing of it is executed."""


class StatementError(InfluxQLError):
    """One statement cannot be executed: it is answered by its error, and the statements after it are not executed."""


def unsupported(what: str) -> StatementError:
    """An explicit refusal of what InfluxDB can do and the embedded server cannot."""
    return StatementError(f"{what} not supported by the embedded InfluxDB")


def not_implemented(what: str) -> StatementError:
    """What InfluxDB 2 itself does not implement, in its words."""
    return StatementError(f"not implemented: {what}")
