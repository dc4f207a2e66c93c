"""UNLOAD: a SELECT's rows to files in a bucket, then metadata and manifest, as the service lays them out.

Here belong names, order and shapes of what is written, partitions and the answer. How a file's bytes are made is
``unload_files``. Source: recorded manifests of real runs, and the facts on UNLOAD (1.2 to 1.6).
"""

from __future__ import annotations

import json
import secrets
import string
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
import duckdb
import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.local.faults.dialects import OWN_AGENT
from ts_migration.local.timestream.answers import row_json, service_error
from ts_migration.local.timestream.catalog import ColumnInfo, ScalarType
from ts_migration.local.timestream.refusals import AccessDeniedError, QueryExecutionError, ValidationError
from ts_migration.local.timestream.sql import SqlRefused, Unload, UnloadEncryption, column_info, execution_refusal
from ts_migration.local.timestream.unload_files import FileSet, FinishedFile, refuse_unwritable

UNLOAD_COLUMNS = (
    ColumnInfo("rows", ScalarType.BIGINT),
    ColumnInfo("metadataFile", ScalarType.VARCHAR),
    ColumnInfo("manifestFile", ScalarType.VARCHAR),
)
_BATCH_ROWS = 32_768
_UPLOADS = 2
_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class UnloadResult:
    """What an UNLOAD wrote; ``bytes`` are those of the data files."""

    rows: int
    bytes: int
    partitions: int
    metadata_file: str
    manifest_file: str


@dataclass(frozen=True, slots=True)
class Destination:
    """A bucket and a folder in it; the folder has no slash at its end and may be empty."""

    bucket: str
    folder: str

    @classmethod
    def parse(cls, url: str) -> Destination:
        """From ``s3://bucket/folder`` with or without a slash at the end."""
        bucket, _, folder = url.removeprefix("s3://").partition("/")
        if not url.startswith("s3://") or not bucket:
            raise ValidationError(f"The destination of UNLOAD is s3://bucket/folder, not {url!r}.")
        return cls(bucket, folder.rstrip("/"))

    def key(self, name: str) -> str:
        """The key of a name within the folder."""
        return f"{self.folder}/{name}" if self.folder else name

    def url(self, name: str) -> str:
        """The s3:// URL of a name within the folder."""
        return f"s3://{self.bucket}/{self.key(name)}"


class UnloadStore(Protocol):
    """What one UNLOAD writes to."""

    def put_file(self, path: Path, bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store a data file."""

    def put_json(self, document: dict[str, Any], bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store metadata or manifest."""


class ExportBucket:
    """The S3 that UNLOAD writes to; credentials are those of this process's environment."""

    def __init__(self, endpoint: str) -> None:
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"},
                # File-backed S3 servers do not answer with the checksums that newer SDKs ask for.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=5,
                user_agent_extra=OWN_AGENT,
                retries={"max_attempts": 3, "mode": "standard"},
            ),
        )

    def check(self, url: str) -> None:
        """Refuse a destination that cannot be written, before the query runs."""
        bucket = Destination.parse(url).bucket
        try:
            self._s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound"):
                raise ValidationError(f"The S3 bucket {bucket} does not exist.") from error
            raise AccessDeniedError(f"The S3 bucket {bucket} cannot be accessed: {error}") from error
        except BotoCoreError as error:
            raise ValidationError(f"The S3 bucket {bucket} cannot be reached: {error}") from error

    def put_file(self, path: Path, bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store a file, in several parts if it is large."""
        self._s3.upload_file(str(path), bucket, key, ExtraArgs=encryption)

    def put_json(self, document: dict[str, Any], bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store a JSON document."""
        body = json.dumps(document, ensure_ascii=False).encode()
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **encryption)


