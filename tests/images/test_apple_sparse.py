"""Sparse images, sparse bundles and their encryption: against what went in, other readers and ciphers, and a published test vector."""

from __future__ import annotations

import os
import plistlib
import struct
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Locked, NotThisFormat, Truncated, UsageError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.images.apple import bundle, encrypted, secret, sparse
from forensiclib.testing.contracts import SourceContract
from tests.images import appledisks as apple
from tests.images.disks import SIZE, content
from tests.images.test_vm_disks import opened, whole

WORD = "correct horse"
pytest.importorskip("Cryptodome", reason="pycryptodomex, the other side of the encryption tests, is not installed")


def unlocked(path: Path, *, word: str = WORD) -> tuple[fl.OpenImage, list[str]]:
    run = fl.Run(keys=Keys(password=["wrong", word]))
    image = fl.open_image(path, run=run)
    return image, [f"{f.kind} {f.what}: {f.found}" for f in run.findings]


# ---- .sparseimage


@pytest.mark.parametrize("order", [1, -1])
def test_a_sparse_image(tmp_path: Path, order: int) -> None:
    path = apple.sparse_image(tmp_path / "disk.sparseimage", content(), order=order)
    image, found = opened(path)
    assert not found and image.format == "sparseimage" and image.read_at(0, image.size) == content()
    used = [i for i in range(SIZE // 65536) if any(content()[i * 65536 : (i + 1) * 65536])][::order]
    assert image.facts["bands"] == f"{len(used)} of {SIZE // 65536}"
    for slot, band in enumerate(used):
        assert image.trace(band * 65536 + 9, 100) == (Span("disk.sparseimage", 4096 + slot * 65536 + 9, 100),)
    free = next(i for i in range(SIZE // 65536) if i not in used)
    assert image.trace(free * 65536, 65536) == (Span("", 0, 65536, ("zero",), False),)


def test_libmodi_reads_a_sparse_image_the_same(tmp_path: Path) -> None:
    pymodi = pytest.importorskip("pymodi", reason="libmodi-python is not installed")
    path = apple.sparse_image(tmp_path / "disk.sparseimage", content(), order=-1)
    handle = pymodi.handle()
    handle.open(str(path))
    assert handle.get_media_size() == SIZE and handle.read_buffer(SIZE) == whole(path)


def test_more_bands_than_the_header_holds(tmp_path: Path) -> None:
    media = content(3, SIZE)
    path = apple.sparse_image(tmp_path / "disk.sparseimage", bytes(b | 1 for b in media[: 2100 * 512]), band=512)
    image, found = opened(path)
    assert not found and image.facts["nodes"] == "3" and image.facts["bands"] == "2100 of 2100"
    assert image.read_at(0, image.size) == bytes(b | 1 for b in media[: 2100 * 512])


def test_a_chain_of_nodes_that_loops(tmp_path: Path) -> None:
    path = apple.sparse_image(tmp_path / "disk.sparseimage", bytes([1]) * 512 * 2100, band=512)
    raw = bytearray(path.read_bytes())
    second = int.from_bytes(raw[20:28], "big")
    struct.pack_into(">Q", raw, second + 12, second)
    path.write_bytes(raw)
    with pytest.raises(Corrupt, match="the next one"):
        opened(path)


def test_slots_that_contradict_each_other(tmp_path: Path) -> None:
    path = apple.sparse_image(tmp_path / "disk.sparseimage", content())
    raw = bytearray(path.read_bytes())
    struct.pack_into(">III", raw, 64, 1, 1, 1 << 31)
    path.write_bytes(raw)
    assert "2 slots" in opened(path)[1][0]


def test_a_band_behind_the_end_of_the_file(tmp_path: Path) -> None:
    path = apple.sparse_image(tmp_path / "disk.sparseimage", content())
    os.truncate(path, path.stat().st_size - 100)
    image, found = opened(path)
    assert not found
    with pytest.raises(Truncated):
        image.read_at(0, SIZE)


@pytest.mark.parametrize(("at", "value"), [(8, 0), (8, 0xFFFFFFFF), (28, 0xFFFFFFFF)])
def test_a_header_that_lies(tmp_path: Path, at: int, value: int) -> None:
    path = apple.sparse_image(tmp_path / "disk.sparseimage", content())
    raw = bytearray(path.read_bytes())
    struct.pack_into(">I", raw, at, value)
    path.write_bytes(raw)
    with pytest.raises(Corrupt):
        sparse.FORMAT.open([str(path)], Budget())


class TestSparseImage(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.path = apple.sparse_image(tmp_path / "disk.sparseimage", content(), order=-1)

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.path)[0], content()

    def root(self) -> dict[str, bytes]:
        return {self.path.name: self.path.read_bytes()}


# ---- .sparsebundle


def test_a_sparse_bundle_by_its_folder_and_by_its_files(tmp_path: Path) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())
    image, found = opened(folder)
    assert not found and image.format == "sparsebundle" and image.name == "disk.sparsebundle"
    assert image.read_at(0, image.size) == content()
    assert whole(folder / "Info.plist") == whole(folder / "Info.bckup") == content()
    bands = sorted(p.name for p in (folder / "bands").iterdir())
    assert image.facts["bands"] == f"{len(bands)} of {SIZE // 65536}"
    name = next(n for n in bands if len(n) == 2)
    at = int(name, 16) * 65536
    assert image.trace(at + 5, 10) == (Span(f"bands/{name}", 5, 10),)
    assert {p[0] for p in image.parts} == {"Info.plist", *(f"bands/{n}" for n in bands)}


def test_a_short_band_goes_on_in_zeros(tmp_path: Path) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())
    at, cut = 2 * 65536, 20_000
    assert any(content()[at + cut : at + 65536])
    os.truncate(folder / "bands" / "2", cut)
    assert whole(folder) == content()[: at + cut] + bytes(65536 - cut) + content()[at + 65536 :]


def test_files_that_are_no_bands_are_told(tmp_path: Path) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())
    for name in ("1000", "02", "x", "A"):
        (folder / "bands" / name).write_bytes(b"!" * 65536)
    (folder / "bands" / "ff").mkdir()
    os.symlink("/etc/passwd", folder / "bands" / "1")
    image, found = opened(folder)
    assert image.read_at(0, SIZE) == content()
    assert len(found) == 6 and sum("not a file" in f for f in found) == 2


def test_a_band_that_is_too_long_is_told(tmp_path: Path) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())
    with (folder / "bands" / "2").open("ab") as file:
        file.truncate(65536 + 4096)
    image, found = opened(folder)
    assert image.read_at(0, SIZE) == content() and len(found) == 1 and "in a band of 65536" in found[0]


