"""Objects in the export bucket: get, put, list, stream, and where every object of the product lies.

The only place that knows S3 keys and the only one that turns botocore's errors into Transient and Permanent.
What the objects mean is in `manifests`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from botocore.discovery import EndpointDiscoveryException
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from ts_migration.errors import Inaccessible, MigrationError, Missing, Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

BULK_PREFIX = "timestream-export/"
"""All bulk objects: the guide's cleanup deletes this prefix, and nothing that proves anything may lie under it."""
PROOF_PREFIX = "manifests/"
REPORT_PREFIX = "reports/"
CHECKS_PREFIX = f"{BULK_PREFIX}@checks/"
"""What a check of a range exports to compare, deleted when it ends; `@` is in no name of Timestream's."""


def restored_bucket_key(name: str) -> str:
    """Key of what is known of a bucket that was made by a restore; `@` is in no name of Timestream's."""
    return f"{PROOF_PREFIX}@buckets/{quote(name, safe='')}.json"


_ABORT_RULE = "ts-migration-aborted-uploads"
_ONE_PUT_BYTES = 64 * 1024 * 1024
"""Up to this size one request from the file, piece by piece. A parallel transfer's threads are new each time, and what
they have held stays with the process: 200 MiB after ten parts."""

_READS = 6
"""How often a small object is asked for while its body breaks off: as often as boto3 sends a request."""

_THROTTLING_CODES = {
    "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
}  # fmt: skip
_RETRYABLE_CODES = _THROTTLING_CODES | {
    "RequestTimeout", "InternalError", "InternalServerException", "InternalFailure", "ServiceUnavailable",
    "500", "502", "503", "504",
}  # fmt: skip
_FEWER_AT_A_TIME = (
    "wait until what else uses the account has less to do, or have it use less, then run the same command again; "
    "fewer `--parallel-jobs` and a longer `retry_delay_seconds` ask less often"
)
_SERVICE_FAILS = "look at the service's health (https://health.aws.amazon.com), then run the same command again"
_DENIED_CODES = {
    "AccessDenied", "AccessDeniedException", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
    "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken",
}  # fmt: skip
_MISSING_CODES = {"NoSuchKey", "NoSuchBucket", "404", "NotFound", "ResourceNotFoundException", "InvalidRange", "416"}


