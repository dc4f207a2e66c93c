"""TLS that breaks and TLS that is wrong: one server restarts in the midst of a handshake, the other will never do."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from pydantic import SecretStr
from urllib3.exceptions import SSLError

from ts_migration.errors import Inaccessible, MigrationError, Transient
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.tls import lasting_refusal

ALERT = b"\x15\x03\x03\x00\x02\x02"


@contextmanager
def server_that_answers_a_handshake_with(content: bytes) -> Iterator[Target]:
    """It reads what comes, sends these bytes and ends the connection."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(content)
            # The client may have closed first.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Target(f"https://127.0.0.1:{listener.getsockname()[1]}", "ons", SecretStr("a-token"))
        thread.join(5)


@pytest.mark.parametrize("content", [b"", ALERT + b"\x50"], ids=["nothing", "internal error"])
def test_a_handshake_that_breaks_off_is_a_broken_connection_and_may_pass(content: bytes) -> None:
    with server_that_answers_a_handshake_with(content) as target, pytest.raises(Transient, match="broke"):
        target.request("POST", "/api/v2/write", body=b"x")


@pytest.mark.parametrize(
    "content", [b"HTTP/1.1 400 Bad Request\r\n\r\n", ALERT + b"\x28", ALERT + b"\x46"], ids=["http", "none", "older"]
)
def test_a_server_without_a_common_tls_stays_wrong_and_the_certificate_is_not_blamed(content: bytes) -> None:
    with (
        server_that_answers_a_handshake_with(content) as target,
        pytest.raises(Inaccessible, match="no TLS that both speak") as caught,
    ):
        target.request("POST", "/api/v2/write", body=b"x")
    assert "certificate" not in str(caught.value)


def test_a_connection_that_breaks_in_the_midst_of_a_body_may_pass() -> None:
    """So says OpenSSL when the server closes while a request is sent, and when a record was damaged on its way."""
    for cause in (
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:2427)"),
        ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF) (_ssl.c:2427)"),
        ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] decryption failed or bad record mac"),
    ):
        assert lasting_refusal(SSLError(cause)) is None


def test_a_certificate_that_is_not_accepted_stays_wrong() -> None:
    refusal = lasting_refusal(SSLError(ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed")))
    error: MigrationError = Target("https://127.0.0.1:1", "ons", SecretStr("a-token")).broken(
        SSLError(ssl.SSLCertVerificationError(1, "certificate verify failed: Hostname mismatch"))
    )

    assert refusal is not None and "certificate" in refusal.what
    assert isinstance(error, Inaccessible) and "SSL_CERT_FILE" in error.next_step