def test_a_bundle_without_bands(tmp_path: Path) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", bytes(SIZE))
    assert whole(folder) == bytes(SIZE)
    (folder / "bands").rmdir()
    with pytest.raises(Truncated, match="no folder bands"):
        opened(folder)


def test_another_bundle_is_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "Some.app"
    folder.mkdir()
    (folder / "Info.plist").write_bytes(plistlib.dumps({"CFBundleName": "Some"}))
    with pytest.raises(NotThisFormat):
        opened(folder)
    (folder / "Info.plist").unlink()
    with pytest.raises(UsageError, match=r"Info\.plist"):
        opened(folder)


@pytest.mark.parametrize(
    "more", [{"band-size": 0}, {"band-size": -1}, {"size": "x"}, {"size": 1 << 61}, {"size": [1]}, {"band-size": None}]
)
def test_sizes_that_cannot_be(tmp_path: Path, more: dict[str, object]) -> None:
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())
    found = plistlib.loads(apple.info(SIZE, 65536)) | more
    (folder / "Info.plist").write_bytes(plistlib.dumps({k: v for k, v in found.items() if v is not None}))
    with pytest.raises(Corrupt):
        bundle.FORMAT.open([str(folder / "Info.plist")], Budget())


class TestSparseBundle(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", content())

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.folder)[0], content()

    def root(self) -> dict[str, bytes]:
        return {f"bands/{p.name}": p.read_bytes() for p in (self.folder / "bands").iterdir()}


