"""LUKS: cryptsetup's own test images, volumes that cryptsetup and qemu-img make here, and damage."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Locked, Truncated, Unsupported
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.crypto.luks import luks1, luks2
from forensiclib.testing.contracts import SourceContract

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
LUKS1 = (
    "aes-cbc-essiv-sha256-sha1", "aes-lrw-plain64-sha1", "aes-xts-essiv-wp256-whirlpool", "aes-xts-plain64-sha1", "aes-xts-plain64-sha256",
    "aes-xts-plain64-whirlpool", "serpent-xts-plain64-sha1", "serpent-xts-plain64-sha256", "serpent-xts-plain64-whirlpool",
    "twofish-xts-plain64-sha1", "twofish-xts-plain64-sha256", "twofish-xts-plain64-whirlpool",
)  # fmt: skip


def tool(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"not installed: {name}")
    return found


def opened(path, budget=None, **keys):
    source = FileSource(path) if not isinstance(path, bytes) else MemorySource(path)
    room = luks1 if luks1.ENCRYPTION.probe(source) else luks2
    budget = budget or Budget()
    return room.ENCRYPTION.open(source, budget).unlock(Keys(**keys), budget)


@pytest.mark.corpus
@pytest.mark.parametrize("name", LUKS1)
def test_luks1_images_hold_the_fat_volume_they_were_made_with(unpacked, name):
    """cryptsetup's tests give them keyfile1 and look for a FAT volume with the serial number DEAD-BABE."""
    folder = unpacked("luks1-images.tar.xz")
    plain = opened(folder / f"luks1_{name}.img", keyfile=(folder / "keyfile1").read_bytes())
    boot = plain.read_at(0, 512)
    assert boot[54:59] == b"FAT12" and boot[510:] == b"\x55\xaa" and boot[39:43] == bytes.fromhex("bebaadde")
    assert plain.size == 6 << 20
    (span,) = plain.trace(700, 3)
    assert (span.start, span.length, span.via) == ((2 << 20) + 512, 512, ("luks1",))


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["compatimage.img.xz", "compatimage2.img.xz", "compatv10image.img.xz"])
def test_a_wrong_password_is_locked_and_says_nothing(unpacked, name):
    path = unpacked(name)
    assert opened(path, password="compatkey").size
    before = time.process_time()
    with pytest.raises(Locked) as caught:
        opened(path, password=["wrong-Secret-1", "wrong-Secret-2"])
    assert "Secret" not in str(caught.value) and time.process_time() - before < 20


@pytest.mark.corpus
def test_each_size_of_the_luks2_metadata(unpacked):
    for path in sorted(unpacked("luks2_mda_images.tar.xz").glob("test_image_*")):
        source, budget = FileSource(path), Budget()
        lock = luks2.ENCRYPTION.open(source, budget)
        assert lock.facts["uuid"] and not budget.findings, path.name
        size = int(path.name.rpartition("_")[2]) << 10
        head = bytearray(source.read_at(0, source.size))
        head[4200] ^= 1  # the first copy's JSON
        again = luks2.ENCRYPTION.open(MemorySource(bytes(head)), budget)
        assert again.facts == lock.facts and {f.kind for f in budget.findings} == {"Corrupt", "Note"}
        head[:4096] = bytes(4096)
        assert luks2.ENCRYPTION.probe(MemorySource(bytes(head))), "the second copy alone announces it"
        head[size + 4200] ^= 1
        with pytest.raises(Corrupt):
            luks2.ENCRYPTION.open(MemorySource(bytes(head)), Budget())


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["keyslot_overlap", "luks_hdr_damage", "payload_overwrite", "small_luks_device", "stripes_payload_dmg"])
def test_evil_headers_open_nothing(unpacked, name):
    with pytest.raises(EvidenceError):
        opened(unpacked(f"evil_hdr-{name}.xz"), password="compatkey").read_at(0, 512)


@pytest.fixture(scope="module")
def content():
    return random.Random(5).randbytes(1 << 20)


@pytest.mark.drivers
@pytest.mark.parametrize(
    ("cipher", "mode", "iv", "hash"),
    [("aes-256", "xts", "plain64", "sha256"), ("aes-128", "cbc", "essiv", "sha256"), ("aes-256", "cbc", "plain", "sha1"),
     ("serpent-256", "xts", "plain64", "sha512"), ("twofish-256", "cbc", "essiv", "sha256")],
)  # fmt: skip
def test_what_qemu_wrote_reads_back(tmp_path, content, cipher, mode, iv, hash):
    raw, image = tmp_path / "raw", tmp_path / "luks"
    raw.write_bytes(content)
    options = f"key-secret=s,cipher-alg={cipher},cipher-mode={mode},ivgen-alg={iv},hash-alg={hash},iter-time=10"
    if iv == "essiv":
        options += ",ivgen-hash-alg=sha256"
    command = [tool("qemu-img"), "convert", "--object", "secret,id=s,data=hello", "-f", "raw", "-O", "luks", "-o", options, raw, image]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this qemu-img cannot: {done.stderr.strip()[:100]}")
    plain = opened(image, password="hello")
    assert plain.read_at(0, plain.size) == content


