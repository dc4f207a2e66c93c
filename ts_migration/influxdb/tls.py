"""What an error of TLS means: a certificate or protocol that is wrong stays wrong, all else is a broken connection.

A server or load balancer that restarts in the midst of a handshake or of a body shows as an error of TLS, too.
"""

import ssl
from dataclasses import dataclass

from urllib3.exceptions import SSLError

_NO_COMMON_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "ALERT_PROTOCOL_VERSION",
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_UNRECOGNIZED_NAME",
)
"""Ends of OpenSSL's names for two ends that cannot speak to each other: the first three also where there is no TLS."""
_CLIENT_REFUSED = ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE")
"""The server wants a certificate of the client, which this program has none of."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there will be no connection, and what to change."""

    what: str
    next_step: str


def lasting_refusal(error: SSLError | ssl.SSLError) -> Refusal | None:
    """What is wrong for good; None where the connection broke."""
    cause = error.args[0] if isinstance(error, SSLError) and error.args else error
    if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLCertVerificationError):
        return Refusal(
            "the certificate of InfluxDB is not accepted",
            "name the private certificate authority in SSL_CERT_FILE, or use the certificate's name",
        )
    name = str(getattr(cause, "reason", None) or "")
    if name.endswith(_NO_COMMON_TLS):
        return Refusal(
            "InfluxDB and this program find no TLS that both speak", "a server without TLS has an http:// address"
        )
    if name.endswith(_CLIENT_REFUSED):
        return Refusal(
            "InfluxDB asks for a certificate of its clients", "use an address of it that asks for a token alone"
        )
    return None
