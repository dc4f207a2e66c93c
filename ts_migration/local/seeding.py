"""`local seed`: what becomes of a file, of ONS's open data or of the generator on its way into the embedded Timestream.

Here belong the shapes of those sources. Storing rows is the server's (`local.timestream.seeding`).
"""

import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from ts_migration.errors import ConfigurationError, Missing, Permanent
from ts_migration.local.timestream.generator import EXAMPLES
from ts_migration.local.timestream.seed import Frame, SeedRefusedError, SeedReport, SeedSpec, seed
from ts_migration.windows import to_ns

EXAMPLE_START = to_ns(datetime(2023, 1, 1, tzinfo=UTC))
EXAMPLE_END = to_ns(datetime(2025, 1, 1, tzinfo=UTC))
"""The range of the guide's examples: `2023-01-01T00:00:00Z` through `2024-12-31T23:59:59Z`."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of one table's rows: read, stored, found stored already, without any value (those are no record)."""

    table: str
    rows_read: int
    records_stored: int
    repetitions: int
    rows_without_value: int


@dataclass(frozen=True, slots=True)
class FileLayout:
    """How the columns of a user's file become records."""

    database: str
    table: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    time: str = "time"
    measure_name: str = ""
    single: bool = False
    separator: str = ","

    @property
    def spec(self) -> SeedSpec:
        """The specification that the server is sent.

        Raises:
            ConfigurationError: names are missing or do not fit together.
        """
        missing = [
            f"{flag} is required"
            for flag, value in (("--table", self.table), ("--measures", self.measures))
            if not value
        ]
        if missing:
            raise ConfigurationError(missing, where="ts-migration local seed")
        try:
            return SeedSpec(
                database=self.database,
                table=self.table,
                kind="single" if self.single else "multi",
                dimensions=self.dimensions,
                measures=self.measures,
                measure_name=self.measure_name or (None if self.single else self.table),
                time=self.time,
            )
        except ValidationError as error:
            raise ConfigurationError(
                [str(one["msg"]) for one in error.errors()], where="ts-migration local seed"
            ) from None


def names(text: str) -> tuple[str, ...]:
    """Column names of a list separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def seed_examples(url: str, database: str, rows: int) -> list[Seeded]:
    """The generator's three tables, two years of them, `rows` rows each. The same rows every time."""
    done = []
    for name, example in EXAMPLES.items():
        spec = example.spec.model_copy(update={"database": database})
        done.append(_seed(url, spec, example.frames(rows=rows, start=EXAMPLE_START, end=EXAMPLE_END), name))
    return done


def seed_file(url: str, path: Path, layout: FileLayout) -> list[Seeded]:
    """A CSV or Parquet file of the user's. Times without an offset are read as UTC.

    Raises:
        Missing: there is no such file.
        Permanent: it cannot be read, or the server refuses its rows.
    """
    if not path.is_file():
        raise Missing(f"there is no file {path}")
    spec = layout.spec
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, separator=layout.separator, try_parse_dates=True, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Permanent(f"cannot be read: {error}", where=str(path)) from error
    wanted = [*spec.dimensions, *spec.measures, spec.time]
    unknown = [name for name in wanted if name not in frame.columns]
    if unknown:
        raise ConfigurationError(
            [f"the file has no column {name!r}; its columns are {', '.join(frame.columns)}" for name in unknown],
            where=str(path),
        )
    as_text = [pl.col(name).cast(pl.String) for name in spec.dimensions]
    try:
        frame = frame.select(*as_text, *_as_measures(frame, spec.measures), _as_ns(frame, spec.time))
    except ConfigurationError as error:
        raise ConfigurationError(list(error.problems), where=str(path)) from None
    return [_seed(url, spec, frame, spec.table)]


def _as_measures(frame: pl.DataFrame, names: Sequence[str]) -> Iterator[pl.Expr]:
    """Measures in the types that Timestream has; an integer beyond BIGINT is refused, for no type there holds it."""
    for name in names:
        kind = frame.schema[name]
        if kind.is_integer():
            fits = pl.col(name).is_null() | pl.col(name).cast(pl.Int64, strict=False).is_not_null()
            beyond = frame.select(name).with_row_index("row").filter(~fits)
            if not beyond.is_empty():
                row, value = beyond.row(0)
                raise ConfigurationError(
                    [f"the column {name!r} holds {value} in row {row + 1:,}, which BIGINT (int64) does not"]
                )
            yield pl.col(name).cast(pl.Int64)
        elif kind.is_float() or kind in (pl.String, pl.Boolean) or isinstance(kind, pl.Datetime):
            yield pl.col(name)
        else:
            raise ConfigurationError(
                [
                    f"the column {name!r} is {kind}; allowed as a measure: integers, floats, text, true and false, "
                    "date and time"
                ]
            )


