# SPDX-License-Identifier: GPL-2.0-only
"""Test forks of a real guest: each equals a booted guest, and has an identity of its own."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from lab import events
from lab.cache import Cache
from lab.deadline import scaled
from lab.guest.forks import KIND, Forks, key_of_snapshot
from lab.guest.guest import Guest, GuestSpec
from lab.jobs.bench.start import bench_start
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.vm import snapshot
from lab.vm.argv import MACHINES

pytestmark = pytest.mark.integration

# What must differ: the kernel's random numbers, its id of this boot, the SSH
# server's (a key exchange begins with 16 random bytes), keys and nonce.
UNIQUE = (
    "head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id "
    "/proc/sys/kernel/random/uuid /etc/kextlab/identity"
)
FORKS = 100


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """A separate cache, whose snapshots a test may damage."""
    return Cache(tmp_path_factory.mktemp("forks"))


def heard(cache: Cache) -> tuple[Forks, list[events.Event]]:
    said: list[events.Event] = []
    return Forks(cache, emit=said.append), said


def made(said: list[events.Event]) -> int:
    return sum(isinstance(event, events.StageFinished) for event in said)


def secrets_of(guest: Guest) -> list[str]:
    return [
        *guest.run(UNIQUE).stdout.strip().split("\n"),
        guest.identity.host_public,
        cookie(guest.machine.ssh_port()),
    ]


def cookie(port: int) -> str:
    """The random bytes with which the guest's SSH server begins a key exchange (RFC 4253, 7.1)."""
    with socket.create_connection(("127.0.0.1", port), timeout=scaled(10).seconds) as caller:
        stream = caller.makefile("rb")
        assert stream.readline().startswith(b"SSH-2.0-")
        header = stream.read(6)
        assert header[5] == 20, "a KEXINIT"
        return str(stream.read(16).hex())


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fork_works_as_a_booted_guest_does(
    planner: Planner, stock: Kernel, own: Cache, machine: str
) -> None:
    forks, said = heard(own)
    spec = planner.guest_spec(stock, planner.image(stock), machine=machine)
    for _ in range(2):
        with forks.start(spec) as guest:
            assert guest.how == "fork"
            assert guest.run("nproc").stdout == f"{spec.shape.cpus}\n"
            assert guest.loader.call("list", scaled(15)).ok
            # Its clock is the host's, whenever the snapshot was made.
            assert abs(int(guest.run("date +%s").stdout) - time.time()) < 5
            # What was said before the snapshot belongs to its story.
            assert "kextlab: init" in guest.machine.console.text()
            guest.start("echo c > /proc/sysrq-trigger")
            guest.machine.wait(lambda: guest.machine.ended, scaled(20), "the end of a panic")
            assert guest.machine.panicked
    assert made(said) == 1


def test_a_hundred_forks_share_no_secret(spec: GuestSpec, own: Cache) -> None:
    forks, _ = heard(own)

    def one(_number: int) -> list[str]:
        with forks.start(spec) as guest:
            return secrets_of(guest)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, range(FORKS)))
    for values in zip(*found, strict=True):
        assert len(set(values)) == FORKS, values[:3]


@pytest.mark.parametrize("name", [snapshot.MEMORY, snapshot.STATE, snapshot.CONSOLE])
@pytest.mark.parametrize("harm", ["truncate", "flip", "remove"])
def test_a_damaged_snapshot_is_made_anew(spec: GuestSpec, own: Cache, name: str, harm: str) -> None:
    forks, said = heard(own)
    damage(forks.snapshot(spec).folder / name, harm)
    said.clear()
    with forks.start(spec) as guest:
        assert guest.how == "fork"
    assert made(said) == 1
    assert any(
        "making the snapshot again" in event.text
        for event in said
        if isinstance(event, events.Notice)
    )


def damage(path: Path, harm: str) -> None:
    if harm == "remove":
        path.unlink()
    elif harm == "truncate":
        os.truncate(path, path.stat().st_size - 1)
    else:
        before = path.stat()
        with path.open("r+b") as stream:
            stream.seek(before.st_size // 2)
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))


