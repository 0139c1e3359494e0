"""Open an encrypted .dmg or .sparseimage: what the password opens is a UDIF image, a sparse image or a plain disk."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import encrcdsa as f
from forensiclib.formats import sparseimage
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.apple.secret import Deciphered, sealed
from forensiclib.images.apple.sparse import unfolded
from forensiclib.images.apple.tables import trailer
from forensiclib.images.apple.udif import Found, is_udif, whole

__all__ = ["FORMAT", "open_encrypted"]


def _inside(plain: ByteSource, budget: Budget) -> tuple[str, Found]:
    """(what it is, its disk)"""
    if plain.read_at(0, 4) == sparseimage.SIGNATURE:
        return "sparse image", unfolded(plain, budget)
    try:
        udif = is_udif(plain)
    except Truncated:
        note = "its end is missing, which would tell a UDIF image: the decrypted bytes are given as they are"
        budget.report(Finding.note("encrypted disk image", note))
        return "unknown", Found(plain, {}, [])
    if udif:
        found = trailer(plain, budget)
        if found["segments"] > 1:
            raise Unsupported("encrypted disk image", plain.trace(found["at"], 512)[0], f"one of {found['segments']} segments")
        return "UDIF image", whole(plain, found, [], budget)
    return "plain disk", Found(plain, {}, [])


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    seal = sealed(file, family.budget)
    file = family.open(path)
    keys = seal.unlock(family.budget)
    need = seal.start + -(-seal.size // seal.block) * seal.block
    if need > file.size:
        text = f"{seal.size} bytes from {seal.start} on in a file of {file.size}"
        family.budget.report(Truncated("encrypted disk image", Span(file.root, seal.start, max(0, file.size - seal.start)), text))
    kind, found = _inside(Deciphered(file, seal.start, seal.size, keys), family.budget)
    facts = {**seal.facts, "inside": kind, **found.facts}
    return Image(found.data, format="encrcdsa", name=os.path.basename(path), facts=facts, checks=found.checks)


def open_encrypted(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path, opened with a password or key file of ``budget.keys``.

    Raises NotThisFormat for no header; Locked, saying what would open it, when no key does; Unsupported for other ciphers; what the
    opened image raises. A file that is too short is a finding, and reading what it lacks raises Truncated.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="encrcdsa",
    title="Apple encrypted disk image (.dmg, .sparseimage)",
    refs=(
        "Jacob Appelbaum, Ralf-Philipp Weinmann, Unlocking FileVault, 23C3 (2006); VileFault",
        "Willem Hengeveld, readencrcdsa (2019); RFC 8018; RFC 3217",
    ),
    gaps=(
        "images that only a certificate's private key opens stay locked, and so do keys wrapped with anything but PBKDF2 and triple DES",
        "keys cannot be given in place of the password; a key file is taken as the password's bytes",
        "the encryption has no checksum of the data: damage garbles the rest of its block of 512 or 4,096 bytes in silence",
        "encrypted segments are not joined; version 1 (Mac OS X 10.3) was tested on images of the tests' own writer only",
    ),
    signatures=(Signature(f.SIGNATURE),),
    trailers=(Signature(f.SIGNATURE1, offset=504),),
    extensions=(".dmg", ".sparseimage"),
    open=open_encrypted,
)
