"""APFS encryption: containers that macOS encrypted, against libfsapfs; and keybags written from the Reference, which libfsapfs opens too."""

from __future__ import annotations

import gzip
import io
import subprocess

import pytest

import forensiclib as fl
from forensiclib.core.entry import beneath
from forensiclib.core.errors import Corrupt, Locked
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.crypto.apfs import ENCRYPTION, _der, wrapped_key
from forensiclib.stores.apfs.objects import sealed
from forensiclib.stores.apfs.volume import ApfsVolume
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes import apfs as layer
from tests.volumes.apfsmade import BLOCK, RECOVERY, Vol, container, fletcher, wrapped
from tests.volumes.arrays import volume

SECRET = Vol("Secret", 0x40, "pässword", "ABCD-EFGH-IJKL-MNOP-QRST-UVWX", snapshots=("kept",), content=b"secret content")
OLD = Vol("Converted", 0, "old", short=True, content=b"older secret")


def apple(corpus, name: str) -> bytes:
    path = corpus / "dissect.apfs" / f"{name}.bin.gz"
    if not path.is_file():
        pytest.skip("the containers of dissect.apfs's tests are not in the corpus (dissect.apfs/*.bin.gz)")
    return gzip.decompress(path.read_bytes())


def locks(data: bytes, budget: Budget | None = None):
    """(label, lock) of every encrypted volume and snapshot."""
    budget = budget or Budget()
    found = layer.FORMAT.open([volume(data, 0)], budget)
    return {v.label: ENCRYPTION.open(v, budget) for v in found if v.state != "slack" and ENCRYPTION.probe(v)}


def theirs(data: bytes, number: int = 0):
    pyfsapfs = pytest.importorskip("pyfsapfs", reason="libfsapfs-python is the second reader")
    opened = pyfsapfs.container()
    opened.open_file_object(io.BytesIO(data))
    found = opened.get_volume(number)
    return opened, found


def files(entry):
    for sub in entry.sub_file_entries:
        yield sub
        yield from files(sub)


@pytest.mark.corpus
def test_a_volume_that_macos_encrypted_opens_and_its_tree_holds(corpus):
    """Nothing here is ours: container, keys, password ("password", by dissect.apfs's tests). A node whose checksum holds only after
    decryption is the proof."""
    data = apple(corpus, "encrypted")
    (lock,) = locks(data).values()
    assert lock.facts["uuid"] == "00df510a-ffe6-4969-9607-efa24d864392" and lock.facts["hint"] == "It's 'password'"
    plain = lock.unlock(Keys("password"), Budget())
    found = plain.omap.find(plain.head.root_oid, plain.xid)
    assert not sealed(data[found.block * BLOCK : (found.block + 1) * BLOCK])
    raw = plain.node(plain.head.root_oid)
    assert raw[:8] == fletcher(raw[8:])
    at = plain.place(found.block)
    assert plain.read_at(at, BLOCK) == raw
    (span,) = plain.trace(at + 600, 10)
    assert (span.start, span.length, span.via) == (found.block * BLOCK + 512, 512, ("apfs",))


