"""Small questions asked before a migration: how many rows a range holds, where a table's rows lie, does UNLOAD work.

What the answers mean for an operator is in `operations`.
"""

from ts_migration.errors import Permanent
from ts_migration.objects import ExportBucket
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.quoting import in_window, literal, moment, table_name
from ts_migration.timestream.unload import UnloadOptions, manifest_files
from ts_migration.windows import Window


def rows_in(query: TimestreamQuery, database: str, table: str, window: Window) -> int:
    """Rows of a table in a window, counted now."""
    return query.integer(f"SELECT count(*) FROM {table_name(database, table)} WHERE {in_window(window)}")


def rows_outside(query: TimestreamQuery, database: str, table: str, window: Window) -> tuple[int, int]:
    """Rows before a window, and at or after its end."""
    name = table_name(database, table)
    before = query.integer(f'SELECT count(*) FROM {name} WHERE "time" < {moment(window.start_ns)}')
    after = query.integer(f'SELECT count(*) FROM {name} WHERE "time" >= {moment(window.end_ns)}')
    return before, after


def time_span(query: TimestreamQuery, database: str, table: str) -> tuple[int, int] | None:
    """First and last time of a table, ns, or None where it holds no row."""
    sql = f'SELECT min("time") AS first_time, max("time") AS last_time FROM {table_name(database, table)}'
    row = next(query.rows(sql), {})
    first, last = row.get("first_time"), row.get("last_time")
    return (first, last) if isinstance(first, int) and isinstance(last, int) else None


def unload_one_row(
    query: TimestreamQuery, database: str, table: str, window: Window, bucket: ExportBucket, folder: str
) -> int:
    """Export one row of a window into a fresh folder of the bucket and check what landed there.

    Returns:
        Bytes of the exported file.

    Raises:
        MigrationError: Timestream refused, or what it left behind is not what its manifest says.
    """
    select = f"SELECT * FROM {table_name(database, table)} WHERE {in_window(window)} LIMIT 1"
    sql = f"UNLOAD ({select}) TO {literal(bucket.uri(folder))} WITH ({UnloadOptions().text()})"
    answer = list(query.rows(sql))
    uri = str(answer[0].get("manifestFile") or "") if answer else ""
    if not uri:
        raise Permanent("the UNLOAD ended without naming a manifest", where=bucket.uri(folder))
    files = manifest_files(bucket.get(bucket.key_of(uri)), uri, bucket)
    rows = sum(file.rows for file in files)
    if rows != 1:
        raise Permanent(f"the UNLOAD of one row wrote {rows} rows", where=uri)
    for file in files:
        if bucket.size(file.key) != file.bytes:
            raise Permanent("a file of the UNLOAD is not as large as its manifest says", where=bucket.uri(file.key))
    return sum(file.bytes for file in files)
