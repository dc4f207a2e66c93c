"""Errors of the AWS services that a cutover changes, as the product's own: what passes, what says nothing is there."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.objects import raise_aws_error

_PASSING = {
    "ResourceConflictException",  # Lambda: another update is under way
    "PreconditionFailedException",  # Lambda: somebody changed the function since it was read
    "ConflictException",  # API Gateway: another change is under way
    "TooManyUpdates",  # SSM
    "InternalServiceError", "InternalServiceFault", "InternalServiceException", "ServiceException",
}  # fmt: skip
_MISSING = {
    "NotFoundException", "ResourceNotFound", "DashboardNotFoundError", "ParameterNotFound", "ParameterVersionNotFound",
}  # fmt: skip
_ECHO = "String measured"
"""Lambda repeats all environment variables, values too, where they are too long together."""


@contextmanager
def aws_answers(where: str) -> Iterator[None]:
    """Turn botocore's errors of the block into Transient, Missing and Permanent."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", "")).partition(_ECHO)[0].strip()
        if code in _PASSING:
            raise Transient(f"{code}: {message}", where=where) from None
        if code in _MISSING:
            raise Missing(f"{code}: {message}", where=where) from None
        if code == "InvalidParameterValueException":
            raise Permanent(f"{code}: {message}", where=where) from None
        raise_aws_error(error, where)
    except BotoCoreError as error:
        raise_aws_error(error, where)