@pytest.mark.drivers
@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("kdf", ["argon2id", "argon2i", "pbkdf2"])
def test_what_cryptsetup_encrypted_reads_back(tmp_path, content, sector, kdf):
    """``cryptsetup reencrypt --encrypt`` of a file; it needs no device mapper."""
    image = tmp_path / "luks"
    image.write_bytes(content * 8 + bytes(32 << 20))
    cost = (
        ["--pbkdf-force-iterations", "4", "--pbkdf-memory", "32768", "--pbkdf-parallel", "1"]
        if kdf != "pbkdf2"
        else ["--pbkdf-force-iterations", "1000"]
    )
    command = [tool("cryptsetup"), "reencrypt", "--encrypt", "-q", "--reduce-device-size", "32M", "--sector-size", str(sector), "--pbkdf", kdf, *cost,
               "--disable-locks", "--key-file", "-", image]  # fmt: skip
    done = subprocess.run(command, input=b"hello", capture_output=True)
    if done.returncode:
        pytest.skip(f"cryptsetup cannot here: {done.stderr.decode().strip()[:120]}")
    plain = opened(image, password="hello")
    assert plain.read_at(0, 8 << 20) == content * 8
    with pytest.raises(Locked):
        opened(image, password="Hello")
    if kdf != "pbkdf2":
        budget = Budget(Limits(derivation=16 << 20))
        with pytest.raises(Locked):
            opened(image, budget, password="hello")
        assert [f.kind for f in budget.findings] == ["LimitExceeded"] and "32,768 KiB" in budget.findings[0].found


@pytest.mark.drivers
@pytest.mark.parametrize("version", ["luks1", "luks2"])
def test_a_header_alone_says_so_and_opens_with_its_device(tmp_path, version):
    header = tmp_path / "header"
    header.write_bytes(bytes(16 << 20))
    extra = ["--pbkdf", "pbkdf2"] if version == "luks2" else []
    command = [
        tool("cryptsetup"),
        "luksFormat",
        "-q",
        "--type",
        version,
        "--pbkdf-force-iterations",
        "1000",
        *extra,
        "--disable-locks",
        "--key-file",
        "-",
        header,
    ]
    subprocess.run(command, input=b"hello", check=True, capture_output=True)
    start = 2 << 20 if version == "luks1" else 16 << 20
    cut = header.read_bytes()[:start]
    with pytest.raises(Truncated, match="detached header"):
        opened(cut, password="hello")
    room = {"luks1": luks1.open_luks1, "luks2": luks2.open_luks2}[version]
    device = MemorySource(bytes(start + 4096), "device")
    plain = room(MemorySource(cut), Budget(), data=device).unlock(Keys("hello"), Budget())
    assert plain.size == 4096 and plain.trace(0, 1)[0].root == "device"


@pytest.mark.corpus
def test_the_front_door_unlocks(unpacked):
    folder = unpacked("luks1-images.tar.xz")
    path = folder / "luks1_aes-xts-plain64-sha256.img"
    with fl.open_image(path) as image:
        (volume,) = image.volumes()
        assert volume.locked and volume.lock.needs == ("password", "key file")
        (volume,) = image.volumes(keys=Keys(keyfile=(folder / "keyfile1").read_bytes()))
        assert not volume.locked and "luks1" in volume.layers


@pytest.mark.corpus
class TestPlainSource(SourceContract):
    @pytest.fixture(autouse=True)
    def _image(self, unpacked):
        folder = unpacked("luks1-images.tar.xz")
        self.source = opened(folder / "luks1_aes-cbc-essiv-sha256-sha1.img", keyfile=(folder / "keyfile1").read_bytes())

    def make(self):
        return self.source, self.source.read_at(0, self.source.size)


def test_a_header_that_asks_for_hours_is_refused():
    from forensiclib.crypto._kdf import argon2, pbkdf2

    with pytest.raises(LimitExceeded, match="4,000,000,000"):
        pbkdf2("sha1", b"x", b"y", 4_000_000_000, 20, Budget())
    with pytest.raises(LimitExceeded, match="4,194,304 KiB"):
        argon2("argon2id", b"x", b"salt" * 4, 4, 4 << 20, 4, 32, Budget())
    with pytest.raises(Unsupported):
        pbkdf2("md4", b"x", b"y", 1, 20, Budget())
    assert hashlib.pbkdf2_hmac("sha1", b"x", b"y", 3, 20) == pbkdf2("sha1", b"x", b"y", 3, 20, Budget())
