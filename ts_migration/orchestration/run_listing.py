"""Runs with some tags, read on from where they were read to: only those that changed since are asked for again."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

OVERLAP = timedelta(seconds=5)
"""Clocks of the machines that write to one storage may differ by so much."""


class RunListing:
    """The runs that have all of some tags."""

    def __init__(self, instance: dg.DagsterInstance, tags: Mapping[str, str]) -> None:
        self._instance = instance
        self._tags = dict(tags)
        self._known: dict[str, RunRecord] = {}

    def look(self, *, anew: bool = False) -> list[RunRecord]:
        """All of them as they are now, oldest first; `anew` asks for all of them again, whatever the clocks said."""
        newest = None if anew else max((record.update_timestamp for record in self._known.values()), default=None)
        wanted = dg.RunsFilter(tags=self._tags, updated_after=newest - OVERLAP if newest else None)
        for record in self._instance.get_run_records(wanted):
            self._known[record.dagster_run.run_id] = record
        return sorted(self._known.values(), key=lambda record: record.storage_id)
