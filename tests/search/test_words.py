"""Words: every spelling of a term in every encoding, against Python's own codecs, casefold and normal forms."""

from __future__ import annotations

import codecs
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.core.errors import UsageError
from forensiclib.core.source import MemorySource
from forensiclib.search.encodings import STANDARD, UNICODE, following, joins, named, previous, single_byte
from forensiclib.search.engine import search
from forensiclib.search.folding import Equality, fold, spellings
from forensiclib.search.query import Query, prepared

PANGRAMS = {
    "cp1252": "œuvre", "cp1250": "žluťoučký", "cp1251": "съешь", "koi8-r": "съешь", "cp866": "съешь", "iso8859-5": "съешь", "cp437": "naïve½",
    "cp850": "naïve", "shift_jis": "日本語テスト", "cp932": "①日本", "euc_jp": "日本語テスト", "gb18030": "简体中文𠀀", "big5": "繁體中文", "euc_kr": "대한민국",
    "cp949": "똠방각하", "iso8859-6": "مرحبا", "cp1256": "مرحبا", "iso8859-7": "Ελλάδα", "iso8859-8": "שלום", "cp874": "สวัสดี", "cp1258": "đồng",
}  # fmt: skip


def found(data: bytes, query: Query) -> list[tuple[int, str, str]]:
    return [(h.offset, h.value, h.encoding) for h in search(MemorySource(data), query)]


@pytest.mark.parametrize("encoding", PANGRAMS)
def test_code_pages(encoding):
    term = PANGRAMS[encoding]
    try:
        raw = term.encode(encoding)
    except UnicodeEncodeError:
        term = unicodedata.normalize("NFD", term)  # windows-1258 has the tone marks apart
        term = next(t for t in (term, "đồng".replace("ồ", "ô\u0300")) if _writes(t, encoding))
        raw = term.encode(encoding)
    hits = found(b"\0\0 " + raw + b" \0", Query(words=(PANGRAMS[encoding],)))
    assert [(o, v) for o, v, _ in hits] == [(3, term)]
    assert hits[0][2] == named(encoding) or hits[0][1].encode(hits[0][2]) == raw  # another code page with the same bytes is as true


def _writes(text: str, encoding: str) -> bool:
    try:
        return bool(text.encode(encoding))
    except UnicodeEncodeError:
        return False


def test_what_no_code_page_writes_is_said():
    ready = prepared(Query(words=("東京", "plain"), encodings=("utf-8", "cp1252", "koi8-r", "shift_jis")))
    assert ready.unwritten() == [("東京", ("cp1252", "koi8-r"))]


@pytest.mark.parametrize("name", ["utf-16", "utf-7", "iso2022_jp", "idna", "base64", "unicode_escape", "no-such"])
def test_encodings_that_cannot_be_searched_are_refused(name):
    with pytest.raises(UsageError):
        named(name)


def test_every_standard_encoding_is_pythons():
    assert all(codecs.lookup(n).name == named(n) for n in STANDARD)
    assert single_byte("cp437")[0x82] == "é" and single_byte("shift_jis") is None


LETTERS = "aAkKsSſ\u212aßﬁfiéÉe\u0301ẬâA\u0302\u0323ｋ①1-σςΣ한ㅏ"


@given(
    st.text(LETTERS, min_size=1, max_size=6),
    st.text(LETTERS, max_size=30),
    st.booleans(),
    st.sampled_from(("none", "canonical", "compatibility")),
)
@settings(max_examples=400, deadline=None)
def test_every_equal_stretch_of_text_is_found_and_nothing_else(term, text, case, form):
    equality = Equality(case, form)
    wanted = fold(term, equality)
    # A stretch that is equal and no longer one that begins there: the definition itself, at every place.
    want = {}
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            if fold(text[start:end], equality) == wanted:
                want[start] = text[start:end]
                break
    for encoding in UNICODE:
        data = text.encode(encoding)
        offsets = {len(text[:start].encode(encoding)): value for start, value in want.items()}
        query = Query(words=(term,), ignore_case=case, form=form, encodings=(encoding,))
        got = {o: v for o, v, _ in found(data, query)}
        if encoding == "utf-8":
            assert got == offsets
        else:
            assert offsets.items() <= got.items()  # at an odd offset other characters may stand