class UnloadAnswer:
    """An UNLOAD as a stream of one row: asking for the row does the work."""

    columns = UNLOAD_COLUMNS

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        unload: Unload,
        query_id: str,
        bucket: UnloadStore,
        spool: Path,
        bytes_scanned: int,
    ) -> None:
        refuse_unwritable(unload.select.columns)
        self._connection = connection
        self._unload = unload
        self._query_id = query_id
        self._bucket = bucket
        self._spool = spool
        self._cancelled = threading.Event()
        self.bytes_scanned = bytes_scanned
        self.result: UnloadResult | None = None

    def rows(self) -> Iterator[bytes]:
        try:
            self.result = self._write()
        except SqlRefused as refused:
            raise service_error(refused) from refused
        except (duckdb.Error, pa.ArrowException) as error:
            raise service_error(execution_refusal(error)) from error
        except (ClientError, BotoCoreError, OSError) as error:
            raise QueryExecutionError(f"UNLOAD could not write to {self._unload.destination}: {error}") from error
        values = (str(self.result.rows), self.result.metadata_file, self.result.manifest_file)
        yield row_json({"Data": [{"ScalarValue": value} for value in values]})

    def interrupt(self) -> None:
        self._cancelled.set()
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()

    def _write(self) -> UnloadResult:
        """Data files, then metadata, then the manifest: whoever sees the manifest sees everything."""
        destination = Destination.parse(self._unload.destination)
        names = UnloadNames(self._query_id)
        encryption = _encryption(self._unload)
        with (
            tempfile.TemporaryDirectory(dir=self._spool, prefix="unload-") as folder,
            ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload") as uploads,
        ):
            files = FileSet(self._unload, Path(folder), names.data_file)
            pending: list[Future[FinishedFile]] = []

            def upload(file: FinishedFile) -> FinishedFile:
                self._bucket.put_file(file.path, destination.bucket, destination.key(file.name), encryption)
                file.path.unlink()
                return file

            reader = self._connection.sql(self._unload.select.duckdb_sql).to_arrow_reader(_BATCH_ROWS)
            for batch in reader:
                if self._cancelled.is_set():
                    raise QueryExecutionError("The query was cancelled.")
                pending.extend(uploads.submit(upload, file) for file in files.write(batch))
                _raise_failed(pending)
            pending.extend(uploads.submit(upload, file) for file in files.finish())
            written = [done.result() for done in pending]
        metadata = metadata_document(self._unload.select.columns)
        manifest = manifest_document(self._unload, destination, written)
        if self._cancelled.is_set():
            raise QueryExecutionError("The query was cancelled.")
        self._bucket.put_json(metadata, destination.bucket, destination.key(names.metadata_file), encryption)
        self._bucket.put_json(manifest, destination.bucket, destination.key(names.manifest_file), encryption)
        return UnloadResult(
            rows=sum(file.rows for file in written),
            bytes=sum(file.bytes for file in written),
            partitions=files.partitions,
            metadata_file=destination.url(names.metadata_file),
            manifest_file=destination.url(names.manifest_file),
        )


class UnloadNames:
    """The names of one run: query id, ten digits that all its files share, sixteen characters per data file."""

    def __init__(self, query_id: str) -> None:
        self._run = f"{query_id}_{secrets.randbelow(9_000_000_000) + 1_000_000_000}"

    def data_file(self, partition: str, suffix: str) -> str:
        """A new data file's name below the folder; ``partition`` is ``column=value/…`` or empty."""
        unique = "".join(secrets.choice(_ALPHANUMERIC) for _ in range(16))
        return f"results/{partition}{self._run}_{unique}{suffix}"

    @property
    def metadata_file(self) -> str:
        """The metadata's name below the folder."""
        return f"{self._run}_metadata.json"

    @property
    def manifest_file(self) -> str:
        """The manifest's name below the folder."""
        return f"{self._run}_manifest.json"


def metadata_document(columns: tuple[ColumnInfo, ...]) -> dict[str, Any]:
    """``metadata.json``: all columns of the SELECT, partition columns included."""
    return {
        "ColumnInfo": [column_info(column) for column in columns],
        "Author": {"Name": "Amazon Timestream", "MetadataFileVersion": "1.0"},
    }


def manifest_document(unload: Unload, destination: Destination, files: list[FinishedFile]) -> dict[str, Any]:
    """``manifest.json`` in the shape of real ones; the documentation's own example differs from it."""
    return {
        "result_files": [
            {
                "url": destination.url(file.name),
                "file_metadata": {"content_length_in_bytes": file.bytes, "row_count": file.rows},
            }
            for file in files
        ],
        "query_metadata": {
            "total_content_length_in_bytes": sum(file.bytes for file in files),
            "total_row_count": sum(file.rows for file in files),
            "result_format": unload.options.format.value,
            "result_version": "Amazon Timestream version 1.0.0",
        },
        "author": {"name": "Amazon Timestream", "manifest_file_version": "1.0"},
    }


def _raise_failed(pending: list[Future[FinishedFile]]) -> None:
    """A failed upload ends the query now, not after the rest of the result was made."""
    for upload in pending:
        if upload.done():
            upload.result()


def _encryption(unload: Unload) -> dict[str, str]:
    if unload.options.encryption is not UnloadEncryption.SSE_KMS:
        return {}
    key = {"SSEKMSKeyId": unload.options.kms_key} if unload.options.kms_key else {}
    return {"ServerSideEncryption": "aws:kms", **key}
