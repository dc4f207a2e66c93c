"""How fast shard files are built: Arrow columns in memory to the bytes of a TSM file, on one core, and its memory.

By CPU time of this process, so that a busy machine tells the same as an idle one. Files of the telemetry that other
benchmarks move, as long series and as many short ones, each field a column as Arrow holds it. Also what reading and
checking such a file takes, which is done before each is sent.
"""

import ctypes
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.memory import FLAT
from benchmarks.rows import Row, compared
from benchmarks.telemetry import HOUR, START
from ts_migration.influxdb.tsm.blocks import MOST_POINTS
from ts_migration.influxdb.tsm.columns import KEY_SEPARATOR, FieldKind, TsmColumn
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file

_NOTHING = pa.scalar(b"", pa.large_binary())


@dataclass(frozen=True, slots=True)
class Shape:
    """So many series of so many points, hourly, or by the hour and some ns. The budget is points a CPU second."""

    name: str
    series: int
    points: int
    regular: bool
    budget: float | None = None

    @property
    def all_points(self) -> int:
        """Of all series; each has five values."""
        return self.series * self.points


SHAPES = (
    Shape("200 series x 10,000 points", 200, 10_000, True, 800_000),
    Shape("100,000 series x 20 points", 100_000, 20, True, 400_000),
    Shape("200 series x 10,000 points, times to the ns", 200, 10_000, False, 800_000),
    Shape("100,000 series x 20 points, times to the ns", 100_000, 20, False, 400_000),
)
MEMORY_SHAPES = (Shape("1 M points", 200, 5_000, False), Shape("10 M points", 200, 50_000, False))


def table_of(shape: Shape) -> tuple[pa.Table, pa.LargeBinaryArray]:
    """Rows by series and time, and the key of each series in byte order."""
    rng = np.random.default_rng(7)
    count = shape.all_points
    times = np.tile(START + HOUR * np.arange(shape.points), shape.series)
    if not shape.regular:
        times += rng.integers(0, 10**9, count)
    table = pa.table(
        {
            "time": times,
            "power": np.round(rng.normal(400, 50, count), 2),
            "voltage": np.round(230 + np.cumsum(rng.normal(0, 0.1, count)), 1),
            "temperature": rng.normal(15, 8, count),
            "count": np.cumsum(rng.integers(0, 9, count)),
            "open": rng.random(count) < 0.01,
        }
    )
    keys = sorted(
        f"telemetry,plant=p{each % 40:02d},region=r{each % 7},unit=u{each:06d}" for each in range(shape.series)
    )
    return table, pa.array(keys, pa.large_string()).cast(pa.large_binary())


KINDS = {
    "power": FieldKind.FLOAT,
    "voltage": FieldKind.FLOAT,
    "temperature": FieldKind.FLOAT,
    "count": FieldKind.INTEGER,
    "open": FieldKind.BOOLEAN,
}


def columns_of(shape: Shape, table: pa.Table, series: pa.LargeBinaryArray) -> list[TsmColumn]:
    """A column a field, over the memory of Arrow where that is laid out the same."""
    offsets = np.arange(shape.series + 1) * shape.points
    times = table["time"].chunk(0).to_numpy()
    return [
        TsmColumn(
            kind,
            pc.binary_join_element_wise(series, pa.scalar(KEY_SEPARATOR + field.encode(), pa.large_binary()), _NOTHING),
            offsets,
            times,
            table[field].chunk(0).to_numpy(zero_copy_only=False),
        )
        for field, kind in KINDS.items()
    ]


def built(shape: Shape, table: pa.Table, series: pa.LargeBinaryArray) -> list[bytes]:
    """A whole file in pieces."""
    return list(tsm_file(columns_of(shape, table, series)))


def bare(shape: Shape, table: pa.Table, series: pa.LargeBinaryArray) -> list[bytes]:
    """The limit: what every writer of the format has to do to each value, by bare numpy, and nothing is made smaller.

    Differences of times and integers, floats by exclusive or, big-endian copies, a CRC a block; no key, no index.
    """
    written = []
    for column in columns_of(shape, table, series):
        values = column.values if column.kind is FieldKind.BOOLEAN else column.values.view(np.uint64)
        content = np.empty((len(values), 1 if column.kind is FieldKind.BOOLEAN else 2), ">u8")
        np.subtract(column.times[1:], column.times[:-1], out=content[1:, 0], casting="unsafe")
        if column.kind is FieldKind.FLOAT:
            np.bitwise_xor(values[1:], values[:-1], out=content[1:, 1])
        elif column.kind is FieldKind.INTEGER:
            np.subtract(values[1:], values[:-1], out=content[1:, 1])
        else:
            written.append(np.packbits(values).tobytes())
        made, step = content.tobytes(), content.strides[0] * min(shape.points, MOST_POINTS)
        view = memoryview(made)
        crcs = [zlib.crc32(view[start:end]) for start, end in pairwise(range(0, len(made) + 1, step))]
        written += [np.array(crcs, ">u4").tobytes(), made]
    return written


def seconds(work: Callable[[], object]) -> float:
    """CPU that it takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(runs: int) -> list[Row]:
    """Every shape against its budget, the limit and the reader, in turns; then the memory."""
    return [row for shape in SHAPES for row in _rates(shape, runs)] + _memory()


def _rates(shape: Shape, runs: int) -> list[Row]:
    table, series = table_of(shape)
    part = f"shard files, {shape.name}"
    file = b"".join(built(shape, table, series))
    takes: dict[str, list[float]] = {"built": [], "bare": [], "read": []}
    for _ in range(runs):
        takes["bare"].append(seconds(lambda: bare(shape, table, series)))
        takes["built"].append(seconds(lambda: built(shape, table, series)))
        takes["read"].append(seconds(lambda: read_tsm(file)))
    rates = {side: [shape.all_points / each for each in took] for side, took in takes.items()}
    files = [rate / shape.all_points for rate in rates["built"]]
    bare_files = [rate / shape.all_points for rate in rates["bare"]]
    assert shape.budget is not None
    return [
        compared(part, "what the bulk path needs", rates["built"], [shape.budget] * runs, "points/s a core", 1.0),
        compared(part, "bare numpy, nothing made smaller", files, bare_files, "files/s a core"),
        compared(f"{part}: read and checked", "building them", rates["read"], rates["built"], "points/s a core"),
    ]


def _memory() -> list[Row]:
    """In processes of their own: what a process has allocated before decides what it has to ask for."""
    peaks = []
    for shape in MEMORY_SHAPES:
        command = [sys.executable, "-m", "benchmarks.shard_files", str(shape.series), str(shape.points)]
        peaks.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    ratio, budget = peaks[1] / peaks[0], f"ratio at most {FLAT:g}"
    part = f"memory of building a shard file beside its columns, {MEMORY_SHAPES[1].name}"
    return [Row(part, f"that of {MEMORY_SHAPES[0].name}", peaks[1], peaks[0], "MiB", ratio, budget, ratio <= FLAT)]


def _growth_mib(shape: Shape) -> float:
    """What the peak of this process is above what it held before it built a file, piece by piece.

    What allocators keep for later is given back first, so that it does not hide what is taken.
    """
    columns = columns_of(shape, *table_of(shape))
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mib("VmRSS")
    for piece in tsm_file(columns):
        del piece
    return _status_mib("VmHWM") - before


def _status_mib(name: str) -> float:
    (told,) = re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(told) / 1024


if __name__ == "__main__":
    print(_growth_mib(Shape("", int(sys.argv[1]), int(sys.argv[2]), False)))
