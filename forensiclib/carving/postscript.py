"""PostScript by the document structuring conventions, EPS with a preview, fonts in PostScript (PFA, PFB)."""

from __future__ import annotations

import itertools
import re
import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window, find
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_dos", "measure_pfb", "measure_ps"]

_PS, _EPS = Kind("ps", "application/postscript", "PostScript document"), Kind("eps", "image/x-eps", "Encapsulated PostScript picture")
_AI, _PFA = (
    Kind("ai", "application/illustrator", "Adobe Illustrator drawing"),
    Kind("pfa", "application/x-font-type1", "Type 1 font (text)"),
)
_HEADER = re.compile(rb"%!(PS-Adobe-\d\.\d|PS-AdobeFont-\d\.\d|FontType1-\d\.\d)([^\r\n]{0,200})\r?\n?")
_STEP = 1 << 16
_NESTED = re.compile(rb"[\r\n]%%(BeginDocument|EndDocument|EOF|BeginBinary: ?(\d+)|BeginData: ?(\d+)([^\r\n]*))[^\r\n]*(?:\r\n|\r|\n|\Z)")
_NOT_TEXT = re.compile(rb"\0{64}")


def _ends_of_document(data: ByteSource, budget: Budget) -> tuple[int, bool]:
    """(offset behind the %%EOF that is not in an included document, True), or (where text stops, False)."""
    at, depth, last = 0, 0, 0
    while True:
        budget.item()
        piece = data.read_at(at, _STEP)
        skip = 0
        fill = _NOT_TEXT.search(piece)
        for match in _NESTED.finditer(piece):
            if fill and match.start() > fill.start():
                break
            if match.end() == len(piece) and len(piece) == _STEP:
                continue  # the line may go on behind this read
            if match[1] == b"BeginDocument" or match[1].startswith(b"BeginDocument"):
                depth += 1
            elif match[1] == b"EndDocument":
                depth -= 1
            elif match[1] == b"EOF":
                if depth <= 0:
                    return at + match.end(), True
            elif match[2] or (match[3] and b"Bytes" in (match[4] or b"Bytes")):
                size = int((match[2] or match[3])[:12])
                if match.end() + size > len(piece) - 256:
                    skip = match.end() + size
                    break
        if fill and not skip:
            return at + fill.start(), False
        if skip:
            at += skip
        elif len(piece) < _STEP:
            return at + len(piece), False
        else:
            at += _STEP - 512
        if at <= last or at >= data.size:
            return data.size, False
        last = at


def measure_ps(data: ByteSource, budget: Budget) -> Find | None:
    """Text to %%EOF, or to the zeros and cleartomark of a font."""
    head = data.read_at(0, 4096)
    match = _HEADER.match(head)
    if match is None:
        return None
    if b"Font" in match[1]:
        end = find(data, b"cleartomark", 0, min(data.size, 4 << 20), budget)
        if end < 0 or b"eexec" not in data.read_at(0, min(end, 1 << 20)):
            return None
        tail = data.read_at(end + 11, 2)
        end += 11 + (2 if tail == b"\r\n" else 1 if tail[:1] in (b"\n", b"\r") else 0)
        return Find(end, 0.8, "text to cleartomark behind the encrypted part", _PFA.extension, _PFA.title)
    kind = _EPS if b"EPSF" in match[2] else _PS
    creator = re.search(rb"[\r\n]%%Creator: ?\(?Adobe Illustrator", head)
    kind = _AI if creator and kind is _EPS and b"%AI" in head else kind
    if not re.search(rb"[\r\n]%%?[A-Za-z]", head):
        return None
    end, whole = _ends_of_document(data, budget)
    if whole:
        return Find(end, 0.85, "structured comments to %%EOF", kind.extension, kind.title)
    return broken(end, "structured comments, no %%EOF", kind)


def measure_dos(data: ByteSource, budget: Budget) -> Find | None:
    """A directory of PostScript, metafile and TIFF parts."""
    head = data.read_at(0, 32)
    if len(head) < 30:
        return None
    places = struct.unpack_from("<6I", head, 4)
    parts = [(places[i], places[i + 1]) for i in (0, 2, 4) if places[i + 1]]
    if not places[1] or min(at for at, _ in parts) not in (30, 32) or max(at for at, _ in parts) > 1 << 30:
        return None
    ordered = sorted(parts)
    if any(a + n > b for (a, n), (b, _) in itertools.pairwise(ordered)) or data.read_at(places[0], 2) != b"%!":
        return None
    return ending(data, max(at + size for at, size in parts), 0.9, f"{len(parts)} part(s), PostScript where the directory says")


def measure_pfb(data: ByteSource, budget: Budget) -> Find | None:
    """Segments with their lengths to the mark of the end."""
    window = Window(data, 16)
    at, segments = 0, 0
    if window.at(6, 2) != b"%!":
        return None
    while window.at(at, 1) == b"\x80":
        budget.item()
        kind, size = window.number(at + 1, 1), window.number(at + 2, 4)
        if kind == 3 and segments:
            return Find(at + 2, 1.0, f"{segments} segments to the end mark")
        if kind not in (1, 2) or size < 0 or at + 6 + size > data.size:
            break
        segments += 1
        at += 6 + size
    return broken(min(at, data.size), f"{segments} segments, then damage") if segments > 1 else None


CARVERS = (
    Carver(
        name="postscript",
        title="PostScript document, picture or font",
        extension="ps",
        mime="application/postscript",
        signatures=(Signature(b"%!PS-Adobe"), Signature(b"%!FontType1-")),
        measure=measure_ps,
        maximum=1 << 30,
        refs=("Adobe Document Structuring Conventions 3.0 (1992)", "Adobe EPSF Specification 3.0", "Adobe Type 1 Font Format (1990), 2.3"),
        gaps=(
            "PostScript without structured comments is not recognised",
            "Illustrator 9 and later writes PDF",
            "what follows %%EOF is left out",
        ),
        kinds=(_PS, _EPS, _AI, _PFA),
    ),
    Carver(
        name="eps-dos",
        title="EPS picture with a preview",
        extension="eps",
        mime="image/x-eps",
        signatures=(Signature(b"\xc5\xd0\xd3\xc6"),),
        measure=measure_dos,
        maximum=1 << 30,
        refs=("Adobe EPSF Specification 3.0, 5.2: MS-DOS binary header",),
        gaps=("parts are not read",),
    ),
    Carver(
        name="pfb",
        title="Type 1 font (binary)",
        extension="pfb",
        mime="application/x-font-type1",
        signatures=(Signature(b"\x80\1\0\0\0\0%!", mask=b"\xff\xff\0\0\xff\xff\xff\xff"),),
        measure=measure_pfb,
        maximum=64 << 20,
        refs=("Adobe Technical Note 5040: Supporting Downloadable PostScript Language Fonts (1992), 3.3",),
        gaps=("the font program is not decrypted",),
    ),
)