def break_state(folder: Path) -> None:
    """The snapshot's checksums are right, but QEMU can't load it."""
    (folder / snapshot.STATE).write_bytes(b"no state at all")
    snapshot.seal(folder)


def test_a_snapshot_that_qemu_cannot_load_is_made_anew(spec: GuestSpec, own: Cache) -> None:
    forks, said = heard(own)
    break_state(forks.snapshot(spec).folder)
    said.clear()
    with forks.start(spec) as guest:
        assert guest.how == "fork"
    assert made(said) == 1


def test_what_cannot_be_forked_is_booted_and_that_is_said_once(
    spec: GuestSpec, own: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks, said = heard(own)
    seal = snapshot.seal

    def broken(folder: Path) -> None:
        (folder / snapshot.STATE).write_bytes(b"no state at all")
        seal(folder)

    monkeypatch.setattr(snapshot, "seal", broken)
    own.remove(KIND, key_of_snapshot(spec))
    for _ in range(2):
        with forks.start(spec) as guest:
            assert guest.how == "cold"
            assert guest.run("true").ok
    notices = [event.text for event in said if isinstance(event, events.Notice)]
    assert sum("booting guests instead of forking" in text for text in notices) == 1
    own.remove(KIND, key_of_snapshot(spec))


def test_cold_is_cold(spec: GuestSpec, tmp_path: Path) -> None:
    forks = Forks(Cache(tmp_path), cold=True)
    with forks.start(spec) as guest:
        assert guest.how == "cold"
    assert not (tmp_path / KIND).exists()


def test_eight_forks_of_256_mib_fit_in_a_gibibyte(spec: GuestSpec, own: Cache) -> None:
    forks, _ = heard(own)
    assert spec.shape.memory == 256
    guests = [forks.start(spec) for _ in range(8)]
    try:
        sizes = [psutil.Process(guest.machine.pid).memory_full_info().pss for guest in guests]
    finally:
        for guest in guests:
            guest.close()
    assert sum(sizes) < 1 << 30, [size >> 20 for size in sizes]


def test_the_key_holds_all_that_a_snapshot_depends_on(spec: GuestSpec, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"another")
    shape = spec.shape
    others = [
        dataclasses.replace(spec, image=image),
        dataclasses.replace(spec, kernel=image),
        dataclasses.replace(spec, arguments=(*spec.arguments, "quiet")),
        *(
            dataclasses.replace(spec, shape=dataclasses.replace(shape, **change))
            for change in (
                {"machine": "microvm"},
                {"cpus": 3},
                {"memory": 320},
                {"accel": "kvm"},
                {"cpu": "qemu64"},
            )
        ),
    ]
    keys = {key_of_snapshot(one) for one in [spec, *others]}
    assert len(keys) == 1 + len(others)
    assert key_of_snapshot(dataclasses.replace(spec)) == key_of_snapshot(spec)


def test_the_benchmark_measures_forks_and_cold_boots_by_part(spec: GuestSpec, own: Cache) -> None:
    found = bench_start(spec, None, heard(own)[0], turns=1, guests=2)
    assert list(found.fork.parts) == ["QEMU", "load", "unpark", "SSH", "command"]
    assert list(found.cold.parts) == ["QEMU", "boot", "unpark", "SSH", "command"]
    assert len(found.fork.seconds) == 4
    assert abs(sum(found.cold.parts.values()) - found.cold.median) < 0.05
    assert found.vng is None
    assert found.why_no_vng


def test_the_next_guest_is_made_meanwhile_and_none_is_left(
    spec: GuestSpec, own: Cache, tmp_path: Path
) -> None:
    with Pool(heard(own)[0], tmp_path) as pool:
        with pool.start(spec) as first:
            pool.prepare(lambda: spec)
            scaled(20).poll(
                lambda: pool._waiting and pool._waiting[0].guest.done(), "the next guest"
            )
            waiting = pool._waiting[0].guest.result()
            assert waiting.identity.nonce != first.identity.nonce
        second = pool.start(spec)
        assert second is waiting
        second.close()
        pool.prepare(lambda: spec)
        scaled(20).poll(lambda: pool._waiting and pool._waiting[0].guest.done(), "another")
        left = pool._waiting[0].guest.result().machine.pid
    assert not psutil.pid_exists(left)
