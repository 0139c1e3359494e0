"""TrueCrypt and VeraCrypt: every image of cryptsetup's own tests, each of which holds a FAT volume with the serial number DEAD-BABE (hidden
ones: CAFE-BABE), and damage."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Cancelled, EvidenceError, Locked, NotThisFormat, Truncated
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.crypto.truecrypt import derive, system, volume
from forensiclib.crypto.truecrypt.schemes import LEGACY, MODERN
from forensiclib.testing.contracts import SourceContract

pytestmark = pytest.mark.bulk  # millions of rounds of derivation: hours in the plain twins
OUTER, INNER, LONG = "a" * 12, "b" * 12, "".join(c * 12 for c in "abcdef")
NAMES = [
    "tc_1-ripemd160-cbc-aes",
    "tc_1-ripemd160-cbc-blowfish",
    "tc_1-sha1-cbc-aes",
    "tc_1-sha1-cbc-blowfish",
    "tc_1-sha1-cbc-cast5",
    "tc_1-sha1-cbc-des3_ede",
    "tc_2-ripemd160-cbc-aes",
    "tc_2-ripemd160-cbc-aes-blowfish",
    "tc_2-ripemd160-cbc-aes-blowfish-serpent",
    "tc_2-ripemd160-cbc-aes-hidden",
    "tc_2-ripemd160-cbc-aes-twofish",
    "tc_2-ripemd160-cbc-aes-twofish-serpent",
    "tc_2-ripemd160-cbc-serpent-aes",
    "tc_2-ripemd160-cbc-serpent-twofish-aes",
    "tc_2-ripemd160-cbc-serpent-twofish-aes-hidden",
    "tc_2-ripemd160-cbc-twofish",
    "tc_2-ripemd160-cbc-twofish-serpent",
    "tc_2-ripemd160-lrw-aes",
    "tc_2-ripemd160-lrw-aes-hidden",
    "tc_2-ripemd160-lrw-aes-twofish",
    "tc_2-ripemd160-lrw-aes-twofish-serpent",
    "tc_2-ripemd160-lrw-serpent",
    "tc_2-ripemd160-lrw-serpent-aes",
    "tc_2-ripemd160-lrw-serpent-twofish-aes",
    "tc_2-ripemd160-lrw-serpent-twofish-aes-hidden",
    "tc_2-ripemd160-lrw-twofish",
    "tc_2-ripemd160-lrw-twofish-serpent",
    "tc_2-whirlpool-cbc-aes",
    "tc_3-ripemd160-xts-aes",
    "tc_3-ripemd160-xts-aes-twofish",
    "tc_3-ripemd160-xts-aes-twofish-serpent",
    "tc_3-ripemd160-xts-serpent",
    "tc_3-ripemd160-xts-serpent-aes",
    "tc_3-ripemd160-xts-serpent-twofish-aes",
    "tc_3-ripemd160-xts-twofish",
    "tc_3-ripemd160-xts-twofish-serpent",
    "tc_3-sha512-xts-aes",
    "tc_3-sha512-xts-aes-hidden",
    "tc_3-sha512-xts-serpent-twofish-aes-hidden",
    "tc_4-ripemd160-xts-aes",
    "tc_4-sha512-xts-aes",
    "tc_4-sha512-xts-aes-hidden",
    "tc_4-sha512-xts-aes-twofish",
    "tc_4-sha512-xts-aes-twofish-serpent",
    "tc_4-sha512-xts-serpent",
    "tc_4-sha512-xts-serpent-aes",
    "tc_4-sha512-xts-serpent-twofish-aes",
    "tc_4-sha512-xts-serpent-twofish-aes-hidden",
    "tc_4-sha512-xts-twofish",
    "tc_4-sha512-xts-twofish-serpent",
    "tc_5-ripemd160-xts-aes",
    "tc_5-sha512-xts-aes",
    "tc_5-sha512-xts-aes-hidden",
    "tc_5-sha512-xts-aes-twofish",
    "tc_5-sha512-xts-aes-twofish-serpent",
    "tc_5-sha512-xts-serpent",
    "tc_5-sha512-xts-serpent-aes",
    "tc_5-sha512-xts-serpent-twofish-aes",
    "tc_5-sha512-xts-serpent-twofish-aes-hidden",
    "tc_5-sha512-xts-twofish",
    "tc_5-sha512-xts-twofish-serpent",
    "tc_5-whirlpool-xts-aes",
    "tck_5-sha512-xts-aes",
    "vc_1-argon2id-xts-aes",
    "vc_1-blake2s-xts-aes",
    "vc_1-ripemd160-xts-aes",
    "vc_1-sha256-xts-aes",
    "vc_1-sha512-xts-aes",
    "vc_1-sha512-xts-aes-hidden",
    "vc_1-sha512-xts-aes-twofish-serpent",
    "vc_1-sha512-xts-camellia",
    "vc_1-sha512-xts-camellia-serpent-kuznyechik",
    "vc_1-sha512-xts-kuznyechik",
    "vc_1-sha512-xts-kuznyechik-camellia",
    "vc_1-sha512-xts-serpent-twofish-aes",
    "vc_1-stribog512-xts-camellia",
    "vc_1-whirlpool-xts-aes",
    "vck_1-sha512-xts-aes",
    "vck_1_nopw-blake2s-xts-aes",
    "vck_1_nopw-sha256-xts-aes",
    "vck_1_nopw-sha512-xts-aes",
    "vck_1_pw12-blake2s-xts-aes",
    "vck_1_pw12-sha256-xts-aes",
    "vck_1_pw12-sha512-xts-aes",
    "vck_1_pw72-blake2s-xts-aes",
    "vck_1_pw72-sha256-xts-aes",
    "vck_1_pw72-sha512-xts-aes",
    "vcpim_1_1234-sha256-xts-aes",
    "vcpim_1_33-argon2id-xts-aes",
    "vcpim_1_8-argon2id-xts-aes",
]
WIPED = ("cbc-blowfish", "cbc-aes-blowfish", "cbc-aes-twofish", "cbc-serpent", "cbc-twofish-serpent")
"""In these images cryptsetup zeroed the boot sector, which it cannot read; the last sector, of plain zeros, is there."""


def keys_of(folder: Path, name: str) -> Keys:
    """What the corpus' README says of the image."""
    if found := re.match(r"vcpim_1_(\d+)", name):
        return Keys("c" * 20, pim=int(found[1]))
    password = [] if "nopw" in name else [LONG] if "pw72" in name else [OUTER, INNER] if "hidden" in name else [OUTER]
    files = [(folder / f"keyfile{i}").read_bytes() for i in (1, 2)] if name.startswith(("tck", "vck")) else []
    return Keys(password, keyfile=files)


