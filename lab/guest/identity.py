# SPDX-License-Identifier: GPL-2.0-only
"""A guest's identity: its own keys and a nonce, newly made for each guest.

The guest receives them when it is unparked (unpark.py). The host key is pinned
on the host's side, so that nothing else can answer in the guest's place.
"""

from __future__ import annotations

import base64
import secrets
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_TYPE = "ssh-ed25519"


@dataclass(frozen=True)
class Identity:
    """The keys and the nonce of one guest.

    `client_key` is the private key as OpenSSH PEM text. `client_public` and
    `host_public` are lines as in `authorized_keys`. `host_key` is the private
    host key in dropbear's file format, and `nonce` has 32 hex digits.
    """

    client_key: str = field(repr=False)
    client_public: str
    host_key: bytes = field(repr=False)
    host_public: str
    nonce: str


def fresh() -> Identity:
    """Return a new identity; this takes less than a millisecond."""
    client, host = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    pem = client.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return Identity(
        client_key=pem.decode(),
        client_public=_public_line(_public_bytes(client)),
        host_key=_dropbear_key(host),
        host_public=_public_line(_public_bytes(host)),
        nonce=secrets.token_hex(16),
    )


def _public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _public_line(public: bytes) -> str:
    blob = _string(_TYPE.encode()) + _string(public)
    return f"{_TYPE} {base64.b64encode(blob).decode()}"


def _dropbear_key(key: Ed25519PrivateKey) -> bytes:
    # The format of buf_put_ed25519_priv_key: the type, then seed and public key as one string.
    seed = key.private_bytes(
        serialization.Encoding.Raw,
        serialization.PrivateFormat.Raw,
        serialization.NoEncryption(),
    )
    return _string(_TYPE.encode()) + _string(seed + _public_bytes(key))
