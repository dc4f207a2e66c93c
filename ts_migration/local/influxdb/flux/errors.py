"""What can be wrong with a query and how InfluxDB says it: one class for each moment, with the server's codes.

Texts and codes only; which query is wrong is decided where it is found.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """Where a piece of a query stands: lines and byte columns from 1, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}-{self.end_line}:{self.end_column}"


class FluxError(Exception):
    """A query that is answered with an error. `code` is InfluxDB's word, `status` the HTTP status of it."""

    code = "invalid"
    status = 400

    @property
    def message(self) -> str:
        return str(self)


class ProgramError(FluxError):
    """The text cannot be run: syntax, names, arguments. Several findings are told at once, as the server does."""

    def __init__(self, findings: list[tuple[Location, str]]) -> None:
        super().__init__("\n\n".join(f"error @{place}: {text}" for place, text in findings))
        self.findings = findings


class PlanError(FluxError):
    """The query is well formed but no plan can be made of it."""

    def __init__(self, text: str) -> None:
        super().__init__(f"error in building plan while starting program: {text}")


class BucketNotFoundError(FluxError):
    """The bucket named by `from` does not exist."""

    code = "not found"
    status = 404

    def __init__(self, bucket: str) -> None:
        super().__init__(f'failed to initialize execute state: could not find bucket "{bucket}"')


class ReadError(FluxError):
    """Storage refuses to read or aggregate what it found; told without a place, as storage knows none."""


class ValueProblem(FluxError):
    """An operation that its values do not allow; whoever knows the place in the query adds it."""


class RunError(FluxError):
    """A transformation failed on a table."""

    def __init__(self, place: Location, function: str, text: str) -> None:
        super().__init__(f"runtime error @{place}: {function}: {text}")


def refusal(place: Location, text: str) -> ProgramError:
    """One finding at one place."""
    return ProgramError([(place, text)])


def unsupported(place: Location, what: str) -> ProgramError:
    """Flux that a real server would run and this one does not: said plainly, never answered."""
    return ProgramError([(place, f"{what} is not supported by the embedded InfluxDB")])
