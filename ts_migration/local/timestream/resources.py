"""The control half of the write API: databases, tables and their tags.

Here belong create, describe, list, update and delete. Writing records does not. A request has been held against the
service's model already; what is checked here needs the registry.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from ts_migration.local.timestream import naming
from ts_migration.local.timestream.refusals import (
    ConflictError,
    QuotaExceededError,
    ResourceNotFoundError,
    ValidationError,
)
from ts_migration.local.timestream.registry import (
    DEFAULT_MAGNETIC_DAYS,
    DEFAULT_MEMORY_HOURS,
    Database,
    Registry,
    Table,
)
from ts_migration.local.timestream.storage import Storage
from ts_migration.local.timestream.wire import Caller

Members = dict[str, Any]
Clock = Callable[[], int]
"""Nanoseconds since the epoch."""
_Named = TypeVar("_Named", Database, Table)

_PAGE = 20
_DEFAULT_KEY = "arn:aws:kms:{region}:123456789012:key/00000000-0000-0000-0000-000000000000"
_ARN = re.compile(r"arn:aws:timestream:[^:]*:\d{12}:database/(?P<database>[^/]+)(/table/(?P<table>[^/]+))?")


def find_database(registry: Registry, name: str) -> Database:
    """The database, or the service's error."""
    if name not in registry.databases:
        raise ResourceNotFoundError(f"The database {name} does not exist.")
    return registry.databases[name]


def find_table(registry: Registry, database: str, name: str) -> Table:
    """The table, or the service's error for what is missing."""
    find_database(registry, database)
    if (database, name) not in registry.tables:
        raise ResourceNotFoundError(f"The table {name} does not exist.")
    return registry.tables[(database, name)]


