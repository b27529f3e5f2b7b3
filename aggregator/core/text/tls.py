"""Words for what is wrong with a TLS connection."""

# X509_V_ERR_* of openssl/x509_vfy.h
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
# Parts of OpenSSL's reasons, as `ssl.SSLError.reason` has them.
_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "HTTP_REQUEST": "the server does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS on this port",
    "PACKET_LENGTH_TOO_LONG": "the server does not speak TLS on this port",
    "CERTIFICATE_REQUIRED": "the server asks for a client certificate",
    "PROTOCOL": "the server offers only versions of TLS that are no longer secure",
    "EOF": "the server closed the connection during the handshake",
    "HANDSHAKE_FAILURE": "the server refused the handshake",
    "DH_KEY_TOO_SMALL": "the server's key is too short to be secure",
    "EE_KEY_TOO_SMALL": "the server's key is too short to be secure",
    "UNRECOGNIZED_NAME": "the server does not know this host name",
    "ALERT_INTERNAL_ERROR": "the server refused the handshake",
}


def certificate_fault(code: int) -> str:
    """Return what is wrong with a certificate, by OpenSSL's code."""
    return CERTIFICATE.get(code, f"certificate not trusted (code {code})")


def handshake_fault(reason: str | None) -> str:
    """Return why a handshake failed, by OpenSSL's reason."""
    words = (reason or "").upper()
    known = next((said for part, said in _HANDSHAKE.items() if part in words), None)
    return known or f"handshake failed ({words.lower().replace('_', ' ')})" if words else "handshake failed"
