"""The HTTP server: one port for both Timestream services, and two paths of its own under ``/_embedded``.

Here belong routes, the table of operations, and turning errors into answers. What an operation does, does not.
"""

from __future__ import annotations

import ipaddress
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from anyio import to_thread
from pydantic import ValidationError as PydanticError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ts_migration.local.timestream import wire
from ts_migration.local.timestream.account import AccountSettings
from ts_migration.local.timestream.ingestion import write_records
from ts_migration.local.timestream.queries import QueryEngine, QueryOptions
from ts_migration.local.timestream.refusals import (
    AccessDeniedError,
    InternalServerError,
    ServiceError,
    UnknownOperationError,
    ValidationError,
)
from ts_migration.local.timestream.resources import Resources
from ts_migration.local.timestream.seed import PARQUET, SEED_PATH, SPEC_HEADER, SeedSpec
from ts_migration.local.timestream.seeding import seed_records
from ts_migration.local.timestream.shapes import validate_request
from ts_migration.local.timestream.storage import Storage
from ts_migration.local.timestream.wire import Caller

_log = logging.getLogger(__name__)

HEALTH_PATH = "/_embedded/health"
_ENDPOINT_CACHE_MINUTES = 1440
_SEED_BATCH_ROWS = 131_072
# Queries wait in threads for their next page: more of them than anyio's default of 40 may be under way.
_THREADS = 128

Operation = Callable[[dict[str, Any], Caller], dict[str, Any] | bytes]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the command line decides.

    Attributes:
        data: folder of the DuckDB file.
        memory_limit: DuckDB's, in its own notation.
    """

    data: Path
    queries: QueryOptions
    memory_limit: str = "1GB"


class TimestreamServer:
    """The operations over one storage. Also the owner of the storage: ``close`` ends queries and closes the file."""

    def __init__(self, options: ServerOptions, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._storage = Storage(options.data, memory_limit=options.memory_limit)
        self._engine = QueryEngine(self._storage, options.queries, clock)
        resources = Resources(self._storage, clock)
        account = AccountSettings()
        self._operations: dict[str, Operation] = {
            "CreateDatabase": resources.create_database,
            "DescribeDatabase": resources.describe_database,
            "ListDatabases": resources.list_databases,
            "UpdateDatabase": resources.update_database,
            "DeleteDatabase": resources.delete_database,
            "CreateTable": resources.create_table,
            "DescribeTable": resources.describe_table,
            "ListTables": resources.list_tables,
            "UpdateTable": resources.update_table,
            "DeleteTable": resources.delete_table,
            "TagResource": resources.tag_resource,
            "UntagResource": resources.untag_resource,
            "ListTagsForResource": resources.list_tags,
            "WriteRecords": lambda request, _: write_records(self._storage, request, clock),
            "Query": self._engine.query,
            "CancelQuery": self._engine.cancel,
            "PrepareQuery": self._engine.prepare,
            "DescribeAccountSettings": account.describe,
            "UpdateAccountSettings": account.update,
        }

    def app(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            to_thread.current_default_thread_limiter().total_tokens = _THREADS
            yield
            await run_in_threadpool(self.close)

        return Starlette(
            routes=[
                Route("/", self._api, methods=["POST"]),
                Route(HEALTH_PATH, self._health, methods=["GET"]),
                Route(SEED_PATH, self._seed, methods=["POST"]),
            ],
            lifespan=lifespan,
        )

    def close(self) -> None:
        """End what runs and close the file."""
        self._engine.close()
        self._storage.close()

    async def _api(self, request: Request) -> Response:
        raw = await request.body()
        try:
            caller = wire.caller_of(request.headers)
            name = wire.operation_of(request.headers)
            if name == "DescribeEndpoints":
                return wire.answer(_endpoints(request))
            body = wire.request_body(raw)
            validate_request(name, body)
            operation = self._operations.get(name)
            if operation is None:
                raise UnknownOperationError(f"The embedded Timestream server does not support {name}.")
            return wire.answer(await run_in_threadpool(operation, body, caller))
        except ServiceError as error:
            return wire.error_answer(error)
        except Exception as error:  # noqa: BLE001 - the border of the server: a client must get the API's own error
            _log.exception("%s failed", request.headers.get("x-amz-target"))
            return wire.error_answer(InternalServerError(f"{type(error).__name__}: {error}"))

    async def _health(self, _request: Request) -> Response:
        registry = self._storage.registry
        return JSONResponse({"status": "pass", "databases": len(registry.databases), "tables": len(registry.tables)})

    async def _seed(self, request: Request) -> Response:
        try:
            _refuse_strangers(request)
            try:
                spec = SeedSpec.model_validate_json(request.headers.get(SPEC_HEADER, ""))
            except PydanticError as error:
                raise ValidationError(f"The header {SPEC_HEADER} is no specification: {error}") from error
            # Spooled to disk: a frame may be larger than memory, and DuckDB reads faster than a client sends.
            with tempfile.TemporaryFile(dir=self._storage.spool) as spool:
                async for chunk in request.stream():
                    spool.write(chunk)
                spool.seek(0)
                parquet = request.headers.get("content-type") == PARQUET
                report = await run_in_threadpool(self._seed_file, spec, spool, parquet)
            return JSONResponse(report)
        except ServiceError as error:
            return wire.error_answer(error)
        except Exception as error:  # noqa: BLE001 - as in `_api`
            _log.exception("seeding failed")
            return wire.error_answer(InternalServerError(f"{type(error).__name__}: {error}"))

    def _seed_file(self, spec: SeedSpec, spool: Any, parquet: bool) -> dict[str, Any]:
        try:
            if parquet:
                file = pq.ParquetFile(spool)
                batches = file.iter_batches(batch_size=_SEED_BATCH_ROWS)
                reader = pa.RecordBatchReader.from_batches(file.schema_arrow, batches)
            else:
                reader = pa.ipc.open_stream(spool)
        except pa.ArrowInvalid as error:
            raise ValidationError(f"The body cannot be read: {error}") from error
        return seed_records(self._storage, spec, reader, self._clock).model_dump()


def _endpoints(request: Request) -> dict[str, Any]:
    """DescribeEndpoints: this very address. The scheme is part of it, or a client would go on with https."""
    address = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": _ENDPOINT_CACHE_MINUTES}]}


def _refuse_strangers(request: Request) -> None:
    """Seeding writes without a signature: only programs of this machine may."""
    host = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise AccessDeniedError("Only clients on the loopback interface may seed.")