def _as_ns(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The time column as integer nanoseconds, UTC."""
    kind = frame.schema[column]
    if kind.is_integer():
        return pl.col(column).cast(pl.Int64)
    if isinstance(kind, pl.Datetime):
        moment = pl.col(column) if kind.time_zone is None else pl.col(column).dt.convert_time_zone("UTC")
        return moment.dt.replace_time_zone(None).dt.epoch("ns").alias(column)
    if kind == pl.Date:
        return pl.col(column).cast(pl.Datetime("ns")).dt.epoch("ns").alias(column)
    shown = ", ".join(repr(value) for value in frame[column].drop_nulls().unique(maintain_order=True).head(3).to_list())
    raise ConfigurationError(
        [
            f"the column {column!r} is {kind} and no time: {shown}; allowed: date and time as text, in one form all "
            "the way down, or integer nanoseconds"
        ]
    )


LOAD_COLUMNS = ("id_subsistema", "nom_subsistema", "din_instante", "val_cargaenergiahomwmed")

BALANCE_MEASURES = (
    "val_gerhidraulica", "val_gertermica", "val_gereolica", "val_gersolar", "val_carga", "val_intercambio",
)  # fmt: skip


def seed_ons(url: str, folder: Path, database: str) -> list[Seeded]:
    """The hourly load curve and the energy balance of ONS's open data, from the files of a folder.

    Files: `CURVA_CARGA*` (`.csv`, `.csv.gz`, `.tar.xz`) become the table `load_curve`, `balanco_energia*` the table
    `energy_balance`. Times carry no offset and are read as UTC; decimal text becomes the nearest double.

    Raises:
        Missing: the folder has none of these files.
    """
    load = sorted(folder.glob("CURVA_CARGA*"))
    balance = sorted(folder.glob("balanco_energia*.csv"))
    if not load and not balance:
        raise Missing(f"{folder} holds no CURVA_CARGA* and no balanco_energia*.csv", next_step="see dados.ons.org.br")
    done = []
    if load:
        done.append(_seed(url, load_curve_spec(database), load_curve(load), "load_curve"))
    if balance:
        done.append(_seed(url, energy_balance_spec(database), energy_balance(balance), "energy_balance"))
    return done


def load_curve_spec(database: str) -> SeedSpec:
    """How rows of `load_curve` become records."""
    return SeedSpec(
        database=database, table="load_curve", kind="multi", dimensions=("id_subsistema", "nom_subsistema"),
        measures=("val_cargaenergiahomwmed",), measure_name="load", time="time",
    )  # fmt: skip


def energy_balance_spec(database: str) -> SeedSpec:
    """How rows of `energy_balance` become records."""
    return SeedSpec(
        database=database, table="energy_balance", kind="multi", dimensions=("id_subsistema", "nom_subsistema"),
        measures=BALANCE_MEASURES, measure_name="balance", time="time",
    )  # fmt: skip


def load_curve(files: list[Path]) -> pl.DataFrame:
    """Rows of load curve files: id, name, time (ns) and load (MWh/h); an empty load is NULL."""
    frame = pl.concat([_ons_csv(body) for path in files for body in _csv_bodies(path)])
    return frame.select(
        "id_subsistema", "nom_subsistema", _ons_time(), _ons_double("val_cargaenergiahomwmed")
    )  # fmt: skip


def energy_balance(files: list[Path]) -> pl.DataFrame:
    """Rows of balance files: id (the files spell it `id_subsistena`), name, time (ns) and six values (MWh/h)."""
    frame = pl.concat([_ons_csv(body) for path in files for body in _csv_bodies(path)])
    frame = frame.rename({"id_subsistena": "id_subsistema"}, strict=False)
    return frame.select("id_subsistema", "nom_subsistema", _ons_time(), *map(_ons_double, BALANCE_MEASURES))


def _ons_csv(body: bytes) -> pl.DataFrame:
    """All columns as text: types are decided here and not guessed from the first rows."""
    return pl.read_csv(io.BytesIO(body), separator=";", infer_schema=False)


def _ons_time() -> pl.Expr:
    return pl.col("din_instante").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns").dt.epoch("ns").alias("time")


def _ons_double(column: str) -> pl.Expr:
    """Decimal text to the nearest double: `10455.81799999`, `0E-8`, empty for NULL."""
    return pl.col(column).replace("", None).cast(pl.Float64, strict=True)


def _csv_bodies(path: Path) -> Iterator[bytes]:
    if path.name.endswith(".tar.xz"):
        with lzma.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.isfile() and member.name.lower().endswith(".csv"):
                    extracted = archive.extractfile(member)
                    yield extracted.read() if extracted else b""
    elif path.suffix == ".gz":
        yield gzip.decompress(path.read_bytes())
    else:
        yield path.read_bytes()


def _seed(url: str, spec: SeedSpec, frame: Frame, table: str) -> Seeded:
    try:
        report: SeedReport = seed(url, spec, frame)
    except SeedRefusedError as error:
        raise Permanent(str(error), where=f"{spec.database}.{table}") from error
    return Seeded(table, report.rows_read, report.records_stored, report.repetitions, report.rows_without_value)
