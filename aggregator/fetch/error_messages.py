"""Descriptions of connection errors in words for a person: the place, then the reason."""

import errno
import socket
import ssl

from aiohttp import ClientPayloadError, ServerDisconnectedError
from aiohttp.http import HttpProcessingError

from aggregator.core.errors import FetchError, TooLarge, Unreachable

CERTIFICATE = {
    9: "certificate is not valid yet",
    10: "certificate expired",
    18: "certificate is self-signed",
    19: "certificate chain contains a self-signed certificate",
    20: "certificate is from an unknown issuer",
    21: "certificate chain is incomplete",
    23: "certificate was revoked",
    62: "certificate is for another name",
    64: "certificate is for another address",
}
# aiohttp's protocol re-raises what its parser found as one class; only the words are left to tell by.
TOO_LARGE = ("Got more than", "Too many headers")
SYSTEM = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "no response",
    errno.EADDRNOTAVAIL: "no local address to connect from",
    errno.EMFILE: "too many open connections on this machine",
    errno.ENFILE: "too many open connections on this machine",
}


Hops = tuple[tuple[int, str], ...]


def describe_error(error: Exception, *, host: str, url: str, connected: bool, hops: Hops) -> FetchError:
    """Return the application's error for what a library or the system raised."""
    if isinstance(error, HttpProcessingError) and any(words in error.message for words in TOO_LARGE):
        return TooLarge(f"{host}: the response headers are too large", url=url, hops=hops)
    return Unreachable(f"{host}: {_reason(error)}", connected=connected, url=url, hops=hops)


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return "TLS: " + CERTIFICATE.get(error.verify_code, error.verify_message or "certificate not trusted")
        case ssl.SSLError():
            return f"TLS: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"
        case socket.gaierror():
            return (
                "host name could not be resolved (DNS)" if error.errno == socket.EAI_AGAIN else "host not found (DNS)"
            )
        case ServerDisconnectedError():
            return "connection closed without a response"
        case ClientPayloadError():
            return "incomplete response"
        case HttpProcessingError():
            return "the response is not valid HTTP"
        case OSError():
            return SYSTEM.get(error.errno or 0) or (error.strerror or type(error).__name__).lower()
        case ValueError():
            return f"request failed ({error})"
        case _:
            return "connection lost"
