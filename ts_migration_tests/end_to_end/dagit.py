"""`dagster dev` as a subprocess, as somebody starts it in a working folder, and its GraphQL API as the UI uses it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from ts_migration_tests.embedded_stack import CHECKOUT, clean_environment

LOCATION = {"repositoryLocationName": "ts_migration", "repositoryName": "__repository__"}
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
Found = TypeVar("Found")


def await_value(look: Callable[[], Found | None], what: str, timeout_s: float = 90) -> Found:
    """What `look` gives once it is not None."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited {timeout_s} s in vain: {what}")


class Dagit:
    """A running webserver and daemon. Assets are named by their path, `database/table/asset`."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log
        self._http = urllib3.PoolManager()

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data that a query or a mutation gives."""
        answer = self._http.request(
            "POST", f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=60, retries=False
        )
        document = answer.json()
        assert "errors" not in document, document["errors"]
        return document["data"]

    # What the workspace holds

    def assets(self) -> set[str]:
        """Paths of all assets."""
        return {"/".join(node["assetKey"]["path"]) for node in self.ask("{assetNodes{assetKey{path}}}")["assetNodes"]}

    def location_error(self) -> str | None:
        """What the code location failed with, if it did; None as well while it loads."""
        text = """{workspaceOrError{... on Workspace{locationEntries{
            locationOrLoadError{__typename ... on PythonError{message}}}}}}"""
        (entry,) = self.ask(text)["workspaceOrError"]["locationEntries"]
        return (entry["locationOrLoadError"] or {}).get("message")

    # Launching

    def launch(self, job: str, *assets: str, **tags: str) -> str:
        """Launch a job, or a selection of its assets, with tags; the run's id."""
        selector: dict[str, Any] = {**LOCATION, "pipelineName": job}
        if assets:
            selector["assetSelection"] = [{"path": asset.split("/")} for asset in assets]
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        answer = self.ask(
            """mutation($p:ExecutionParams!){launchPipelineExecution(executionParams:$p){__typename
            ... on LaunchRunSuccess{run{runId}} ... on Error{message}}}""",
            p={"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": pairs}},
        )["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def backfill(self, assets: Sequence[str], partitions: Sequence[str]) -> str:
        """Launch a backfill, as the dialog over a range of partitions does; its id."""
        params = {
            "assetSelection": [{"path": asset.split("/")} for asset in assets],
            "partitionNames": list(partitions),
            "title": "a range",
        }
        answer = self.ask(
            """mutation($p:LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p){__typename
            ... on LaunchBackfillSuccess{backfillId} ... on Error{message}}}""",
            p=params,
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    # What became of it

    def status_of(self, run_id: str) -> str:
        """Status of a run."""
        return str(
            self.ask("query($r:ID!){runOrError(runId:$r){... on Run{status}}}", r=run_id)["runOrError"]["status"]
        )

    def finish(self, run_id: str) -> str:
        """Wait for a run's end; its status."""

        def look() -> str | None:
            status = self.status_of(run_id)
            return status if status in FINISHED else None

        return await_value(look, f"run {run_id} to end")

    def status_of_backfill(self, backfill_id: str) -> str:
        """Status of a backfill."""
        text = "query($b:String!){partitionBackfillOrError(backfillId:$b){... on PartitionBackfill{status}}}"
        return str(self.ask(text, b=backfill_id)["partitionBackfillOrError"]["status"])

    def loading(self, backfill_id: str) -> str | None:
        """Id of a run of a backfill that loads its window now."""
        answer = self.ask(
            """query($b:String!){partitionBackfillOrError(backfillId:$b){... on PartitionBackfill{
            runs{runId stepStats{stepKey status}}}}}""",
            b=backfill_id,
        )["partitionBackfillOrError"]
        for run in answer["runs"]:
            for step in run["stepStats"]:
                if "influxdb_bucket" in step["stepKey"] and step["status"] in (None, "IN_PROGRESS"):
                    return str(run["runId"])
        return None

    def runs_of_backfill(self, backfill_id: str) -> dict[str, str]:
        """Partition -> status, of the runs that a backfill has launched."""
        answer = self.ask(
            """query($b:String!){partitionBackfillOrError(backfillId:$b){
            ... on PartitionBackfill{runs{status tags{key value}}} ... on Error{message}}}""",
            b=backfill_id,
        )["partitionBackfillOrError"]
        return {
            tag["value"]: run["status"]
            for run in answer["runs"]
            for tag in run["tags"]
            if tag["key"] == "dagster/partition"
        }

    def failures_of(self, run_id: str) -> list[str]:
        """What the failed steps of a run said."""
        answer = self.ask(
            """query($r:ID!){logsForRun(runId:$r,limit:1000){... on EventConnection{events{
            ... on ExecutionStepFailureEvent{error{message} failureMetadata{description}}}}}}""",
            r=run_id,
        )
        events = [event for event in answer["logsForRun"]["events"] if event]
        return [
            str((event["failureMetadata"] or {}).get("description") or (event["error"] or {}).get("message"))
            for event in events
        ]

    # What is known of an asset

    def _node(self, asset: str, selection: str) -> dict[str, Any]:
        text = f"query($k:AssetKeyInput!){{assetNodeOrError(assetKey:$k){{... on AssetNode{{{selection}}}}}}}"
        return self.ask(text, k={"path": asset.split("/")})["assetNodeOrError"]

    def partitions(self, asset: str, status: str = "MATERIALIZED") -> set[str]:
        """Partition keys of a status, of windows of a month."""
        selection = "assetPartitionStatuses{... on TimePartitionStatuses{ranges{status startKey endKey}}}"
        return _of_ranges(self._node(asset, selection)["assetPartitionStatuses"]["ranges"], status)

    def materializations(self, asset: str, *partitions: str) -> list[dict[str, Any]]:
        """Newest first, each as its metadata."""
        chosen = f"(partitions:{list(partitions)!r})".replace("'", '"') if partitions else ""
        entries = "label ... on IntMetadataEntry{intValue} ... on TextMetadataEntry{text} ... on FloatMetadataEntry{floatValue}"
        found = self._node(asset, f"assetMaterializations{chosen}{{metadataEntries{{{entries}}}}}")[
            "assetMaterializations"
        ]
        return [
            {entry.pop("label"): next(iter(entry.values()), None) for entry in event["metadataEntries"]}
            for event in found
        ]

    def stale(self, asset: str, partition: str) -> str:
        """FRESH, STALE or MISSING, by Dagster's own data versions."""
        selection = f'staleStatusByPartition(partitions:["{partition}"])'
        return str(self._node(asset, selection)["staleStatusByPartition"][0])

    def verdicts(self, asset: str, status: str) -> dict[str, set[str]]:
        """Check -> partitions whose current verdict has a status, such as SUCCEEDED or FAILED."""
        ranges = "partitionStatuses{... on AssetCheckTimePartitionStatuses{ranges{status startKey endKey}}}"
        checks = self._node(asset, f"assetChecksOrError{{... on AssetChecks{{checks{{name {ranges}}}}}}}")
        return {
            check["name"]: _of_ranges(check["partitionStatuses"]["ranges"], status)
            for check in checks["assetChecksOrError"]["checks"]
        }

    def executions(self, asset: str, check: str) -> list[dict[str, Any]]:
        """Executions of a check, newest first: status, partition, and what its evaluation says."""
        return self.ask(
            """query($k:AssetKeyInput!,$c:String!){assetCheckExecutions(assetKey:$k,checkName:$c,limit:50){
            status partition evaluation{success severity metadataEntries{label ... on TextMetadataEntry{text}
            ... on TableMetadataEntry{table{records}}}}}}""",
            k={"path": asset.split("/")},
            c=check,
        )["assetCheckExecutions"]

    def skip_reason(self, sensor: str) -> str:
        """What the newest skipped tick of a sensor says."""
        answer = self.ask(
            """query($s:SensorSelector!){sensorOrError(sensorSelector:$s){
            ... on Sensor{sensorState{status ticks(limit:5,statuses:[SKIPPED]){skipReason}}}}}""",
            s={**LOCATION, "sensorName": sensor},
        )["sensorOrError"]["sensorState"]
        assert answer["status"] == "RUNNING", answer
        return str(answer["ticks"][0]["skipReason"]) if answer["ticks"] else ""


def _of_ranges(ranges: Sequence[dict[str, Any]], status: str) -> set[str]:
    """Keys of months that lie in the ranges of a status."""
    return {
        f"{month // 12:04d}-{month % 12 + 1:02d}-01"
        for found in ranges
        if found["status"] == status
        for month in range(_month(found["startKey"]), _month(found["endKey"]) + 1)
    }


def _month(key: str) -> int:
    return int(key[:4]) * 12 + int(key[5:7]) - 1


@contextmanager
def dagster_dev(folder: Path) -> Iterator[Dagit]:
    """`dagster dev` in a working folder, in a shell without any export; all its processes are stopped at the end."""
    shutil.copy(CHECKOUT / "workspace.yaml", folder / "workspace.yaml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "dagster-dev.log"
    program = Path(sys.executable).with_name("dagster")
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "dev", "-h", "127.0.0.1", "-p", str(port)],
            cwd=folder,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        dagit = Dagit(f"http://127.0.0.1:{port}", log)
        await_value(lambda: _answers(dagit, process), f"dagster dev, see {log}")
        yield dagit
    finally:
        # Not SIGINT: a session that runs in the background may have it ignored, and its children with it.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        # Servers of the code location outlive a hurried end; they are of this session only.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(dagit: Dagit, process: "subprocess.Popen[bytes]") -> bool | None:
    assert process.poll() is None, dagit.log.read_text()[-3000:]
    try:
        return bool(dagit.assets()) or bool(dagit.location_error()) or None
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
