"""Signatures of Standard Webhooks 1.0, symmetric scheme `v1`: HMAC-SHA256 over the bytes sent."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)


def keys(secret: str) -> tuple[bytes, ...]:
    """Return the keys of a secret: `whsec_` and base64 of 24 to 64 bytes, several with blanks.

    Raises ValueError with a rule, never the value.
    """
    found = tuple(_key(text) for text in secret.split())
    if not found:
        message = "the signing secret is empty"
        raise ValueError(message)
    return found


def _key(text: str) -> bytes:
    message = "a signing secret is `whsec_` and base64 of 24 to 64 bytes"
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(message)
    return key


def message_id(run_id: str) -> str:
    """Return the message's identity: of one run always the same, of two never.

    The full stop separates the signed parts, so the specification wants none in here; a run id
    may hold one.
    """
    return "msg_" + hashlib.sha256(run_id.encode()).hexdigest()[:32]


def headers(secret: str, run_id: str, timestamp: int, body: bytes) -> list[tuple[str, str]]:
    """Return the three headers that sign the body with each key of the secret.

    Raises ValueError as `keys` does.
    """
    signed = f"{message_id(run_id)}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys(secret)
    )
    return with_signature(run_id, timestamp, " ".join(f"v1,{text}" for text in signatures))


def with_signature(run_id: str, timestamp: int, signature: str) -> list[tuple[str, str]]:
    """Return the three headers with this text in the place of the signatures."""
    return [
        ("webhook-id", message_id(run_id)),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", signature),
    ]