def aws_error(error: ClientError | BotoCoreError, where: str) -> MigrationError:
    """The product's error for one of botocore's, by its code: statuses are unreliable (query API reference)."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Inaccessible(
            "no AWS credentials were found",
            where=where,
            next_step="export AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret, or run `ts-migration local up`",
        )
    if isinstance(error, ConnectionError | HTTPClientError):
        text = "check the network and AWS_ENDPOINT_URL_*; the embedded servers: `ts-migration local up`"
        return Transient(f"{type(error).__name__}: {error}", where=where, next_step=text)
    if isinstance(error, EndpointDiscoveryException):
        # Timestream's first call asks DescribeEndpoints; what kept it from answering, botocore does not tell.
        text = "check the network and AWS_ENDPOINT_URL_TIMESTREAM_*, and allow timestream:DescribeEndpoints"
        return Transient("Timestream's endpoint cannot be reached", where=where, next_step=text)
    if isinstance(error, ParamValidationError | NoRegionError):
        return Permanent(f"{type(error).__name__}: {error}", where=where)
    if isinstance(error, BotoCoreError):
        return Transient(f"{type(error).__name__}: {error}", where=where)
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", "")) or str(error)
    if code in _RETRYABLE_CODES:
        text = _FEWER_AT_A_TIME if code in _THROTTLING_CODES else _SERVICE_FAILS
        return Transient(f"{code}: {message}", where=where, next_step=text, retry_after_s=_retry_after_s(error))
    if code in _MISSING_CODES:
        return Missing(f"{code}: {message}", where=where)
    if code in _DENIED_CODES:
        return Inaccessible(f"{code}: {message}", where=where, next_step="check the credentials and their IAM policy")
    return Permanent(f"{code}: {message}", where=where)


def _retry_after_s(error: ClientError) -> float | None:
    """Seconds that the service asks to wait, where it says so as a number: boto3 itself reads no Retry-After."""
    text = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        return None


def raise_aws_error(error: ClientError | BotoCoreError, where: str) -> NoReturn:
    """Raise the product's error for one of botocore's."""
    raise aws_error(error, where) from error


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where one table's objects lie. `name` is `<database>/<table>`, with the job where two share a table."""

    name: str

    def window(self, key: str) -> "WindowPlace":
        """Where the objects of one window lie."""
        return WindowPlace(self.name, key)

    @property
    def bulk(self) -> str:
        """Prefix of all bulk objects of the table."""
        return f"{BULK_PREFIX}{self.name}/"

    @property
    def proof(self) -> str:
        """Prefix of all manifests of the table."""
        return f"{PROOF_PREFIX}{self.name}/"

    @property
    def table_manifest(self) -> str:
        """Key of the frozen grid and mapping."""
        return f"{self.proof}table.json"

    @property
    def migrated(self) -> str:
        """Key of the roll-up's manifest."""
        return f"{self.proof}migrated.json"

    @property
    def rollback(self) -> str:
        """Key of the record of the latest rollback."""
        return f"{self.proof}rollback.json"

    @property
    def rolled_back(self) -> str:
        """Prefix of what a rollback deleted though it may not have been the job's, and of records of earlier ones."""
        return f"{self.proof}rolled-back/"

    @property
    def retention(self) -> str:
        """Key of what the target bucket's retention was before a roll-up set it."""
        return f"{self.proof}retention.json"

    def restored(self, table: str) -> str:
        """Key of the record of a restore into a table of Timestream, `database.table`."""
        return f"{self.proof}restored/{table}.json"


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """Where the objects of one window lie."""

    table: str
    key: str

    def export_attempt(self, attempt: str) -> str:
        """Folder of one UNLOAD, fresh for every attempt."""
        return f"{BULK_PREFIX}{self.table}/{self.key}/export/{attempt}"

    @property
    def bulk(self) -> str:
        """Prefix of all bulk objects of the window."""
        return f"{BULK_PREFIX}{self.table}/{self.key}/"

    @property
    def line_protocol(self) -> str:
        """Prefix of the line protocol parts and their members.json."""
        return f"{BULK_PREFIX}{self.table}/{self.key}/line-protocol/"

    @property
    def shards(self) -> str:
        """Prefix of the shard files and their index, a folder a shard group."""
        return f"{BULK_PREFIX}{self.table}/{self.key}/shards/"

    @property
    def proof(self) -> str:
        """Prefix of the window's manifests."""
        return f"{PROOF_PREFIX}{self.table}/{self.key}/"

    def manifest(self, stage: str) -> str:
        """Key of a stage's manifest."""
        return f"{self.proof}{stage}.json"

    @property
    def aws_manifests(self) -> str:
        """Prefix of the copies of UNLOAD's own manifests."""
        return f"{self.proof}aws/"

    @property
    def quarantine(self) -> str:
        """Key of the rows that could not be said in line protocol."""
        return f"{self.proof}quarantine.ndjson.gz"

    @property
    def refused(self) -> str:
        """Key of the lines that InfluxDB refused while they were loaded."""
        return f"{self.proof}refused.ndjson.gz"

    @property
    def found(self) -> str:
        """Prefix of the copies of points that the window held before the job's first load."""
        return f"{self.proof}found/"

    def removed(self, when: str) -> str:
        """Key of the points that one repair deleted from the bucket."""
        return f"{self.proof}removed/{when}.ndjson.gz"

    def damaged(self, key: str, digest: str) -> str:
        """Key of the copy of a manifest that could not be read, by its own key and its bytes' digest."""
        return f"{self.proof}damaged/{key.removeprefix(self.proof).removesuffix('.json')}-{digest[:16]}.json"

    @property
    def ledger(self) -> str:
        """Prefix of the load ledger."""
        return f"{self.proof}ledger/"

    @property
    def verdicts(self) -> str:
        """Key of the latest verdicts."""
        return f"{self.proof}verdicts.json"

    @property
    def acceptance(self) -> str:
        """Key of who accepted the window, though it is not proven."""
        return f"{self.proof}acceptance.json"

    @property
    def lease(self) -> str:
        """Key of the lease that keeps a second run off the window."""
        return f"{self.proof}lease.json"


def _span(offset: int, length: int | None) -> str:
    """An HTTP Range of `length` bytes from `offset`, or of all from there."""
    return f"bytes={offset}-" if length is None else f"bytes={offset}-{offset + length - 1}"


