"""InfluxQL over the points of a bucket, answered as InfluxDB 2.7.11 answers it.

`execute` is all that the server needs. A text becomes a tree (`lexer`, `parser`, `statement_parser`, `syntax`), a
SELECT is checked (`selection`) and resolved (`plan`), read (`raw`, `aggregates`) and written (`writing`).
"""

from ts_migration.local.influxdb.influxql.execution import execute

__all__ = ["execute"]