def unlocked(path, keys, budget=None, room=volume):
    source = MemorySource(path) if isinstance(path, bytes) else FileSource(path)
    budget = budget or Budget()
    lock = room.ENCRYPTION.open(source, budget)
    return lock, lock.unlock(keys, budget)


def serial(source) -> str:
    boot = source.read_at(0, 512)
    assert boot[54:59] == b"FAT12" and boot[510:] == b"\x55\xaa"
    return boot[39:43][::-1].hex()


@pytest.mark.corpus
@pytest.mark.parametrize("name", NAMES)
def test_each_image_opens_with_the_cipher_and_hash_of_its_name(unpacked, name):
    folder, budget = unpacked("tcrypt-images.tar.xz"), Budget()
    lock, plain = unlocked(folder / name, keys_of(folder, name), budget)
    _, hash, mode, *ciphers = name.removesuffix("-hidden").split("-")
    facts = {k: re.sub(r"\W", "", v).lower() for k, v in lock.facts.items()}
    assert facts["hash"].startswith(hash.replace("stribog512", "streebog"))
    titles = [re.sub(r"\W", "", c.replace("des3_ede", "tripledes")) for c in ciphers]
    if {"camellia", "kuznyechik"} & set(ciphers):
        titles.reverse()  # these names are of the order in which cryptsetup stacks them
    assert facts["cipher"] == "".join(titles) + mode
    assert facts["volume_format"].startswith("veracrypt" if name.startswith("vc") else "truecrypt")
    if any(f"cbc-{w[4:]}" in name for w in WIPED):
        assert plain.read_at(0, 512) != bytes(512)
        if "hidden" not in name:
            assert plain.read_at(34 * 512, 512) == bytes(512), "the last sector that TrueCrypt wrote"
        return
    assert serial(plain) == "deadbabe"
    if "hidden" in name:
        (hidden,) = lock.others
        assert serial(hidden) == "cafebabe" and hidden.kind == "hidden volume"
        assert [f.kind for f in budget.findings] == ["Note"] and "hidden volume" in budget.findings[0].found
    else:
        assert not lock.others and not budget.findings


