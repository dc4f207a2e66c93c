"""What all values of the results file are: frozen, with no field that is not documented."""

from pydantic import BaseModel, ConfigDict


class ResultValue(BaseModel):
    """A part of `migration_results_<time>.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
