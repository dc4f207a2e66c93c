"""What a migration leaves as a way back, and until when: exports in S3, the table in Timestream."""

from ts_migration.objects import BULK_PREFIX, ExportBucket


def what_is_kept(bucket: ExportBucket | None) -> str:
    """What is kept and until when; of the bucket's own lifecycle only what can be asked.

    Args:
        bucket: the export bucket; None where none is configured yet.
    """
    where = bucket.uri(BULK_PREFIX) if bucket else "the export bucket"
    days = bucket.expires_after_days(BULK_PREFIX) if bucket else None
    until = "until `ts-migration cleanup`"
    if days is not None:
        until += f", or for {days:,} days, after which a lifecycle rule of the bucket deletes them"
    return (
        f"kept: the exports in {where} {until} (`ts-migration restore-export` makes a table of them); "
        "Timestream is only read, and its rows stay until its own retention ends"
    )
