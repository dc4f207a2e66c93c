"""The series of a bucket: a small number for each key while the process lives, and the order of the keys."""

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol import stored
from ts_migration.local.influxdb.line_protocol.go_text import to_text
from ts_migration.local.influxdb.points import Series


class SeriesIds:
    """Series keys (escaped bytes, tags sorted) to ids that are handed out once. Callers hold the bucket's lock."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}
        self.keys: list[bytes] = []
        self._series: list[Series | None] = []
        self._rank = np.empty(0, dtype=np.int64)

    def id_of(self, key: bytes) -> int:
        """The id of a series key, a new one if it was never seen."""
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self.keys)
            self.keys.append(key)
            self._series.append(None)
        return found

    def series(self, series_id: int) -> Series:
        """Measurement and tags of a series, unescaped, tags sorted by the bytes of their keys."""
        found = self._series[series_id]
        if found is None:
            key = self.keys[series_id]
            tags = sorted(stored.tags_of(key))
            measurement = to_text(stored.measurement_of(key))
            found = Series(measurement, tuple((to_text(name), to_text(value)) for name, value in tags))
            self._series[series_id] = found
        return found

    def rank(self) -> npt.NDArray[np.int64]:
        """For each id the place of its key among all keys, in byte order."""
        if len(self._rank) < len(self.keys):
            order = sorted(range(len(self.keys)), key=self.keys.__getitem__)
            rank = np.empty(len(order), dtype=np.int64)
            rank[order] = np.arange(len(order))
            self._rank = rank
        return self._rank
