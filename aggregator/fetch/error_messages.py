"""Descriptions of connection errors in words for a person: the place, then the reason."""

import errno
import os
import re
import socket

import pycurl

from aggregator.core.errors import FetchError, TooLarge, Unreachable
from aggregator.fetch.resolver import numeric

# CURLPX_* of curl/curl.h, which pycurl has no names of.
SOCKS = {
    19: "connection refused",
    20: "general failure",
    21: "host unreachable",
    22: "network unreachable",
    23: "not allowed",
    24: "time-out",
}
NO_METHOD = frozenset({2, 12, 32})  # BAD_VERSION, NO_AUTH, UNKNOWN_MODE
UNSPECIFIED = 1  # X509_V_ERR_UNSPECIFIED
CREDENTIALS = 33  # USER_REJECTED
# CURLE_* of curl/curl.h, as above.
NOT_HTTP = frozenset({1, 8})  # UNSUPPORTED_PROTOCOL (HTTP/0.9), WEIRD_SERVER_REPLY
PROXY = 97
TOO_LARGE = 100
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

TLS_REASON = re.compile(r"error:[0-9A-Fa-f]+:[^:]*:[^:]*:(.+)")


def describe_resolution(error: OSError, *, host: str, url: str, hops: tuple[tuple[int, str], ...]) -> FetchError:
    """Return the application's error for a name that could not be looked up."""
    if host.endswith(".onion"):
        reason = "a hidden service is reached by its proxy only: set `proxy: socks5h://HOST:PORT` for this feed"
    elif isinstance(error, socket.gaierror):
        again = error.errno == socket.EAI_AGAIN
        reason = "host name could not be resolved (DNS)" if again else "host not found (DNS)"
    else:
        reason = _system(error.errno or 0) or (error.strerror or type(error).__name__).lower()
    return Unreachable(f"{host}: {reason}", url=url, hops=hops)


def describe_error(
    handle: pycurl.Curl, code: int, message: str, *, host: str, url: str, connected: bool
) -> FetchError | TimeoutError:
    """Return the application's error for what libcurl ended with; a TimeoutError is for the caller to word."""
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TimeoutError()
    if code == TOO_LARGE or "Too large response header" in message or "Too many response headers" in message:
        return TooLarge(f"{host}: the response headers are too large", url=url)
    refused = int(handle.getinfo(pycurl.HTTP_CONNECTCODE))
    if refused and refused // 100 != 2:
        return Unreachable(f"the proxy refused a tunnel to {host} (HTTP {refused})", connected=connected, url=url)
    return Unreachable(f"{host}: {_reason(handle, code, message, host)}", connected=connected, url=url)


def _reason(handle: pycurl.Curl, code: int, message: str, host: str) -> str:
    system = _system(int(handle.getinfo(pycurl.OS_ERRNO)))
    match code:
        case pycurl.E_GOT_NOTHING:
            return "connection closed without a response"
        case _ if code in NOT_HTTP:
            return "the response is not valid HTTP"
        case pycurl.E_PARTIAL_FILE:
            return "incomplete response"
        case pycurl.E_PEER_FAILED_VERIFICATION:
            return "TLS: " + _certificate(int(handle.getinfo(pycurl.SSL_VERIFYRESULT)), host)
        case pycurl.E_SSL_CONNECT_ERROR:
            found = TLS_REASON.search(message)
            return f"TLS: {found[1].strip() if found else system or 'handshake failed'}"
        case _ if code == PROXY:
            return _socks(int(handle.getinfo(pycurl.PROXY_ERROR)))
        case pycurl.E_COULDNT_CONNECT | pycurl.E_RECV_ERROR | pycurl.E_SEND_ERROR:
            return system or "connection lost"
        case _:
            return f"request failed ({message or code})"


def _certificate(found: int, host: str) -> str:
    """Return what is wrong with a certificate (X509_V_ERR_*); libcurl compares names itself."""
    from aggregator.core.text.tls import CERTIFICATE, certificate_fault  # most passes meet no such fault

    if found > UNSPECIFIED:
        return certificate_fault(found)
    return CERTIFICATE[64 if numeric(host) else 62]


def _socks(code: int) -> str:
    """Return what a SOCKS proxy refused (CURLPX_*)."""
    if code == CREDENTIALS:
        return "the proxy rejected the credentials"
    if code in NO_METHOD:
        return "not a SOCKS 5 proxy, or other credentials are required"
    return f"the proxy could not connect: {SOCKS.get(code, f'code {code}')}"


def _system(code: int) -> str:
    return SYSTEM.get(code) or (os.strerror(code).lower() if code else "")
