"""The errors of the Timestream API, one class per error code of the service's own models.

Here belong code, HTTP status and message of an error answer. Where an error is found out, and how it is written on
the wire, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


class ServiceError(Exception):
    """An answer that is an error: ``code`` as botocore reads it from ``__type``, ``status`` of HTTP."""

    code: ClassVar[str] = "InternalServerException"
    status: ClassVar[int] = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Any]:
        """The members of the error answer beside ``__type``."""
        return {"Message": self.message}


class InternalServerError(ServiceError):
    """A fault of this server: never the caller's."""

    status = 500


class ValidationError(ServiceError):
    """The request is not one that the API allows."""

    code = "ValidationException"


class ResourceNotFoundError(ServiceError):
    """There is no such database, table or other resource."""

    code = "ResourceNotFoundException"
    status = 404


class ConflictError(ServiceError):
    """The resource exists already with other contents, or the query was cancelled."""

    code = "ConflictException"
    status = 409


class ThrottlingError(ServiceError):
    """Too many requests of one kind in a second."""

    code = "ThrottlingException"
    status = 429


class QuotaExceededError(ServiceError):
    """A quota of the account, the database or the table is used up."""

    code = "ServiceQuotaExceededException"
    status = 402


class QueryExecutionError(ServiceError):
    """A valid query that failed while it ran."""

    code = "QueryExecutionException"


class AccessDeniedError(ServiceError):
    """The service may not do this with the caller's rights."""

    code = "AccessDeniedException"
    status = 403


class UnknownOperationError(ServiceError):
    """The target header names no operation of the API."""

    code = "UnknownOperationException"


class SerializationError(ServiceError):
    """The body is not JSON, or a member has another JSON type than the model's."""

    code = "SerializationException"


class MissingAuthenticationTokenError(ServiceError):
    """No Authorization header: AWS's front door refuses before the service sees the request."""

    code = "MissingAuthenticationTokenException"
    status = 403

    def __init__(self) -> None:
        super().__init__("Missing Authentication Token")


class IncompleteSignatureError(ServiceError):
    """An Authorization header that is not one of Signature Version 4."""

    code = "IncompleteSignatureException"
    status = 403


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One record that was not written: its index in the request, why, and the version that stands in its way."""

    index: int
    reason: str
    existing_version: int | None = None

    def member(self) -> dict[str, Any]:
        """The record as a member of ``RejectedRecords``."""
        rejected: dict[str, Any] = {"RecordIndex": self.index, "Reason": self.reason}
        if self.existing_version is not None:
            rejected["ExistingVersion"] = self.existing_version
        return rejected


class RejectedRecordsError(ServiceError):
    """Some records of a write were refused; the others are stored."""

    code = "RejectedRecordsException"
    status = 419

    def __init__(self, rejected: list[RejectedRecord]) -> None:
        super().__init__("One or more records have been rejected. See RejectedRecords for details.")
        self.rejected = sorted(rejected, key=lambda record: record.index)

    def body(self) -> dict[str, Any]:
        return {**super().body(), "RejectedRecords": [record.member() for record in self.rejected]}
