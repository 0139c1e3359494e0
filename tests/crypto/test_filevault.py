"""FileVault 2: the volume of cryptsetup's tests, which macOS made, and logical volumes written from libfvde's description of the format."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, Unsupported
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.crypto.filevault import ENCRYPTION, root_context
from forensiclib.stores.kernelplist import plist
from forensiclib.testing.contracts import SourceContract
from tests.volumes.csmade import BLOCK, Lv, pv_id, wipekey, xml
from tests.volumes.test_corestorage import CASES, HFS, made, opened

SAME = "2c662e36c0f7e2f5583e6a939bbcbdc660805692d0fccaa45ad4052beb3b8e18"
"""SHA-256 of the plain volume, from cryptsetup's tests/fvault2-compat-test."""


@pytest.fixture(scope="module")
def small(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fvault2")
    with tarfile.open(corpus / "cryptsetup/fvault2-images.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    yield folder / "fvault2-images/small"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.bulk
@pytest.mark.corpus
def test_the_volume_of_cryptsetups_tests(small):
    """Its numbers are those of cryptsetup fvault2Dump."""
    with fl.open_image(small, run=fl.Run(keys=Keys("heslo123"))) as image:
        found = image.volume("0.corestorage1")
        sha = hashlib.sha256()
        for at in range(0, found.size, 1 << 22):
            sha.update(found.read_at(at, 1 << 22))
        assert sha.hexdigest() == SAME
        (span,) = found.trace(600, 10)
        assert (span.start, span.length, span.via) == (67108864 + 512, 512, ("filevault",))
        assert found.size == 167772160 and found.lock.facts["family"] == "33a76caa-1481-4bc5-8d04-1ac1707c19c0"
        assert found.lock.facts["derivation"] == "PBKDF2-SHA256, 204222 rounds"
        assert [f.name for f in found.candidates()] == ["tsk.hfs"] and image.volume("0").member_of == "corestorage"
        assert sum(v.size for v in image.volumes() if v.state == "slack") + found.size + 4 * (4 << 20) + (24 << 20) + BLOCK == image.size


@pytest.mark.corpus
def test_its_dump_by_cryptsetup_agrees(small):
    if shutil.which("cryptsetup") is None:
        pytest.skip("not installed: cryptsetup")
    dump = subprocess.run(["cryptsetup", "fvault2Dump", small], capture_output=True, text=True, check=True).stdout
    with fl.open_image(small) as image:
        facts = image.volume("0.corestorage1").lock.facts
    for value in (facts["family"], "67108864", "167772160", "204222"):
        assert value in dump


@pytest.mark.corpus
def test_another_password_is_locked_without_a_word_of_it(small):
    with fl.open_image(small, run=fl.Run(keys=Keys("heslo124", recovery="AAAA-BBBB"))) as image:
        found = image.volume("0.corestorage1")
        assert found.locked
        with pytest.raises(Locked) as caught:
            found.filesystem()
        assert "heslo" not in str(caught.value) and "AAAA" not in str(caught.value)


def test_keys_from_the_recovery_partition():
    """A start volume: its keys are in EncryptedRoot.plist.wipekey, encrypted with the physical volume's UUID, or as decrypted."""
    lv = Lv("System", [(0, 110, 20)], HFS, "password", place="file")
    found = made([lv])[0][0]
    root = wipekey(lv, pv_id(0))
    assert ENCRYPTION.open(found, Budget()).needs[0].endswith("as key file")
    with pytest.raises(Locked, match="recovery partition"):
        opened(found, Keys("password"))
    plain = root_context(root, (pv_id(0),), Budget())
    assert plain["CryptoUsers"][0]["PassphraseHint"] == "hint 0"
    for file in (root, xml(lv.context()).encode()):
        assert opened(found, Keys("password", keyfile=file)).read_at(0, len(HFS)) == HFS
    assert root_context(root, (pv_id(1),), Budget()) is None


def test_a_password_with_letters_of_two_spellings():
    found = made([Lv("A", [(0, 110, 20)], HFS, "p\u00e4ssword")])[0][0]
    for text in ("p\u00e4ssword", "pa\u0308ssword"):
        assert opened(found, Keys(text)).read_at(0, BLOCK) == HFS[:BLOCK]


def test_conversions_that_have_not_ended_are_refused():
    found = made([Lv("Half", [(0, 110, 20)], HFS, "pw", status="Converting")])[0][0]
    with pytest.raises(Unsupported, match="conversion converting"):
        opened(found, Keys("pw"))


def test_a_volume_whose_start_is_missing_is_locked_and_nothing_breaks():
    lv = Lv("Fused", [(1, 110, 9), (0, 200, 11)], HFS, "password", place="file")
    found = made([lv], (400, 300), without=(1,))[0][0]
    with pytest.raises(Locked):
        opened(found, Keys("password"))


def test_other_bytes_are_no_lock():
    assert not ENCRYPTION.probe(MemorySource(bytes(4096)))


def test_the_kernels_property_lists():
    text = (
        b'<dict ID="0"><key>a</key><integer size="32" ID="1">0x1f</integer><key>b</key><array ID="2"><reference IDREF="1"/><true/></array>'
    )
    text += b'<key>c</key><data ID="3">AQI=</data><key>d &amp; e</key><string/><key>f</key><dict/></dict>\0\0\0'
    assert plist(text, Budget()) == {"a": 31, "b": [31, True], "c": b"\1\2", "d & e": "", "f": {}}
    for bad in (
        b"", b"<dict>", b"</dict>", b"<dict><integer>1</integer></dict>", b"<dict><key>a</key><integer>x</integer></dict>", b"<key>a</key>",
        b"<array><reference IDREF='7'/></array>", b"<array><data>%%%</data></array>", b"<dict><key>a</array>", b"<string>a",
    ):  # fmt: skip
        with pytest.raises(Corrupt):
            plist(bad, Budget())
    with pytest.raises(EvidenceError):
        plist(b"<array>" * 10_000, Budget())


class TestSegmentsContract(SourceContract):
    def make(self):
        found = made(*CASES["segments"][:1])[0][0]
        plain = opened(found, Keys("password"))
        return plain, HFS.ljust(30 * BLOCK, b"\0")