def _prefix_of(rule: Any) -> str:
    """What a lifecycle rule's objects begin with; of a rule that asks for more (tags, sizes), as if it did not."""
    where = rule.get("Filter", {})
    return str(where.get("Prefix") or where.get("And", {}).get("Prefix") or rule.get("Prefix") or "")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A listed object: key, size in bytes, when it was written."""

    key: str
    size: int
    modified: datetime | None = None


class ExportBucket:
    """The export bucket, through a boto3 S3 client. Every error is the product's own, with its s3:// URI."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self.client = client
        self.name = name

    def uri(self, key: str) -> str:
        """The s3:// URI of a key."""
        return f"s3://{self.name}/{key}"

    def console_url(self, key: str) -> str | None:
        """The object's page in the AWS console, or None where the bucket is not Amazon's. It holds no credentials."""
        if not (urlsplit(self.client.meta.endpoint_url).hostname or "").endswith(".amazonaws.com"):
            return None
        region = self.client.meta.region_name
        query = urlencode({"region": region, "prefix": key})
        return f"https://{region}.console.aws.amazon.com/s3/object/{self.name}?{query}"

    def key_of(self, uri: str) -> str:
        """The key of an s3:// URI that must lie in this bucket.

        Raises:
            Permanent: it lies elsewhere.
        """
        prefix = f"s3://{self.name}/"
        if not uri.startswith(prefix):
            raise Permanent(f"{uri} does not lie in the export bucket {self.name}")
        return uri.removeprefix(prefix)

    def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            Missing: there is none.
        """
        return self._read(key)[0]

    def get_or_none(self, key: str) -> bytes | None:
        """The whole object, or None where there is none."""
        try:
            return self.get(key)
        except Missing:
            return None

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`."""
        return self.span(key, offset, length)[0]

    def span(self, key: str, offset: int, length: int) -> tuple[bytes, int]:
        """At most `length` bytes from `offset`, and the size of the whole object, by one request.

        Raises:
            Missing: there is no object, or it ends before `offset`.
        """
        return self._read(key, _span(offset, length))

    def _read(self, key: str, span: str | None = None) -> tuple[bytes, int]:
        """Bytes and the whole object's size. boto3's own retries end where a body begins: one that breaks is ours."""
        asked = {"Range": span} if span else {}
        for attempt in range(1, _READS + 1):
            try:
                answer = self.client.get_object(Bucket=self.name, Key=key, **asked)  # type: ignore[arg-type]
            except (ClientError, BotoCoreError) as error:
                raise_aws_error(error, self.uri(key))
            try:
                body = answer["Body"].read()
            except BotoCoreError as error:
                if attempt == _READS:
                    raise_aws_error(error, self.uri(key))
                continue
            # `bytes 100-199/200`; an answer without it is the whole object.
            whole = answer.get("ContentRange", "").rpartition("/")[2]
            return body, int(whole) if whole.isdigit() else len(body)
        raise AssertionError("unreachable")

    def open(self, key: str, offset: int = 0, length: int | None = None) -> Any:
        """A streaming body (read(n), close()) of `length` bytes from `offset`, by default of the whole object.

        Reading it may raise urllib3 and botocore errors.
        """
        span = {} if offset == 0 and length is None else {"Range": _span(offset, length)}
        try:
            return self.client.get_object(Bucket=self.name, Key=key, **span)["Body"]  # type: ignore[arg-type]
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def size(self, key: str) -> int:
        """Size in bytes.

        Raises:
            Missing: there is none.
        """
        try:
            return self.client.head_object(Bucket=self.name, Key=key)["ContentLength"]
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object whole."""
        try:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def download(self, key: str, target: IO[bytes]) -> None:
        """Copy an object into an open file, in ranges and in parallel."""
        try:
            self.client.download_fileobj(self.name, key, target)
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def upload(self, key: str, source: IO[bytes]) -> None:
        """Copy an open file, from where it stands, into an object; by multipart and in parallel where it is large."""
        start = source.tell()
        size = source.seek(0, os.SEEK_END) - start
        source.seek(start)
        try:
            if size <= _ONE_PUT_BYTES:
                self.client.put_object(Bucket=self.name, Key=key, Body=source)
            else:
                self.client.upload_fileobj(source, self.name, key)
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects under a prefix, in key order."""
        try:
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield ObjectInfo(found["Key"], found["Size"], found.get("LastModified"))
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(prefix))

    def move(self, key: str, target: str) -> None:
        """Give an object of at most 5 GB another key; killed in between, it has both."""
        try:
            self.client.copy_object(Bucket=self.name, Key=target, CopySource={"Bucket": self.name, "Key": key})
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))
        self.delete(key)

    def delete(self, key: str) -> None:
        """Delete one object; one that is not there is no error."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(key))

    def delete_prefix(self, prefix: str) -> int:
        """Delete every object under a prefix; how many there were."""
        count = 0
        for found in list(self.list(prefix)):
            self.delete(found.key)
            count += 1
        return count

    def expires_after_days(self, prefix: str) -> int | None:
        """Days after which a lifecycle rule deletes objects under a prefix; None where none does or nobody can tell."""
        try:
            rules = self.client.get_bucket_lifecycle_configuration(Bucket=self.name).get("Rules", [])
        except (ClientError, BotoCoreError):
            return None
        days = [
            rule["Expiration"]["Days"]
            for rule in rules
            if rule.get("Status") == "Enabled"
            and "Days" in rule.get("Expiration", {})
            and prefix.startswith(_prefix_of(rule))
        ]
        return min(days, default=None)

    def abort_uploads_after(self, days: int) -> None:
        """Have S3 delete the parts of uploads that were not finished for so many days; other rules stay.

        Raises:
            Permanent: the credentials may not, or the service knows no lifecycle.
        """
        rule: dict[str, Any] = {
            "ID": _ABORT_RULE,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        try:
            try:
                known = self.client.get_bucket_lifecycle_configuration(Bucket=self.name).get("Rules", [])
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchLifecycleConfiguration":
                    raise
                known = []
            rules: Any = [*(one for one in known if one.get("ID") != _ABORT_RULE), rule]
            self.client.put_bucket_lifecycle_configuration(Bucket=self.name, LifecycleConfiguration={"Rules": rules})
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, self.uri(""))
