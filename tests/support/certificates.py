"""Certificates for servers on loopback, signed by an authority that only the tests trust.

The keys in tests/data/tls are public on purpose; they protect nothing.
"""

import ssl
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "tls"


def server_context(name: str = "good") -> ssl.SSLContext:
    """A server's side: `good`, `expired` or `other-name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / f"{name}.pem")
    return context


def client_context() -> ssl.SSLContext:
    """A client's side that trusts the tests' authority."""
    return ssl.create_default_context(cafile=str(FOLDER / "authority.pem"))
