"""Flux over the points of a bucket: `execute` answers `/api/v2/query`, `analyze` answers `/api/v2/query/analyze`.

Reads through `points.Points` only, knows no HTTP server and no disk format. Supported is what operators, Grafana and
influxdb-client type; anything else is refused by an explicit error and never answered wrongly.
"""

from ts_migration.local.influxdb.flux.execution import analyze, execute
from ts_migration.local.influxdb.flux.session import BucketRow

__all__ = ["BucketRow", "analyze", "execute"]
