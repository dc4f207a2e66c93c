"""What Dagit says of a table's assets: what each holds, and how to read its metadata. Texts only."""

from ts_migration.config import MigrationJob

SAME_IN_ALL = """
`window` is the range, its end excluded. `manifest` is the object in S3 that proves the stage; `digest` is its
sha256, which the next stage names as its parent. `seconds` and the rates are of the stage that did the work: a
window that was done already keeps its numbers.
"""

NEXT = """
**Where it sticks**: `ts-migration status`, then the run's log. Materialising a window again costs nothing where it
is done.
"""


def export_files(job: MigrationJob) -> str:
    """Of the export files."""
    return f"""Parquet files that UNLOAD wrote for one window of Timestream table `{job.source}`.

**How to read it**: `rows` and `bytes` are what AWS's own manifest says, every file checked against it; `files`
names the first 20. `queries` are Timestream's query ids, for a support case. `rows` of 0 is a window in which the
source holds nothing.
{SAME_IN_ALL}{NEXT}"""


def converted_files(job: MigrationJob) -> str:
    """Of the files that are loaded."""
    return _shard_files(job) if job.load == "bulk" else _line_protocol_files(job)


def _shard_files(job: MigrationJob) -> str:
    return f"""The window of `{job.source}` as files of InfluxDB's own shards (TSM).

One file holds a batch of rows of one shard group, by series and time.

**How to read it**: `rows` = `points` + `merged` + `quarantined` + `empty`, to the row. What is quarantined is the same
as for a load by line protocol: `ts-migration quarantine list` shows the rows with their reasons, and a window with any
is passed, not proven. `members` are files; each is decoded and compared with the digest of its rows before it is sent.
`text bytes` are those of the files.
{SAME_IN_ALL}{NEXT}"""


def _line_protocol_files(job: MigrationJob) -> str:
    return f"""The window of `{job.source}` as InfluxDB line protocol: gzip members, each the body of one write request.

**How to read it**: `rows` = `points` + `merged` + `quarantined` + `empty`, to the row. `quarantined` rows cannot be
said in line protocol: `ts-migration quarantine list` shows them with their reasons, and a window with any is
passed, not proven. `rewritten by …` counts rows that a rule of yours changed. `values` are fields with a value:
what the checks count.
{SAME_IN_ALL}{NEXT}"""


def influxdb_bucket(job: MigrationJob) -> str:
    """Of the loaded window."""
    return f"""The window's points in bucket `{job.target_bucket}`, measurement `{job.measurement}`.

**How to read it**: `points` were acknowledged by the server, in `requests`. `members resumed` were acknowledged in
an earlier run that was cut short. `lines refused` lie in the quarantine with the server's words. `retries` tell of
a server under load: lower `write_connections` where there are many. The five checks tell whether what was written
is what was exported; their metadata has `expected`, `actual`, `difference`, the stage that broke a value and the
first points that differ.
{SAME_IN_ALL}{NEXT}"""


def migrated(job: MigrationJob) -> str:
    """Of the whole table."""
    return f"""The whole of `{job.source}` in bucket `{job.target_bucket}`: every window present and proven.

**How to read it**: `status` is proven, or passed where somebody accepted windows (`accepted windows`). It is made
by `rollup_sensor` or `ts-migration execute` once every window is green; the sensor's ticks say what it waits for. A
check that reads *taken back* says that a window has changed since.
"""


REPORT = """Every table, window and check in one self-contained HTML file, and the same as JSON.

**How to read it**: `report` opens the page, `results` is the JSON; both lie under `reports/` in the export bucket.
`in words` is the summary for people, `next` the command to run next.
"""