@pytest.mark.corpus
def test_the_hidden_volume_alone_and_where_its_bytes_lie(unpacked):
    path = unpacked("tcrypt-images.tar.xz") / "tc_5-sha512-xts-aes-hidden"
    lock, plain = unlocked(path, Keys(INNER))
    assert serial(plain) == "cafebabe" and not lock.others and "hidden volume" in lock.facts["header"]
    (span,) = plain.trace(700, 3)
    assert (span.start, span.length, span.via) == (176128 + 512, 512, ("veracrypt",))


@pytest.mark.corpus
@pytest.mark.parametrize(("at", "size"), [(0, 65536), (0, 131072)])
def test_a_lost_header_is_made_good_by_its_copy(unpacked, at, size):
    data = bytearray((unpacked("tcrypt-images.tar.xz") / "tc_5-sha512-xts-aes-hidden").read_bytes())
    data[at : at + size] = bytes(size)
    budget = Budget()
    lock, plain = unlocked(bytes(data), Keys([OUTER, INNER]), budget)
    assert serial(plain) == "deadbabe" and serial(lock.others[0]) == "cafebabe"
    told = [f.found for f in budget.findings if "backup" in f.found]
    assert len(told) == (1 if size == 65536 else 2)


@pytest.mark.corpus
def test_a_cut_image_says_what_is_missing(unpacked):
    data = (unpacked("tcrypt-images.tar.xz") / "tc_5-sha512-xts-aes").read_bytes()
    budget = Budget()
    _, plain = unlocked(data[:140_000], Keys(OUTER), budget)
    assert plain.size == (140_000 - 131072) // 512 * 512 and [f.kind for f in budget.findings] == ["Truncated"]
    with pytest.raises(Truncated):
        unlocked(data[:131072], Keys(OUTER))


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "partition"),
    [("sys_vc_1_mbr_full-sha256-xts-aes", 1), ("sys_vc_1_mbr_part-sha256-xts-aes", 1), ("sys_vc_1_gpt_part-sha512-xts-aes", 3)],
)
def test_disks_whose_system_is_encrypted(unpacked, name, partition):
    """The partition table stays as it is; the partitions in the encrypted area are read through it."""
    path = unpacked("tcrypt-images.tar.xz") / name
    with fl.open_image(path, keys=Keys(OUTER)) as image:
        found = {v.index: v for v in image.volumes() if v.state != "slack"}[partition]
        assert found.read_at(510, 2) == b"\x55\xaa" and b"FAT" in found.read_at(0, 90) and not found.locked
        assert found.lock.format == "veracrypt-system" and "encrypted_area" in found.lock.facts
        assert found.filesystem().format == "tsk.fat"
        (span,) = found.trace(0, 16)
        assert span.via == ("veracrypt-system",) and span.start == found.start
        assert image.read_at(0, 512) == path.read_bytes()[:512], "the image itself is what it was"
    with fl.open_image(path) as image:
        assert not any(v.lock and not v.locked for v in image.volumes())


@pytest.mark.corpus
def test_without_keys_nothing_is_claimed_and_with_them_all_is_listed(unpacked):
    path = unpacked("tcrypt-images.tar.xz") / "tc_4-sha512-xts-serpent-twofish-aes-hidden"
    with fl.open_image(path) as image:
        (only,) = image.volumes()
        assert only.lock is None and not only.locked
        both = image.volumes(keys=Keys([OUTER, INNER]))
        assert [v.name for v in both] == ["0", "0.veracrypt1"] and both[1].kind == "hidden volume"
        assert [v.filesystem().format for v in both] == ["tsk.fat", "tsk.fat"]


