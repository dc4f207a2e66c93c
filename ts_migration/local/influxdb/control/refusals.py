"""Refusals in InfluxDB's own words: a code, a message, and the status that its HTTP layer makes of the code."""

STATUS = {
    "invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not found": 404,
    "method not allowed": 405,
    "conflict": 422,
    "unprocessable entity": 422,
    "internal error": 500,
    "not implemented": 501,
}


class Refusal(Exception):
    """An answer that is not a success: `code` is InfluxDB's (a key of STATUS), the text its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return STATUS[self.code]