@given(st.text(LETTERS, min_size=1, max_size=8), st.booleans(), st.sampled_from(("none", "canonical", "compatibility")))
@settings(max_examples=200, deadline=None)
def test_spellings_begin_what_they_say(term, case, form):
    equality = Equality(case, form)
    folded = fold(term, equality)
    for character, rest in spellings(folded, equality):
        assert fold(character + rest, equality) == folded


def test_case_folds_beyond_ascii():
    for text, term in (("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("МОСКВА", "москва"), ("ﬃ", "FFI"), ("Ǆ", "ǆ")):
        for encoding in UNICODE:
            (hit,) = found(text.encode(encoding), Query(words=(term,), ignore_case=True))
            assert hit[1] == text


def test_utf16_of_the_other_byte_order_is_not_told_twice():
    for order, encoding in (("le", "utf-16-le"), ("be", "utf-16-be")):
        data = bytes(100) + "some needle here".encode(f"utf-16-{order}") + bytes(100)
        query = Query(words=("needle",), expressions=(r"n\w+e\b",))
        assert [(o, e) for o, _, e in found(data, query)] == [(110, encoding), (110, encoding)]
    odd = b"\x01" + "Zneedle\u4e2d".encode("utf-16-le")
    assert [e for _, _, e in found(odd, Query(words=("needle",)))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1251", "shift_jis", "gb18030"])
def test_whole_words(encoding):
    def alone(term: str, text: str) -> int:
        return len(found(text.encode(encoding, "ignore"), Query(words=(term,), whole_word=True, encodings=(encoding,))))

    assert alone("cat", "cat, concat cats cat_ cat9 (cat) cat") == 3
    assert alone("кот", "кот котик Кот-кот скот") == 2
    if encoding != "cp1251":
        assert alone("東京", "東京都は東京です") == 2  # no spaces between words: each may be one
        assert alone("カメ", "カメ カメラ") == 1


def test_marks_belong_to_the_letter_before():
    assert found("cafe\u0301 cafe".encode(), Query(words=("cafe",), whole_word=True)) == [(7, "cafe", "utf-8")]
    assert joins("a", "\u0301") and not joins("東", "京") and joins("カ", "メ") and not joins("a", "") and not joins("a", "-")


def test_neighbours_are_whole_characters():
    data = memoryview("é€😀x".encode())
    assert (previous(data, 2, "utf-8"), following(data, 2, "utf-8"), previous(data, 9, "utf-8")) == ("é", "€", "😀")
    wide = memoryview("😀x".encode("utf-16-le"))
    assert previous(wide, 4, "utf-16-le") == "😀" and following(wide, 0, "utf-16-le") == "😀"


def test_thousands_of_terms_against_re():
    terms = tuple(f"w{i:04x}z" for i in range(0, 60000, 13))
    text = " ".join(terms[::7]) + " w0000 zz " + " ".join(t.upper() for t in terms[::501])
    want = [m.start() for m in re.finditer("|".join(terms), text)]
    assert [o for o, _, _ in found(text.encode(), Query(words=terms, encodings=UNICODE))] == want
    long = "x" * 30 + "the end of a term that is longer than any pattern" * 3
    assert [o for o, _, _ in found(b"--" + long.upper().encode("utf-16-le"), Query(words=(long,), ignore_case=True))] == [2]


def test_terms_that_are_no_terms():
    for words in (("",), ("x" * 1001,)):
        with pytest.raises(UsageError):
            prepared(Query(words=words))
    with pytest.raises(UsageError, match="nothing to search for"):
        prepared(Query())
