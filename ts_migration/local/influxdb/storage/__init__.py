"""Buckets on disk: write-ahead log, field types per shard group, sorted runs of columns, deletes, snapshots to read.

No HTTP, no line protocol syntax and no query language belong here.
"""
