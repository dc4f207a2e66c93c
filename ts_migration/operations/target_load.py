"""CPU, memory, disk and queue of the InfluxDB, from its `/metrics`, and where it is a managed one from CloudWatch.

Asked with short time-outs and without the token; what is not told is None, and why is said once. Never raises.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from ts_migration.aws import client
from ts_migration.errors import MigrationError
from ts_migration.influxdb.connection import pool_to
from ts_migration.influxdb.server_metrics import ServerMetrics, read_metrics

TIMEOUT_S = 3.0
MANAGED = ".timestream-influxdb."
"""Part of every endpoint of Timestream for InfluxDB."""
PERIOD_S = 300


@dataclass(frozen=True)
class TargetLoad:
    """The server now.

    Attributes:
        cpu: share of one processor by `/metrics` since the last look, of the instance by CloudWatch.
        memory: bytes of the server's process.
        memory_share, disk_share: of the instance, by CloudWatch.
        disk: bytes of data files and write-ahead logs.
        queued: compactions that wait.
        dropped: points that the server dropped since its start.
        problem: why something is not told.
    """

    url: str
    cpu: float | None = None
    memory: int | None = None
    memory_share: float | None = None
    disk: int | None = None
    disk_share: float | None = None
    queued: int | None = None
    dropped: int | None = None
    problem: str = ""


class TargetMeter:
    """Looks at one server again and again.

    Args:
        url: of the server.
        region: AWS Region; of the endpoint's name by default.
    """

    def __init__(self, url: str, region: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._region = region
        self._pool = pool_to(self._url, retries=False, timeout=TIMEOUT_S)
        self._before: tuple[float, ServerMetrics] | None = None
        host = urlsplit(self._url).hostname or ""
        self._managed = _Managed(host, region) if MANAGED in host else None

    def look(self) -> TargetLoad:
        """The load now."""
        found = self._by_metrics()
        return found if self._managed is None else self._managed.added_to(found)

    def _by_metrics(self) -> TargetLoad:
        try:
            answer = self._pool.request("GET", f"{self._url}/metrics")
        except (HTTPError, ValueError) as error:
            words = str(error).rpartition("): ")[2] or type(error).__name__
            return TargetLoad(self._url, problem=f"/metrics cannot be read: {words}")
        if answer.status != 200:
            return TargetLoad(self._url, problem=f"/metrics answers {answer.status}")
        now, told = time.monotonic(), read_metrics(answer.data.decode("utf-8", "replace"))
        before, self._before = self._before, (now, told)
        return TargetLoad(
            self._url,
            cpu=_cpu_since(before, (now, told)),
            memory=told.memory,
            disk=told.disk,
            queued=told.queued,
            dropped=told.dropped,
        )


def _cpu_since(before: tuple[float, ServerMetrics] | None, now: tuple[float, ServerMetrics]) -> float | None:
    if before is None or before[1].cpu_seconds is None or now[1].cpu_seconds is None or now[0] <= before[0]:
        return None
    return max(0.0, (now[1].cpu_seconds - before[1].cpu_seconds) / (now[0] - before[0]))


class _Managed:
    """A Timestream for InfluxDB instance, found by its endpoint.

    The namespace of its metrics is asked of CloudWatch by their dimension: documents name two.
    """

    def __init__(self, host: str, region: str | None) -> None:
        self._host = host
        self._region = region or host.partition(MANAGED)[2].partition(".")[0] or None
        self._metrics: list[dict[str, Any]] | None = None
        self._problem = ""

    def added_to(self, load: TargetLoad) -> TargetLoad:
        """The load with what CloudWatch knows of the instance."""
        try:
            values = self._values()
        except (ClientError, BotoCoreError, MigrationError) as error:
            self._problem = f"CloudWatch: {str(error).splitlines()[0][:200]}"
            values = {}
        problem = "; ".join(filter(None, [load.problem, self._problem]))
        return replace(
            load,
            cpu=values.get("CPUUtilization", load.cpu),
            memory_share=values.get("MemoryUtilization"),
            disk_share=values.get("DiskUtilization"),
            problem=problem,
        )

    def _values(self) -> dict[str, float]:
        """Metric -> newest mean, a share of 1."""
        cloudwatch = client("cloudwatch", self._region)
        if self._metrics is None:
            self._metrics = self._listed(cloudwatch)
        if not self._metrics:
            return {}
        now = datetime.now(UTC)
        answer = cloudwatch.get_metric_data(
            StartTime=now - timedelta(seconds=3 * PERIOD_S),
            EndTime=now,
            ScanBy="TimestampDescending",
            MetricDataQueries=[
                {
                    "Id": f"m{number}",
                    "Label": metric["MetricName"],
                    "MetricStat": {"Metric": metric, "Period": PERIOD_S, "Stat": "Average"},
                }
                for number, metric in enumerate(self._metrics)
            ],
        )
        return {found["Label"]: found["Values"][0] / 100 for found in answer["MetricDataResults"] if found["Values"]}

    def _listed(self, cloudwatch: Any) -> list[dict[str, Any]]:
        pages = client("timestream-influxdb", self._region).get_paginator("list_db_instances").paginate()
        name = next(
            (each["name"] for page in pages for each in page["items"] if each.get("endpoint") == self._host), None
        )
        if name is None:
            self._problem = f"CloudWatch: no instance has the endpoint {self._host}"
            return []
        wanted = {"CPUUtilization", "MemoryUtilization", "DiskUtilization"}
        listed = cloudwatch.list_metrics(Dimensions=[{"Name": "DbInstanceName", "Value": name}])["Metrics"]
        return [
            {key: metric[key] for key in ("Namespace", "MetricName", "Dimensions")}
            for metric in listed
            if metric["MetricName"] in wanted
        ]
