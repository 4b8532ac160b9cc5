# SPDX-License-Identifier: GPL-2.0-only
"""A guest's keys and nonce."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
from pathlib import Path

import paramiko
import pytest

from lab.guest import identity


def test_two_guests_share_nothing() -> None:
    one, two = identity.fresh(), identity.fresh()
    for name in ("client_key", "client_public", "host_key", "host_public", "nonce"):
        assert getattr(one, name) != getattr(two, name)
    assert len(one.nonce) == 32
    int(one.nonce, 16)


def test_private_parts_are_not_printed() -> None:
    made = identity.fresh()
    assert "PRIVATE" not in repr(made)
    assert repr(made.host_key) not in repr(made)


def test_paramiko_reads_the_client_key() -> None:
    made = identity.fresh()
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(made.client_key))
    assert made.client_public == f"{key.get_name()} {key.get_base64()}"


def test_paramiko_reads_the_pinned_host_key() -> None:
    made = identity.fresh()
    blob = base64.b64decode(made.host_public.split()[1])
    assert paramiko.Ed25519Key(data=blob).get_base64() == made.host_public.split()[1]
    # dropbear's string of 64 bytes ends with the public key.
    assert made.host_key[-32:] == blob[-32:]
    assert len(made.host_key) == 4 + 11 + 4 + 64


@pytest.mark.skipif(not shutil.which("dropbearkey"), reason="dropbear is not installed")
def test_dropbear_reads_the_host_key(tmp_path: Path) -> None:
    made = identity.fresh()
    path = tmp_path / "host_key"
    path.write_bytes(made.host_key)
    out = subprocess.run(
        ["dropbearkey", "-y", "-f", str(path)], check=True, capture_output=True, text=True
    ).stdout
    assert made.host_public in out
