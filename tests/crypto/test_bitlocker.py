"""BitLocker: the volumes of cryptsetup's tests, made by Windows, whose plain SHA-256 their list states."""

from __future__ import annotations

import configparser
import hashlib
import time

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, Locked, Unsupported
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource, OverlaySource
from forensiclib.crypto.bitlocker import bitlocker
from forensiclib.crypto.bitlocker.keys import recovery_bytes
from forensiclib.testing.contracts import SourceContract

ARCHIVE = "bitlk-images.tar.xz"
IMAGES = (
    "aes-cbc-128", "aes-cbc-256", "aes-xts-128", "aes-xts-256", "aes-cbc-elephant-128", "aes-cbc-elephant-256", "togo-aes-cbc-128",
    "togo-aes-xts-128", "aes-xts-128-new-entry", "aes-xts-128-smart-card", "aes-cbc-128-4k", "aes-xts-128-4k", "aes-xts-128-startup-key",
    "aes-xts-128-startup-key-win11", "aes-xts-128-two-recovery", "aes-xts-128-unicode", "aes-xts-128-crc", "aes-xts-128-clearkey-only",
    "aes-xts-128-first-recovery",
)  # fmt: skip
pytestmark = pytest.mark.corpus


def stated(folder, name):
    config = configparser.RawConfigParser()
    config.read(folder / "images.conf", encoding="utf-8")
    return config[f"bitlk-{name}"]


def lock_of(folder, name, budget=None):
    return bitlocker.ENCRYPTION.open(FileSource(folder / f"bitlk-{name}.img"), budget or Budget())


def digest(source):
    sha, at = hashlib.sha256(), 0
    while data := source.read_at(at, 8 << 20):
        sha.update(data)
        at += len(data)
    return sha.hexdigest()


@pytest.mark.parametrize("name", IMAGES)
def test_the_plain_volume_has_the_stated_sum(unpacked, name):
    folder = unpacked(ARCHIVE)
    facts = stated(folder, name)
    if facts["PW"]:
        keys = Keys(facts["PW"])
    elif "startup" in name:
        keys = Keys(keyfile=[p.read_bytes() for p in folder.glob("*.BEK")])
    else:
        keys = Keys(recovery=facts["RP"] or ())
    lock = lock_of(folder, name)
    assert lock.facts["guid"] == facts["GUID"]
    for field in ("PW_VMK_GUID", "RP_VMK_GUID", "RP2_VMK_GUID", "SK_VMK_GUID", "SC_VMK_GUID", "CLEARKEY_VMK_GUID"):
        assert facts.get(field, "") in lock.facts["protector_ids"]
    assert digest(lock.unlock(keys, Budget())) == facts["SHA256SUM"]


@pytest.mark.parametrize(
    ("name", "field"), [("aes-cbc-elephant-256", "RP"), ("aes-xts-128-two-recovery", "RP2"), ("aes-xts-128-startup-key", "RP")]
)
def test_recovery_keys_open_too(unpacked, name, field):
    folder = unpacked(ARCHIVE)
    facts = stated(folder, name)
    plain = lock_of(folder, name).unlock(Keys(recovery=facts[field]), Budget())
    assert plain.read_at(3, 4) == b"NTFS" and plain.read_at(510, 2) == b"\x55\xaa"


def test_where_the_bytes_lie(unpacked):
    """cryptsetup's dump names the segments: the kept header at 35,278,848, metadata at 35,213,312, 46,256,128 and 57,909,248."""
    folder = unpacked(ARCHIVE)
    plain = lock_of(folder, "aes-xts-128").unlock(Keys("anaconda"), Budget())
    (span,) = plain.trace(600, 10)
    assert (span.start, span.length, span.via) == (35_278_848 + 512, 512, ("bitlocker",))
    (span,) = plain.trace(10_000, 10)
    assert span.start == 9728
    for start in (35_213_312, 46_256_128, 57_909_248):
        assert plain.read_at(start, 65536) == bytes(65536) and plain.trace(start, 1)[0].via == ("zero",)


def test_wrong_keys_are_locked_in_bounded_time(unpacked):
    folder = unpacked(ARCHIVE)
    before = time.process_time()
    wrong = Keys("Secret-Sausage", recovery="042647-302313-590458-071500-554323-116567-412181-516978", keyfile=b"nothing")
    with pytest.raises(Locked) as caught:
        lock_of(folder, "aes-xts-256").unlock(wrong, Budget())
    assert "Sausage" not in str(caught.value) and "042647" not in str(caught.value)
    assert "password" in str(caught.value) and time.process_time() - before < 30


def test_damaged_copies_fall_back_and_the_last_one_speaks(unpacked):
    folder = unpacked(ARCHIVE)
    base = FileSource(folder / "bitlk-aes-xts-128.img")
    places = [35_213_312, 46_256_128, 57_909_248]
    for broken in range(1, 4):
        budget = Budget()
        source = OverlaySource(base, [(at + 200, MemorySource(b"\xff" * 4)) for at in places[:broken]])
        if broken == 3:
            with pytest.raises(Corrupt):
                bitlocker.ENCRYPTION.open(source, budget)
            continue
        assert bitlocker.ENCRYPTION.open(source, budget).unlock(Keys("anaconda"), budget).read_at(3, 4) == b"NTFS"
        assert [f.kind for f in budget.findings] == ["Corrupt"] * broken


@pytest.mark.parametrize("name", ["aes-xts-128-eow", "partially-encrypted-aes-cbc-128"])
def test_encrypted_on_writing_is_said_to_be_unsupported(unpacked, name):
    with pytest.raises(Unsupported, match="EOW"):
        lock_of(unpacked(ARCHIVE), name)


def test_recovery_keys_are_validated_group_by_group():
    """Each group is a multiple of 11 below 720,896 (Kornblum, 2009)."""
    good = "042647-302313-590458-071500-554323-116567-412181-516978"
    assert recovery_bytes(good) == b"".join((int(g) // 11).to_bytes(2, "little") for g in good.split("-"))
    assert recovery_bytes(good.replace("-", " ")) == recovery_bytes(good.replace("-", "")) == recovery_bytes(good)
    for bad in (good[:-1] + "7", good[:-7], "720896" + good[6:], "", "anaconda"):
        assert recovery_bytes(bad) is None


def test_the_front_door_lists_the_files(unpacked):
    folder = unpacked(ARCHIVE)
    with fl.open_image(folder / "bitlk-aes-xts-128.img", run=fl.Run(keys=Keys("anaconda"))) as image:
        (volume,) = image.volumes()
        assert volume.filesystem().format == "ntfs" and volume.layers[-1] == "bitlocker"
        assert any(e.path == "$MFT" for e in volume.filesystem().walk())


class TestPlainSource(SourceContract):
    @pytest.fixture(autouse=True)
    def _image(self, unpacked):
        plain = lock_of(unpacked(ARCHIVE), "aes-cbc-elephant-128").unlock(Keys("anaconda"), Budget())
        self.source = plain.slice(0, 1 << 20)

    def make(self):
        return self.source, self.source.read_at(0, self.source.size)