class Resources:
    """Databases, tables and tags over one storage.

    Args:
        clock: nanoseconds since the epoch, for creation and update times.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    def create_database(self, request: Members, caller: Caller) -> Members:
        """CreateDatabase."""
        name = request["DatabaseName"]
        _refuse_name(name)
        now_ms = self._clock() // 1_000_000
        key = request.get("KmsKeyId") or _DEFAULT_KEY.format(region=caller.region)
        database = Database(name, key, now_ms, now_ms)
        with self._storage.writing() as transaction:
            if name in transaction.registry.databases:
                raise ConflictError(f"The database {name} already exists.")
            if len(transaction.registry.databases) >= naming.MAX_DATABASES:
                raise QuotaExceededError(f"An account has at most {naming.MAX_DATABASES} databases.")
            transaction.put_database(database)
            _put_tags(transaction.connection, _tag_key(name, None), request.get("Tags", []))
        return {"Database": database.member(caller.region, 0)}

    def describe_database(self, request: Members, caller: Caller) -> Members:
        """DescribeDatabase."""
        registry = self._storage.registry
        database = find_database(registry, request["DatabaseName"])
        return {"Database": database.member(caller.region, len(registry.tables_of(database.name)))}

    def list_databases(self, request: Members, caller: Caller) -> Members:
        """ListDatabases, by name, at most 20 a page."""
        registry = self._storage.registry
        page, token = _page([registry.databases[name] for name in sorted(registry.databases)], request)
        members = [database.member(caller.region, len(registry.tables_of(database.name))) for database in page]
        return {"Databases": members, **token}

    def update_database(self, request: Members, caller: Caller) -> Members:
        """UpdateDatabase: another key."""
        with self._storage.writing() as transaction:
            database = find_database(transaction.registry, request["DatabaseName"])
            changed = replace(database, kms_key_id=request["KmsKeyId"], updated_ms=self._clock() // 1_000_000)
            transaction.put_database(changed)
            count = len(transaction.registry.tables_of(database.name))
        return {"Database": changed.member(caller.region, count)}

    def delete_database(self, request: Members, _caller: Caller) -> Members:
        """DeleteDatabase: only one that has no tables."""
        name = request["DatabaseName"]
        with self._storage.writing() as transaction:
            find_database(transaction.registry, name)
            if transaction.registry.tables_of(name):
                raise ValidationError(
                    f"The database {name} cannot be deleted because it still has tables. Delete them first."
                )
            transaction.drop_database(name)
            _drop_tags(transaction.connection, _tag_key(name, None), None)
        return {}

    def create_table(self, request: Members, caller: Caller) -> Members:
        """CreateTable."""
        name = request["TableName"]
        _refuse_name(name)
        now_ms = self._clock() // 1_000_000
        retention = request.get("RetentionProperties") or {}
        with self._storage.writing() as transaction:
            database = find_database(transaction.registry, request["DatabaseName"])
            if (database.name, name) in transaction.registry.tables:
                raise ConflictError(f"The table {name} already exists.")
            if len(transaction.registry.tables) >= naming.MAX_TABLES:
                raise QuotaExceededError(f"An account has at most {naming.MAX_TABLES} tables.")
            table = Table(
                number=transaction.next_table_number(),
                database=database.name,
                name=name,
                memory_hours=retention.get("MemoryStoreRetentionPeriodInHours", DEFAULT_MEMORY_HOURS),
                magnetic_days=retention.get("MagneticStoreRetentionPeriodInDays", DEFAULT_MAGNETIC_DAYS),
                magnetic_writes=request.get("MagneticStoreWriteProperties") or {"EnableMagneticStoreWrites": False},
                partition_key=_partition_key(request.get("Schema") or {}),
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            transaction.put_table(table)
            _put_tags(transaction.connection, _tag_key(database.name, name), request.get("Tags", []))
        return {"Table": table.member(caller.region)}

    def describe_table(self, request: Members, caller: Caller) -> Members:
        """DescribeTable."""
        table = find_table(self._storage.registry, request["DatabaseName"], request["TableName"])
        return {"Table": table.member(caller.region)}

    def list_tables(self, request: Members, caller: Caller) -> Members:
        """ListTables of one database or of all, at most 20 a page."""
        registry = self._storage.registry
        database = request.get("DatabaseName")
        if database is not None:
            find_database(registry, database)
            tables = registry.tables_of(database)
        else:
            tables = [registry.tables[key] for key in sorted(registry.tables)]
        page, token = _page(tables, request)
        return {"Tables": [table.member(caller.region) for table in page], **token}

    def update_table(self, request: Members, caller: Caller) -> Members:
        """UpdateTable: retention, magnetic writes, and how strictly a partition key is enforced."""
        retention = request.get("RetentionProperties")
        with self._storage.writing() as transaction:
            table = find_table(transaction.registry, request["DatabaseName"], request["TableName"])
            if retention:
                table = replace(
                    table,
                    memory_hours=retention["MemoryStoreRetentionPeriodInHours"],
                    magnetic_days=retention["MagneticStoreRetentionPeriodInDays"],
                )
            if request.get("MagneticStoreWriteProperties"):
                table = replace(table, magnetic_writes=request["MagneticStoreWriteProperties"])
            if request.get("Schema"):
                table = replace(table, partition_key=_changed_partition_key(table, request["Schema"]))
            table = replace(table, updated_ms=self._clock() // 1_000_000)
            transaction.put_table(table)
        return {"Table": table.member(caller.region)}

    def delete_table(self, request: Members, _caller: Caller) -> Members:
        """DeleteTable, with its records."""
        with self._storage.writing() as transaction:
            table = find_table(transaction.registry, request["DatabaseName"], request["TableName"])
            transaction.drop_table(table)
            _drop_tags(transaction.connection, _tag_key(table.database, table.name), None)
        return {}

    def tag_resource(self, request: Members, _caller: Caller) -> Members:
        """TagResource."""
        with self._storage.writing() as transaction:
            key = _tagged(transaction.registry, request["ResourceARN"])
            _put_tags(transaction.connection, key, request["Tags"])
        return {}

    def untag_resource(self, request: Members, _caller: Caller) -> Members:
        """UntagResource."""
        with self._storage.writing() as transaction:
            key = _tagged(transaction.registry, request["ResourceARN"])
            _drop_tags(transaction.connection, key, request["TagKeys"])
        return {}

    def list_tags(self, request: Members, _caller: Caller) -> Members:
        """ListTagsForResource."""
        key = _tagged(self._storage.registry, request["ResourceARN"])
        connection = self._storage.reading()
        try:
            rows = connection.execute(
                "SELECT key, value FROM registry.tags WHERE arn = ? ORDER BY key", [key]
            ).fetchall()
        finally:
            connection.close()
        return {"Tags": [{"Key": name, "Value": value} for name, value in rows]}


def _refuse_name(name: str) -> None:
    problem = naming.resource_name_problem(name)
    if problem:
        raise ValidationError(problem)


def _page(resources: list[_Named], request: Members) -> tuple[list[_Named], Members]:
    """One page and the member that asks for the next. A token is the last name given out, so deletions cost nothing."""
    token = request.get("NextToken")
    if token:
        try:
            after = base64.urlsafe_b64decode(token.encode()).decode()
        except ValueError as error:
            raise ValidationError("Invalid pagination token.") from error
        resources = [resource for resource in resources if _position(resource) > after]
    page = resources[: request.get("MaxResults", _PAGE)]
    if len(page) == len(resources):
        return page, {}
    return page, {"NextToken": base64.urlsafe_b64encode(_position(page[-1]).encode()).decode()}


def _position(resource: Database | Table) -> str:
    # NUL sorts below every character of a name: the order is that of (database, table).
    return f"{resource.database}\0{resource.name}" if isinstance(resource, Table) else resource.name


def _partition_key(schema: Members) -> tuple[Members, ...]:
    keys = schema.get("CompositePartitionKey") or [{"Type": "MEASURE"}]
    if len(keys) > 1:
        raise ValidationError("A composite partition key has exactly one partition key.")
    (key,) = keys
    if key["Type"] == "MEASURE":
        if "Name" in key or "EnforcementInRecord" in key:
            raise ValidationError("A partition key of type MEASURE has neither Name nor EnforcementInRecord.")
        return (dict(key),)
    problem = naming.column_name_problem(key.get("Name", ""), naming.MAX_DIMENSION_NAME_BYTES)
    if problem:
        raise ValidationError(f"The partition key of type DIMENSION is not valid. {problem}")
    return ({"EnforcementInRecord": "OPTIONAL", **key},)


def _changed_partition_key(table: Table, schema: Members) -> tuple[Members, ...]:
    changed = _partition_key(schema)
    before = [(key["Type"], key.get("Name")) for key in table.partition_key]
    if [(key["Type"], key.get("Name")) for key in changed] != before:
        raise ValidationError("Type and name of a partition key cannot be changed after the table was created.")
    return changed


def _tag_key(database: str, table: str | None) -> str:
    """Tags are kept by name, not by ARN: the region of an ARN is the caller's, and there is one server."""
    return f"{database}/{table}" if table else database


def _tagged(registry: Registry, arn: str) -> str:
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ValidationError(f"Not the ARN of a database or table: {arn}")
    if match["table"]:
        find_table(registry, match["database"], match["table"])
    else:
        find_database(registry, match["database"])
    return _tag_key(match["database"], match["table"])


def _put_tags(connection: Any, key: str, tags: list[Members]) -> None:
    _drop_tags(connection, key, [tag["Key"] for tag in tags])
    for tag in tags:
        connection.execute("INSERT INTO registry.tags VALUES (?, ?, ?)", [key, tag["Key"], tag["Value"]])


def _drop_tags(connection: Any, key: str, names: list[str] | None) -> None:
    if names is None:
        connection.execute("DELETE FROM registry.tags WHERE arn = ?", [key])
    elif names:
        connection.execute("DELETE FROM registry.tags WHERE arn = ? AND list_contains(?, key)", [key, names])
