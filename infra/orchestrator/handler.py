"""The orchestrator Lambda: starts, reads, cancels and rolls back a migration through Dagster's GraphQL API.

Events: {"action": "start", "tables": ["database/table"]}, by default all tables; {"action": "status", "migration": what
start answered}, and so for "cancel" and "roll_back". It holds no state and moves no rows: Dagster does. What it needs
is in the standard library and the Lambda runtime.
"""

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

Event = dict[str, Any]
Migration = dict[str, Any]

TIMEOUT_S = 50
ROLL_UP_S = 900
"""So long after a backfill `migrated` may be made: the roll-up sensor looks every 15 s, and its run waits its turn."""
WINDOW_ASSETS = ("export_files", "line_protocol_files", "shard_files", "influxdb_bucket")
"""Assets of a window, upstream first; a table has line protocol or shards."""
ENDED_WELL, ENDED_BADLY = {"COMPLETED_SUCCESS", "COMPLETED"}, {"COMPLETED_FAILED", "FAILED"}
CANCELLED = {"CANCELED"}

TABLES = "query Tables { assetNodes { assetKey { path } isPartitioned } }"
START = """mutation Start($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}"""
CANCEL = """mutation Cancel($backfill: String!) {
  cancelPartitionBackfill(backfillId: $backfill) {
    __typename
    ... on CancelBackfillSuccess { backfillId }
    ... on Error { message }
  }
}"""
STATUS = """query Status($backfill: String!, $bucket: AssetKeyInput!, $migrated: AssetKeyInput!) {
  partitionBackfillOrError(backfillId: $backfill) {
    __typename
    ... on PartitionBackfill {
      status
      endTimestamp
      numPartitions
      error { message }
    }
    ... on Error { message }
  }
  bucket: assetNodeOrError(assetKey: $bucket) {
    ... on AssetNode {
      partitionStats { numPartitions numMaterialized numFailed }
      assetMaterializations(limit: 1) { timestamp }
    }
  }
  migrated: assetNodeOrError(assetKey: $migrated) {
    ... on AssetNode {
      assetMaterializations(limit: 1) { timestamp }
      assetChecksOrError {
        ... on AssetChecks { checks { name executionForLatestMaterialization { status evaluation { severity } } } }
      }
    }
  }
}"""
REPOSITORIES = """query Repositories {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on Error { message }
  }
}"""
LAUNCH = """mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}"""


class OrchestratorError(Exception):
    """What went wrong and what to do next; Step Functions shows it as the error's cause."""


def handler(event: Event, _context: object = None) -> Any:
    """Lambda's entry point: the answer to an event, as JSON."""
    actions = {"start": start, "status": status, "cancel": cancel, "roll_back": roll_back}
    action = event.get("action")
    if action not in actions:
        raise OrchestratorError(f"the event's action is {action!r}; allowed: {', '.join(actions)}")
    return actions[action](event)