def test_random_bytes_are_no_more_than_a_hint(tmp_path):
    import random

    path = tmp_path / "noise"
    path.write_bytes(random.Random(7).randbytes(1 << 20))
    with fl.open_image(path) as image, pytest.raises(EvidenceError, match="may be an encrypted container"):
        image.volumes()[0].filesystem()
    path.write_bytes(bytes(1 << 20))
    with fl.open_image(path) as image, pytest.raises(EvidenceError) as caught:
        image.volumes()[0].filesystem()
    assert "container" not in str(caught.value)


def test_what_holds_no_random_bytes_is_not_asked():
    for data in (bytes(1 << 20), bytes(range(256)) * 10, b"", b"text " * 100_000):
        assert not volume.ENCRYPTION.probe(MemorySource(data)) or len(set(data[:512])) == 256
        assert not system.ENCRYPTION.probe(MemorySource(b"text " * 100_000))
    with pytest.raises(NotThisFormat):
        volume.ENCRYPTION.open(MemorySource(bytes(1 << 20)), Budget())


def test_a_try_can_be_stopped(monkeypatch):
    """A wrong password takes long; the wish to stop does not."""
    import random

    source = MemorySource(random.Random(8).randbytes(1 << 18))
    for threads in (1, 2):
        start = time.monotonic()
        budget = Budget(cancelled=lambda start=start: time.monotonic() - start > 0.5, threads=threads)
        with pytest.raises(Cancelled):
            volume.ENCRYPTION.open(source, budget).unlock(Keys("wrong-Secret"), budget)
        assert time.monotonic() - start < 8
        budget = Budget(Limits(seconds=0.5), threads=threads)
        with pytest.raises(EvidenceError, match="time"):
            volume.ENCRYPTION.open(source, budget).unlock(Keys("wrong-Secret"), budget)


@pytest.mark.corpus
def test_threads_find_the_same_and_progress_is_told(unpacked):
    folder = unpacked("tcrypt-images.tar.xz")
    told = []
    budget = Budget(threads=2, progress=lambda what, done, total: told.append((what, done, total)))
    lock, plain = unlocked(folder / "vc_1-sha256-xts-aes", Keys(OUTER), budget)
    assert serial(plain) == "deadbabe" and lock.facts["hash"] == "SHA-256"
    assert told and all(0 <= done < total for _, done, total in told)


def test_the_work_that_a_pim_asks_for():
    """VeraCrypt documentation, "PIM": the table of the work."""
    usual = {(d.hash, d.rounds, d.memory) for d in derive.derivations((), system=False) if d.brand == "VeraCrypt"}
    assert usual == {
        ("sha512", 500_000, 0), ("sha256", 500_000, 0), ("blake2s", 500_000, 0), ("whirlpool", 500_000, 0), ("streebog512", 500_000, 0),
        ("ripemd160", 655_331, 0), ("argon2id", 6, 416 << 10),
    }  # fmt: skip
    boot = {(d.hash, d.rounds) for d in derive.derivations((), system=True) if d.brand == "VeraCrypt"}
    assert boot >= {("sha256", 200_000), ("blake2s", 200_000), ("ripemd160", 327_661), ("sha512", 500_000), ("whirlpool", 500_000)}
    mine = {(d.hash, d.rounds, d.memory) for d in derive.derivations((31, 0, -5), system=False)}
    assert ("sha512", 46_000, 0) in mine and ("argon2id", 13, 1024 << 10) in mine and usual <= mine
    assert ("sha256", 2048 * 98) in {(d.hash, d.rounds) for d in derive.derivations((98,), system=True)}
    assert all("46000" not in repr(d) and "46,000" not in repr(d) for d in derive.derivations((31,), system=False))