@pytest.mark.corpus
def test_content_of_files_is_what_libfsapfs_reads(corpus):
    data = apple(corpus, "encrypted")
    plain = locks(data)["Encrypted"].unlock(Keys("password"), Budget())
    _, other = theirs(data)
    other.set_password("password")
    assert other.unlock()
    seen = 0
    for entry in files(other.get_root_directory()):
        at = 0
        for number in range(entry.number_of_extents):
            start, length, flags = entry.get_extent(number)
            want = entry.read_buffer_at_offset(min(length, entry.size - at), at)
            assert not flags and plain.content(start // BLOCK, length // BLOCK).read_at(0, len(want)) == want
            assert plain.read_at(plain.place(start // BLOCK), len(want)) == want
            at, seen = at + length, seen + 1
    assert seen >= 4


@pytest.mark.corpus
def test_every_encrypted_node_holds_after_decryption(corpus):
    """All of the object map, not the root alone."""
    from forensiclib.stores.apfs.objects import Walk

    plain = locks(apple(corpus, "encrypted"))["Encrypted"].unlock(Keys("password"), Budget())
    walk = Walk(plain.container.blocks, "omap", Budget())
    mapped = list(plain.omap.every(walk))
    assert mapped and all(m.flags & 4 for m in mapped)
    for m in mapped:
        assert sealed(plain.opener(0).read_at(m.block * BLOCK, BLOCK))


@pytest.mark.corpus
def test_the_front_door_unlocks(corpus, tmp_path):
    path = tmp_path / "encrypted.dd"
    path.write_bytes(apple(corpus, "encrypted"))
    with fl.open_image(path, run=fl.Run(keys=Keys("password"))) as image:
        found = image.volume("0.apfs1")
        assert not found.locked and found.layers[-1] == "apfs" and beneath(found, ApfsVolume).opener is not None
    with fl.open_image(path, run=fl.Run(keys=Keys("Password"))) as image:
        found = image.volume("0.apfs1")
        assert found.locked
        with pytest.raises(Locked, match="give a password"):
            found.filesystem()


def test_passwords_and_recovery_keys_of_a_made_container():
    data = bytes(container([SECRET, OLD]).devices[0])
    found = locks(data)
    assert set(found) == {"Secret", "Secret@kept", "Converted"}
    assert found["Secret"].needs == ("password", "recovery key") and found["Converted"].needs == ("password",)
    assert found["Secret"].facts["keys"].endswith("personal recovery key")
    opens = [
        ("Secret", Keys("pässword")), ("Secret", Keys("pa\u0308ssword")), ("Secret", Keys(recovery=SECRET.recovery)),
        ("Secret", Keys(recovery="abcdefgh ijklmnop qrstuvwx")), ("Converted", Keys("old")), ("Secret@kept", Keys("pässword")),
    ]  # fmt: skip
    for label, keys in opens:
        plain = found[label].unlock(keys, Budget())
        assert plain.node(plain.head.root_oid)
    assert b"secret content" in found["Secret"].unlock(Keys("pässword"), Budget()).read_at(0, 1 << 20)
    assert b"older secret" in found["Converted"].unlock(Keys("old"), Budget()).read_at(0, 1 << 20)
    assert b"content of kept" in found["Secret@kept"].unlock(Keys("pässword"), Budget()).read_at(0, 1 << 20)
    for label, keys in (("Secret", Keys("old")), ("Converted", Keys("pässword")), ("Secret", Keys(recovery="ABCD"))):
        with pytest.raises(Locked) as caught:
            found[label].unlock(keys, Budget())
        assert "old" not in str(caught.value) and "pässword" not in str(caught.value)


def test_libfsapfs_opens_the_made_keybags_too():
    """So that what the tests write is not only what the reader expects."""
    data = bytes(container([SECRET, OLD]).devices[0])
    for number, how, text, opens in (
        (0, "set_password", SECRET.password, True), (0, "set_recovery_password", SECRET.recovery, True), (0, "set_password", "old", False),
        (1, "set_password", "old", True), (1, "set_password", SECRET.password, False),
    ):  # fmt: skip
        _, other = theirs(data, number)
        getattr(other, how)(text)
        assert other.unlock() is opens


def test_content_under_another_number_is_decrypted_with_that():
    """A file extent states the number of its tweak; the same bytes moved to another block."""
    made = container([SECRET])
    data = made.devices[0]
    free = made.free[-1][0]
    data[free * BLOCK : (free + 1) * BLOCK] = data[36 * BLOCK : 37 * BLOCK]
    plain = locks(bytes(data))["Secret"].unlock(Keys(SECRET.password), Budget())
    assert plain.content(free, 1, crypto=36).read_at(0, 14) == b"secret content"
    assert plain.content(free, 1).read_at(0, 14) != b"secret content"


def test_a_key_that_does_not_open_the_tree_is_not_believed():
    made = container([SECRET])
    made.devices[0][33 * BLOCK + 100] ^= 1
    with pytest.raises(Corrupt, match="does not hold after decryption"):
        locks(bytes(made.devices[0]))["Secret"].unlock(Keys(SECRET.password), Budget())


def test_a_wrapped_key_whose_hmac_is_wrong_is_reported_and_not_used():
    budget = Budget()
    (lock,) = locks(bytes(container([Vol("Broken", 0, "x", broken=True)]).devices[0]), budget).values()
    assert any("its HMAC does not hold" in f.found for f in budget.findings)
    with pytest.raises(Locked, match="none that could be read"):
        lock.unlock(Keys("x"), Budget())


def test_damaged_keybags_are_told_from_those_of_hardware():
    for software, needs in ((True, ("password",)), (False, ("machine itself, whose chip holds the keys",))):
        made = container([Vol("Secret", 0, "x")], software=software)
        made.devices[0][18 * BLOCK + 40] ^= 1
        budget = Budget()
        (lock,) = locks(bytes(made.devices[0]), budget).values()
        assert lock.needs == needs
        assert any("no checksum holds after decryption" in f.found for f in budget.findings) is software
        with pytest.raises(Locked, match="no key" if software else "kept by hardware"):
            lock.unlock(Keys("x"), Budget())


def test_der_is_bounded():
    for bad in (b"\x30\x85\1\1\1\1\1", b"\x30\x05a", b"\x30\x82\xff\xff", b"\x30\x80a"):
        with pytest.raises(ValueError):
            _der(bad)
    for bad in (b"", b"\x30\x00", wrapped(RECOVERY, bytes(40))[:-1], wrapped(RECOVERY, bytes(40), broken=True)):
        with pytest.raises(ValueError):
            wrapped_key(RECOVERY, bad)
    assert wrapped_key(RECOVERY, wrapped(RECOVERY, bytes(40), 9)).holder == "personal recovery key"


def test_other_volumes_are_not_asked():
    assert not ENCRYPTION.probe(MemorySource(bytes(4096)))
    assert not locks(bytes(container([Vol("Plain")]).devices[0]))


def test_no_key_in_any_text():
    lock = locks(bytes(container([SECRET]).devices[0]))["Secret"]
    texts = repr(vars(lock)) + repr(lock.facts) + repr(lock.unlock(Keys(SECRET.password), Budget()))
    assert "key=" not in texts and SECRET.password not in texts


class TestPlainContract(SourceContract):
    def make(self):
        plain = locks(bytes(container([SECRET]).devices[0]))["Secret"].unlock(Keys(SECRET.password), Budget())
        return plain, b"".join(plain.read_at(at, 512) for at in range(0, plain.size, 512))


def test_the_command_line_shows_the_lock(tmp_path):
    import sys

    path = tmp_path / "made.dd"
    path.write_bytes(container([SECRET]).devices[0])
    out = subprocess.run([sys.executable, "-m", "forensiclib", "info", path], capture_output=True, text=True, check=True).stdout
    assert "APFS volume, role Data, encrypted, one key" in out and "a hint" in out and "personal recovery key" in out