# ---- encryption

SECRET = content()[: 192 << 10]
"""Little: where the plain twins run alone, AES is theirs."""


@pytest.mark.parametrize("block", [512, 4096])
@pytest.mark.parametrize("bits", [128, 256])
def test_an_encrypted_disk_of_each_version(tmp_path: Path, bits: int, block: int) -> None:
    seal = apple.Seal(WORD.encode(), bits, block)
    for version, path in ((2, seal.version2(tmp_path / "2.dmg", SECRET)), (1, seal.version1(tmp_path / "1.dmg", SECRET))):
        image, found = unlocked(path)
        with image:
            assert (
                image.format == "encrcdsa" and image.facts["inside"] == "plain disk" and image.facts["encryption_version"] == str(version)
            )
            assert image.facts["cipher"] == f"AES-{bits}-CBC"
            assert image.read_at(0, image.size) == SECRET
            assert len(found) == (version == 1)
            start = 4096 if version == 2 else 0
            at = 3 * block + 17
            assert image.trace(at, 1) == (Span(path.name, start + 3 * block, block, ("aes-cbc",), False),)


def test_openssl_decrypts_a_block_the_same(tmp_path: Path) -> None:
    """The cipher of the tests' writer is Cryptodome's; OpenSSL is a third opinion."""
    seal = apple.Seal(WORD.encode(), 256, 4096)
    path = seal.version2(tmp_path / "2.dmg", SECRET)
    import hmac

    iv = hmac.digest(seal.hmac, struct.pack(">I", 5), "sha1")[:16]
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-nopad", "-K", seal.aes.hex(), "-iv", iv.hex()]
    try:
        done = subprocess.run(command, input=path.read_bytes()[4096 * 6 : 4096 * 7], capture_output=True, check=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert done.stdout == SECRET[4096 * 5 : 4096 * 6] == unlocked(path)[0].read_at(4096 * 5, 4096)


def test_an_image_inside_of_the_encryption(tmp_path: Path) -> None:
    seal = apple.Seal(WORD.encode())
    inner = apple.udif(tmp_path / "inner.dmg", SECRET, "zlib").read_bytes()
    image, found = unlocked(seal.version2(tmp_path / "disk.dmg", inner))
    assert not found and image.facts["inside"] == "UDIF image" and image.read_at(0, len(SECRET)) == SECRET and image.verify().ok is True
    span = next(s for s in image.trace(0, len(SECRET)) if s.root)
    assert span.root == "disk.dmg" and span.via == ("aes-cbc", "deflate") and span.start >= 4096
    inner = apple.sparse_image(tmp_path / "inner.sparseimage", SECRET).read_bytes()
    image, found = unlocked(seal.version2(tmp_path / "disk.sparseimage", inner))
    assert not found and image.facts["inside"] == "sparse image" and image.read_at(0, len(SECRET)) == SECRET


@pytest.mark.parametrize(("bits", "block"), [(128, 512), (256, 4096)])
def test_an_encrypted_bundle(tmp_path: Path, bits: int, block: int) -> None:
    seal = apple.Seal(WORD.encode(), bits, block)
    folder = apple.sparse_bundle(tmp_path / "disk.sparsebundle", SECRET, 8192, token=seal.header(len(SECRET)), seal=seal.encrypt)
    image, found = unlocked(folder)
    assert not found and image.read_at(0, len(SECRET)) == SECRET and image.facts["cipher"] == f"AES-{bits}-CBC"
    name = next(p.name for p in (folder / "bands").iterdir() if len(p.name) == 2)
    assert image.trace(int(name, 16) * 8192 + 7, 1) == (Span(f"bands/{name}", 0, block, ("aes-cbc",), False),)
    with pytest.raises(Locked, match="give a password"):
        opened(folder)


def test_without_the_password_it_says_what_would_open_it(tmp_path: Path) -> None:
    seal = apple.Seal(WORD.encode(), 128, rounds=1234)
    for path in (seal.version2(tmp_path / "2.dmg", SECRET), seal.version1(tmp_path / "1.dmg", SECRET)):
        with pytest.raises(Locked, match=r"AES-128-CBC, PBKDF2-HMAC-SHA1, 1,234 rounds: give a .*password"):
            opened(path)
        with pytest.raises(Locked, match="no key that was given") as caught:
            unlocked(path, word="wrong too")
        assert "wrong" not in str(caught.value)
        image = fl.open_image(path, run=fl.Run(keys=Keys(keyfile=WORD.encode())))
        assert image.read_at(0, len(SECRET)) == SECRET


def test_an_image_for_a_certificate_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "disk.dmg"
    path.write_bytes(apple.Seal(WORD.encode()).header(4096, items=0)[:1024].ljust(8192, b"\0"))
    with pytest.raises(Locked, match="certificate"):
        opened(path)


def test_a_password_in_another_normal_form(tmp_path: Path) -> None:
    composed, decomposed = "p\u00e4ss", "pa\u0308ss"
    for typed, given in ((composed, decomposed), (decomposed, composed)):
        path = apple.Seal(typed.encode()).version2(tmp_path / "disk.dmg", SECRET)
        assert unlocked(path, word=given)[0].read_at(0, 512) == SECRET[:512]


def test_keys_are_shown_nowhere(tmp_path: Path) -> None:
    budget = Budget(keys=Keys(password=WORD))
    assert WORD not in repr(budget) and WORD not in repr(fl.Run(keys=Keys(password=WORD)))
    seal = apple.Seal(WORD.encode())
    path = seal.version2(tmp_path / "2.dmg", SECRET)
    keys = secret.sealed(MemorySource(path.read_bytes(), "x"), budget).unlock(budget)
    assert keys.aes == seal.aes and "aes" not in repr(keys) and repr(seal.aes) not in repr(keys)
    image, _ = unlocked(path)
    assert not any(WORD in value for value in image.facts.values())


def test_damage_in_the_header_is_never_an_image(tmp_path: Path) -> None:
    seal = apple.Seal(WORD.encode())
    path = seal.version2(tmp_path / "2.dmg", SECRET)
    raw = path.read_bytes()
    for at, value, kind in ((8, 3, EvidenceError), (16, 9, EvidenceError), (0x34, 0, Corrupt), (0x34, 100, Corrupt), (0x48, 1000, Corrupt)):
        damaged = bytearray(raw)
        struct.pack_into(">I", damaged, at, value)
        path.write_bytes(damaged)
        with pytest.raises(kind):
            unlocked(path)
    damaged = bytearray(raw)
    struct.pack_into(">Q", damaged, 1024 + 4, 1 << 60)  # rounds
    path.write_bytes(damaged)
    with pytest.raises(Locked, match="rounds") as caught:
        unlocked(path)
    assert isinstance(caught.value, Locked)
    with pytest.raises(LimitExceeded):
        secret._derived(b"x", b"y", 1 << 60, 24)


def test_an_encrypted_file_that_is_too_short(tmp_path: Path) -> None:
    path = apple.Seal(WORD.encode()).version2(tmp_path / "2.dmg", SECRET)
    os.truncate(path, 4096 + len(SECRET) - 1000)
    image, found = unlocked(path)
    assert len(found) == 2 and found[0].startswith("Truncated") and "as they are" in found[1] and image.size == len(SECRET)
    assert image.read_at(0, len(SECRET) - 1024) == SECRET[: len(SECRET) - 1024]
    with pytest.raises(Truncated):
        image.read_at(len(SECRET) - 512, 512)


def test_a_size_that_is_no_multiple_of_the_block(tmp_path: Path) -> None:
    seal = apple.Seal(WORD.encode(), 256, 4096)
    image, found = unlocked(seal.version2(tmp_path / "2.dmg", SECRET[:10_752]))
    assert not found and image.size == 10_752 and image.read_at(0, 20_000) == SECRET[:10_752]


# VileFault's "testimage.AES-256.64k.header_v2.dmg", password "vilefault", as John the Ripper's tests state it (format "dmg"): salt, initial value and
# the first 48 bytes of the wrapped keys, and block 14 of the disk. It cuts the wrapped keys after 48 bytes, which hold all of the AES key and 16
# bytes of the other one. The last four came out of trying all: they give block 14, which begins in unused entries of the GPT, zeros.
VILEFAULT = {
    "salt": "fd70ac1e078f01fce55a2e56145a2494446db32a",
    "iv": "9110b1778f09b1a7",
    "keys": "68a32866b0e67515f35dc67c4d6747a8561a9f4f6a6718a894b0a77a47c452471e04ecef9bf56f0d83d1201a509a374e",
    "rest": "f24c2a1f",
    "block 14": "70ebe6f1d387e33e3d1093cca2e94c9a32e2c9ba47d461d737d49a7dc1b1f69407b7dbc16f7671689ea4a4641652b3f976b6f1c73c551a0a407d5a335caa169d",
}


def test_a_published_vector_of_an_image_that_hdiutil_made(tmp_path: Path) -> None:
    import hashlib

    from Cryptodome.Cipher import DES3

    v = {name: bytes.fromhex(text) for name, text in VILEFAULT.items()}
    key = hashlib.pbkdf2_hmac("sha1", b"vilefault", v["salt"], 1000, 24)
    end = DES3.new(key, DES3.MODE_CBC, v["keys"][-8:]).encrypt(v["rest"] + b"CKIE" + b"\0" + b"\x07" * 7)
    blob = v["keys"] + end
    head = struct.pack(">8s7I16sIQQI", b"encrcdsa", 2, 16, 5, 0x80000001, 256, 0x5B, 160, bytes(16), 4096, 65536, 4096, 1)
    own = struct.pack(">IQI32sI32s5I", 0x67, 1000, 20, v["salt"], 8, v["iv"], 192, 0x11, 7, 6, 64) + blob
    raw = (head + struct.pack(">IQQ", 1, 1024, 616)).ljust(1024, b"\0") + own
    path = tmp_path / "testimage.dmg"
    path.write_bytes((raw.ljust(4096, b"\0") + bytes(14 * 4096) + v["block 14"]).ljust(4096 + 65536, b"\0"))
    image, _ = unlocked(path, word="vilefault")
    assert image.read_at(14 * 4096, 64) == bytes(64)


@pytest.mark.corpus
def test_what_hdiutil_made_encrypted_by_us_opens_to_its_file_system(corpus: Path, tmp_path: Path) -> None:
    plain = corpus / "plaso/hfsplus_zlib.dmg"
    image, _ = unlocked(apple.Seal(WORD.encode(), 256).version2(tmp_path / "disk.dmg", plain.read_bytes()))
    other, _ = opened(plain)
    assert image.read_at(0, image.size) == other.read_at(0, other.size) and image.verify().ok is True
    listed = [[e.path for e in v.filesystem().walk()] for i in (image, other) for v in i.volumes() if v.kind == "Apple HFS+"]
    assert len(listed) == 2 and listed[0] == listed[1] and len(listed[0]) > 10


class _Encrypted(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.path = self.write(tmp_path)

    def write(self, folder: Path) -> Path:
        raise NotImplementedError

    def make(self) -> tuple[ByteSource, bytes]:
        return unlocked(self.path)[0], SECRET


class TestEncryptedDisk(_Encrypted):
    def write(self, folder: Path) -> Path:
        return apple.Seal(WORD.encode(), 256, 4096).version2(folder / "disk.dmg", SECRET)


class TestEncryptedBundle(_Encrypted):
    def write(self, folder: Path) -> Path:
        seal = apple.Seal(WORD.encode())
        return apple.sparse_bundle(folder / "disk.sparsebundle", SECRET, token=seal.header(len(SECRET)), seal=seal.encrypt)


def test_the_declarations_are_in_the_catalogue() -> None:
    names = {d.name for d in fl.Run().catalog.images}
    assert {encrypted.FORMAT.name, sparse.FORMAT.name, bundle.FORMAT.name, "udif"} <= names