def test_a_pim_that_asks_for_hours_is_refused_without_a_word_of_it():
    import random

    budget = Budget(Limits(derivation=1 << 20))
    source = MemorySource(random.Random(9).randbytes(1 << 16))
    ways = [w for w in derive.derivations((987_654_321,), system=False) if w.brand == "VeraCrypt"][:7]
    assert not derive.tried(ways, derive.secrets(Keys("x"))[0], [source.read_at(0, 512)], lambda *a: False, budget)
    kinds = {f.kind for f in budget.findings}
    assert kinds == {"LimitExceeded"} and len(budget.findings) == 7
    assert not any("987" in f.found or "654" in f.found for f in budget.findings)


def test_secrets_with_key_files():
    made = derive.secrets(Keys(["a", "b" * 65], keyfile=[b"1", b"2"]))
    assert len(made) == 2 * 4 and {len(s.new) for s in made} == {64, 128, 1, 65} and "b" * 9 not in repr(made)
    assert [s.old for s in made if len(s.new) in (65, 128)] == [b""] * 4, "TrueCrypt takes 64 bytes"
    assert derive.secrets(Keys()) == [] and len(derive.secrets(Keys(keyfile=b"1"))) == 1


@pytest.mark.parametrize("scheme", [*MODERN, *LEGACY], ids=lambda s: s.title)
def test_no_scheme_asks_for_more_than_a_header_has(scheme):
    assert scheme.size <= derive.MOST
    layers = scheme.layers(bytes(range(256))[: scheme.size])
    data = bytearray(1024)
    for layer in layers:
        layer.decrypt(data, 5)
    half = bytearray(512)
    for layer in layers:
        layer.decrypt(half, 6)
    assert data[512:] == half, "a sector depends on its number alone"
    assert not any(bytes(range(200, 216)).hex() in repr(layer) for layer in layers)


@pytest.mark.corpus
@pytest.mark.drivers
@pytest.mark.parametrize("name", ["tc_5-sha512-xts-aes-twofish-serpent", "vc_1-sha256-xts-aes", "tc_4-sha512-xts-aes-hidden"])
def test_cryptsetup_says_the_same(unpacked, name, tmp_path):
    """``cryptsetup tcryptDump`` reads headers without the device mapper."""
    program = shutil.which("cryptsetup", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        pytest.skip("not installed: cryptsetup")
    folder = unpacked("tcrypt-images.tar.xz")
    hidden = ["--tcrypt-hidden"] if "hidden" in name else []
    command = [program, "tcryptDump", "--disable-locks", *hidden, folder / name]
    done = subprocess.run(command, input=(INNER if hidden else OUTER).encode() + b"\n", capture_output=True)
    if done.returncode:
        pytest.skip(f"cryptsetup cannot here: {done.stderr.decode().strip()[:120]}")
    text = done.stdout.decode()
    lock, plain = unlocked(folder / name, Keys(INNER if hidden else OUTER))
    assert f"Cipher chain:   \t{re.split(', ', lock.facts['cipher'])[0].lower()}" in text.replace("Cipher chain:\t", "Cipher chain:   \t")
    offset = re.search(r"Payload offset:\s+(\d+)", text)
    assert plain.trace(0, 512)[0].start == int(offset[1]) * 512


@pytest.mark.corpus
class TestPlainSource(SourceContract):
    @pytest.fixture(autouse=True)
    def _image(self, unpacked):
        folder = unpacked("tcrypt-images.tar.xz")
        self.source = unlocked(folder / "tc_2-ripemd160-cbc-aes-twofish-serpent", Keys(OUTER))[1]

    def make(self):
        return self.source, self.source.read_at(0, self.source.size)


def test_locked_says_nothing_of_the_key(unpacked_noise):
    with pytest.raises(Locked) as caught:
        unlocked(unpacked_noise, Keys("wrong-Secret-77"))
    assert "Secret" not in str(caught.value)


@pytest.fixture
def unpacked_noise(monkeypatch):
    """Random bytes, asked for what TrueCrypt may have written only: VeraCrypt's work takes half a minute."""
    import random

    quick = [w for w in derive.derivations((), system=False) if w.brand == "TrueCrypt"]
    monkeypatch.setattr(volume, "derivations", lambda pims, system: quick)
    return random.Random(4).randbytes(1 << 18)
