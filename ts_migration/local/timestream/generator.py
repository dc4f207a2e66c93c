"""Three tables like those of a grid operator, made deterministically: generation, load and exchange.

Here belong the shapes and the values. Sending them to a server is ``seed``. The same seed, range and number of rows
give the same rows, on any machine: values are functions of the row's position, computed in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.local.timestream.seed import SeedSpec

DATABASE = "energy_data"
BATCH_ROWS = 250_000

_SUBSYSTEMS = ("SUDESTE/CENTRO-OESTE", "SUL", "NORDESTE", "NORTE")
_SOURCES = ("hidro", "térmica", "eólica", "solar")
_PLANTS = 24
_INTERCHANGES = (
    ("SUDESTE/CENTRO-OESTE", "SUL", "500 kV Ibiúna"),
    ("NORTE", "NORDESTE", None),
    ("NORTE", "SUDESTE/CENTRO-OESTE", "800 kV Xingu-Estreito"),
    ("NORDESTE", "SUDESTE/CENTRO-OESTE", None),
    ("SUL", "Argentina (Garabi)", "conversora 50/60 Hz"),
)

Positions: TypeAlias = npt.NDArray[np.uint64]
Times: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """A table that can be made: its specification and its rows."""

    spec: SeedSpec
    series: int
    make: Callable[[Positions, Positions, Times], pa.Table]
    jitter: int = 0
    """Times are shifted by up to so many nanoseconds, so that only an exact reader keeps them apart."""

    def frames(self, *, rows: int, start: int, end: int, seed: int = 0) -> Iterator[pa.Table]:
        """The rows, in batches of bounded size, in order of time.

        Args:
            rows: how many; every series has a row at each time step, so the last step may be incomplete.
            start: first time, nanoseconds since the epoch.
            end: every time is before it.
            seed: another seed gives other values at the same times.
        """
        steps = -(-rows // self.series)
        if end - start < max(steps, 1):
            raise ValueError(f"{rows} rows of {self.series} series do not fit into {end - start} ns.")
        step = (end - start) // max(steps, 1)
        if step > 1_000_000_000:
            # Whole seconds where there is room, as telemetry has them.
            step -= step % 1_000_000_000
        for first in range(0, rows, BATCH_ROWS):
            position = np.arange(first, min(first + BATCH_ROWS, rows), dtype=np.uint64)
            series = position % np.uint64(self.series)
            time = start + (position // np.uint64(self.series)).astype(np.int64) * step
            bits = _mix(position, seed)
            if self.jitter:
                time = time + (bits % np.uint64(min(self.jitter, step))).astype(np.int64)
            yield self.make(series, bits, time)


def _mix(position: Positions, seed: int) -> Positions:
    """64 well-mixed bits per position (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        bits = (position + np.uint64(seed) * np.uint64(0x632BE59BD9B4E019)) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _unit(bits: Positions) -> npt.NDArray[np.float64]:
    """Bits as doubles in [0, 1) with all 53 digits used: values whose text must round-trip."""
    return (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _pick(names: tuple[str | None, ...], index: Positions) -> pa.Array:
    return pa.array(names, type=pa.string()).take(pa.array(index.astype(np.int64)))


def _generation(series: Positions, bits: Positions, time: Times) -> pa.Table:
    plant = series
    source = plant % np.uint64(len(_SOURCES))
    capacity = 50.0 + 13.5 * plant.astype(np.float64)
    generated = np.round(_unit(bits) * capacity, 6)
    plants = tuple(
        f"UHE Usina {number:02d}" if number % 3 else f"Parque {number:02d}, fase A" for number in range(_PLANTS)
    )
    return pa.table(
        {
            "plant": _pick(plants, plant),
            "source": _pick(_SOURCES, source),
            "subsystem": _pick(_SUBSYSTEMS, plant % np.uint64(len(_SUBSYSTEMS))),
            "time": time,
            "generation_mw": generated,
            "availability": pa.array(_unit(bits * np.uint64(3)), mask=(bits % np.uint64(17) == 0)),
            "units_online": (bits % np.uint64(9)).astype(np.int64),
        }
    )


def _load(series: Positions, bits: Positions, time: Times) -> pa.Table:
    base = np.array([38_000.0, 11_000.0, 12_000.0, 6_000.0])[series.astype(np.int64)]
    hour = (time // 3_600_000_000_000 % 24).astype(np.float64)
    load = base * (1.0 + 0.18 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi)) + (_unit(bits) - 0.5) * 400.0
    return pa.table({"subsystem": _pick(_SUBSYSTEMS, series), "time": time, "load_mw": load})


def _exchange(series: Positions, bits: Positions, time: Times) -> pa.Table:
    sources, targets, lines = zip(*_INTERCHANGES, strict=True)
    flow = np.round((_unit(bits) - 0.55) * 9_000.0, 3)
    note = _pick((None, 'limite "N-1" atingido', "manobra: linha A, linha B", "C:\\scada\\aviso"), bits % np.uint64(4))
    return pa.table(
        {
            "source_subsystem": _pick(sources, series),
            "target_subsystem": _pick(targets, series),
            "line": _pick(lines, series),
            "time": time,
            "flow_mw": flow,
            "flow_integral": (bits >> np.uint64(1)).astype(np.int64) - np.int64(2**62),
            "is_limited": pa.array(bits % np.uint64(5) == 0),
            "note": note,
            "measured_at": pa.array(time - 1_500_000_001, type=pa.int64()).cast(pa.timestamp("ns")),
        }
    )


EXAMPLES = {
    "generation_data": ExampleTable(
        SeedSpec(
            database=DATABASE,
            table="generation_data",
            kind="multi",
            dimensions=("plant", "source", "subsystem"),
            measure_name="generation",
            measures=("generation_mw", "availability", "units_online"),
        ),
        _PLANTS,
        _generation,
    ),
    "load_data": ExampleTable(
        SeedSpec(database=DATABASE, table="load_data", kind="single", dimensions=("subsystem",), measures=("load_mw",)),
        len(_SUBSYSTEMS),
        _load,
    ),
    "exchange_data": ExampleTable(
        SeedSpec(
            database=DATABASE,
            table="exchange_data",
            kind="multi",
            dimensions=("source_subsystem", "target_subsystem", "line"),
            measure_name="exchange",
            measures=("flow_mw", "flow_integral", "is_limited", "note", "measured_at"),
        ),
        len(_INTERCHANGES),
        _exchange,
        jitter=1_000_000_000,
    ),
}
"""The three tables by name."""
