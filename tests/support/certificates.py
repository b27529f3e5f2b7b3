"""Certificates for servers on loopback, signed by an authority that only the tests trust.

The keys in tests/data/tls are public on purpose; they protect nothing.
"""

import ssl
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "tls"
AUTHORITY = FOLDER / "authority.pem"  # for clients


def server_context(name: str = "good") -> ssl.SSLContext:
    """A server's side: `good`, `expired` or `other-name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / f"{name}.pem")
    return context
