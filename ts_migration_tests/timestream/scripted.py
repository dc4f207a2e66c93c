"""A query client that answers from a script: pages, errors and what it was asked, without a server."""

from collections import deque
from typing import Any

from botocore.exceptions import ClientError

SCALAR = {"BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP"}


def aws(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Query")


def page(
    columns: dict[str, str], *rows: list[str | None], token: str | None = None, query_id: str = "Q1"
) -> dict[str, Any]:
    """One answer of the API; None is NULL."""
    answer: dict[str, Any] = {
        "QueryId": query_id,
        "ColumnInfo": [{"Name": name, "Type": {"ScalarType": kind}} for name, kind in columns.items()],
        "Rows": [
            {"Data": [{"NullValue": True} if value is None else {"ScalarValue": value} for value in row]}
            for row in rows
        ],
        "QueryStatus": {"ProgressPercentage": 100.0, "CumulativeBytesScanned": 7, "CumulativeBytesMetered": 7},
    }
    return answer | ({"NextToken": token} if token else {})


class ScriptedClient:
    """Answers in order; an exception in the script is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = deque(answers)
        self.asked: list[dict[str, Any]] = []
        self.cancelled: list[str] = []

    def query(self, **request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel_query(self, **request: Any) -> dict[str, str]:
        self.cancelled.append(request["QueryId"])
        return {}