def start(event: Event) -> Migration:
    """A backfill of every window of each table. Windows that are done already cost a look and nothing more."""
    wanted = event.get("tables") or (event.get("request") or {}).get("tables")
    known = _tables()
    tables = list(wanted or known)
    unknown = [table for table in tables if table not in known]
    if unknown or not tables:
        raise OrchestratorError(
            f"Dagster knows no table {', '.join(unknown) or 'at all'}; it knows {', '.join(known) or 'none'}. "
            "Next: compare with the configuration that the code location loads"
        )
    started: list[dict[str, str]] = []
    for table in tables:
        # A backfill's runs take no tags from a job: with the table's, the instance's limits by table hold for them.
        tags = {
            "ts_migration/started_by": event.get("execution") or "orchestrator",
            "ts_migration/table": ".".join(table.split("/")[:2]),
        }
        params = {
            "assetSelection": [_key(table, asset) for asset in known[table]],
            "allPartitions": True,
            "title": f"Migrate {table}"[:100],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        try:
            answer = _only(_ask(START, params=params), "launchPartitionBackfill", "LaunchBackfillSuccess")
        except OrchestratorError as error:
            begun = ", ".join(each["backfill"] for each in started)
            raise OrchestratorError(f"{table}: {error}" + (f" (begun before it: {begun})" if begun else "")) from None
        started.append({"table": table, "backfill": answer["backfillId"]})
    return {"tables": started}


def status(event: Event) -> dict[str, Any]:
    """How a migration does: RUNNING, SUCCEEDED, FAILED or CANCELLED, and why, for each table and for all of them."""
    tables = [_table_status(each["table"], each["backfill"]) for each in _migration(event)]
    states = [table["state"] for table in tables]
    # While one table runs the migration does: a rollback of another may wait, and nothing is told twice.
    overall = next((state for state in ("RUNNING", "FAILED", "CANCELLED") if state in states), "SUCCEEDED")
    return {"state": overall, "tables": tables}


def cancel(event: Event) -> dict[str, Any]:
    """Stop the backfills of a migration, and with them their runs. What is loaded stays, and a new start goes on."""
    backfills = [each["backfill"] for each in _migration(event)]
    for backfill in backfills:
        _only(_ask(CANCEL, backfill=backfill), "cancelPartitionBackfill", "CancelBackfillSuccess")
    return {"cancelling": backfills}


def roll_back(event: Event) -> dict[str, Any]:
    """Launch the rollback of every table of a migration that failed."""
    answer = _only(_ask(REPOSITORIES), "repositoriesOrError", "RepositoryConnection")
    jobs = {
        job["name"]: {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}
        for node in answer["nodes"]
        for job in node["jobs"]
    }
    failed = [each["table"] for each in status(event)["tables"] if each["state"] == "FAILED"]
    names = {table: f"roll_back_{table.replace('/', '__')}" for table in failed}
    missing = [name for name in names.values() if name not in jobs]
    if missing:
        raise OrchestratorError(
            f"Dagster has no job {', '.join(missing)}. Next: ts-migration rollback JOB --approve, where the tool runs"
        )
    launched = []
    for table, name in names.items():
        params = {"selector": {**jobs[name], "jobName": name}, "runConfigData": {}}
        run = _only(_ask(LAUNCH, params=params), "launchRun", "LaunchRunSuccess")["run"]["runId"]
        launched.append({"table": table, "run": run})
    return {"rolled_back": launched}


def _table_status(table: str, backfill: str) -> dict[str, Any]:
    answer = _ask(STATUS, backfill=backfill, bucket=_key(table, "influxdb_bucket"), migrated=_key(table, "migrated"))
    found = _only(answer, "partitionBackfillOrError", "PartitionBackfill")
    stats = (answer["bucket"] or {}).get("partitionStats") or {}
    state, reason = _state(found, answer["bucket"] or {}, answer["migrated"] or {})
    return {
        "table": table,
        "backfill": backfill,
        "state": state,
        "reason": reason,
        "windows": stats.get("numPartitions", found["numPartitions"]),
        "loaded": stats.get("numMaterialized", 0),
        "failed": stats.get("numFailed", 0),
    }


def _state(backfill: dict[str, Any], bucket: dict[str, Any], migrated: dict[str, Any]) -> tuple[str, str]:
    """State of a table and why: a backfill that ended well is half of it, the proof of the whole table the other."""
    if backfill["status"] in CANCELLED:
        return "CANCELLED", "the backfill was cancelled"
    if backfill["status"] in ENDED_BADLY:
        error = (backfill.get("error") or {}).get("message", "")
        return "FAILED", error.splitlines()[0] if error else "runs of windows failed: see their logs in Dagit"
    if backfill["status"] not in ENDED_WELL:
        return "RUNNING", f"the backfill is {backfill['status'].lower()}"
    checks = ((migrated.get("assetChecksOrError") or {}).get("checks")) or []
    verdicts = {check["name"]: check.get("executionForLatestMaterialization") for check in checks}
    if _newest(migrated) >= _newest(bucket) > 0 and verdicts and all(verdicts.values()):
        bad = [name for name, verdict in verdicts.items() if not _passed(verdict)]
        if not any(verdict["status"] == "IN_PROGRESS" for verdict in verdicts.values()):
            if bad:
                return "FAILED", f"checks of the whole table failed: {', '.join(bad)}"
            return "SUCCEEDED", "every window is there and every check of the whole table passed"
    waited = time.time() - (backfill.get("endTimestamp") or time.time())
    if waited > ROLL_UP_S:
        return (
            "FAILED",
            f"`migrated` was not made within {ROLL_UP_S} s: rollup_sensor's ticks in Dagit say what it waits for",
        )
    return "RUNNING", "all windows are done; `migrated` is not made yet"


def _passed(verdict: dict[str, Any]) -> bool:
    warned = (verdict.get("evaluation") or {}).get("severity") == "WARN"
    return verdict["status"] == "SUCCEEDED" or (verdict["status"] == "FAILED" and warned)


def _newest(node: dict[str, Any]) -> float:
    """Time of the newest materialisation, in ms; 0 where there is none."""
    found = node.get("assetMaterializations") or []
    return float(found[0]["timestamp"]) if found else 0.0


def _migration(event: Event) -> list[dict[str, str]]:
    tables = (event.get("migration") or {}).get("tables")
    if not tables:
        raise OrchestratorError("the event names no migration; next: give what `start` answered as `migration`")
    return list(tables)


def _tables() -> dict[str, list[str]]:
    """Tables that Dagster's workspace can migrate, by the path that their assets share, and the assets of a window."""
    nodes = _ask(TABLES)["assetNodes"]
    paths = [node["assetKey"]["path"] for node in nodes if node["isPartitioned"]]
    tables = sorted("/".join(path[:-1]) for path in paths if path[-1] == WINDOW_ASSETS[0])
    return {table: [asset for asset in WINDOW_ASSETS if [*table.split("/"), asset] in paths] for table in tables}


def _key(table: str, asset: str) -> dict[str, list[str]]:
    return {"path": [*table.split("/"), asset]}


def _only(answer: dict[str, Any], field: str, expected: str) -> dict[str, Any]:
    """A field's object if it is of the type that is good; Dagster tells failures as objects of other types."""
    found: dict[str, Any] = answer[field]
    if found["__typename"] != expected:
        raise OrchestratorError(f"Dagster answered {found['__typename']}: {found.get('message', 'without a message')}")
    return found


def _ask(query: str, **variables: Any) -> dict[str, Any]:
    """The data that Dagster answers a query with."""
    url = f"{os.environ['DAGSTER_URL'].rstrip('/')}/graphql"
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", **_headers()}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - Terraform lets http and https pass
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            document = json.load(response)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise OrchestratorError(
            f"Dagster at {url} does not answer: {error}. Next: is the webserver up, and may the Lambda reach it?"
        ) from error
    if document.get("errors"):
        raise OrchestratorError(f"Dagster refused the query: {document['errors'][0].get('message')}")
    data: dict[str, Any] = document["data"]
    return data


def _headers() -> dict[str, str]:
    """Headers that the webserver's proxy asks for, from a secret; read each time, so that a new one counts at once."""
    arn = os.environ.get("DAGSTER_HEADERS_SECRET_ARN")
    if not arn:
        return {}
    import boto3

    content: dict[str, str] = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    return content
