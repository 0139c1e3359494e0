"""How bytes of a remote object come here, by protocol: one range a request, each answer held against the version that was pinned.

Coroutines for fsspec's own loop. What fails is a Trouble, made outside of the except clause, so that no address with a password in it
hangs on an error as its cause.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from forensiclib.core.errors import MissingSupport, UsageError

__all__ = ["Carrier", "Trouble", "Version", "carrier"]

Kind = Literal["missing", "denied", "changed", "refused", "weather"]
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP: the server says that it may answer later (RFC 9110, 15.5.9 and 15.6; RFC 6585; RFC 8470)."""
_AGAIN_S3 = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "500", "502", "503", "504"})


@dataclass(frozen=True, slots=True)
class Version:
    """What an object said of itself: bytes, and the marks that change when its content does ("" where it has none)."""

    size: int
    id: str = ""
    etag: str = ""
    modified: str = ""

    @property
    def marked(self) -> bool:
        """Whether anything but the size tells one content from another."""
        return bool(self.id or self.etag or self.modified)

    def same(self, other: Version) -> bool:
        """Whether ``other`` is this content: by the strongest mark that this one has. A weak ETag (RFC 9110, 8.8.1) does not
        promise equal bytes, so the time must agree too."""
        if self.size != other.size:
            return False
        if self.id:
            return self.id == other.id
        if self.etag and not self.etag.startswith("W/"):
            return self.etag == other.etag
        return (self.etag, self.modified) == (other.etag, other.modified)

    def __str__(self) -> str:
        marks = (("version", self.id), ("ETag", self.etag), ("modified", self.modified))
        return ", ".join([*(f"{name} {value}" for name, value in marks if value), f"{self.size} bytes"])


class Trouble(Exception):
    """Why a request gave nothing: "weather" may pass and is tried again, the others are final. ``wait``: seconds the server asks for."""

    def __init__(self, kind: Kind, words: str, wait: float = 0.0) -> None:
        super().__init__(words)
        self.kind, self.words, self.wait = kind, words, wait


def changed(pinned: Version, found: Version | str) -> Trouble:
    """The object is another one than at the opening."""
    return Trouble("changed", f"changed while it was read: opened as ({pinned}), now ({found})")


class Carrier(ABC):
    """One object of one server. ``version`` is what was pinned; ``pin`` says by what means later answers are held to it."""

    listable = True
    version: Version
    pin: str

    def __init__(self, fs: Any, path: str) -> None:
        self.fs, self.path = fs, path

    @abstractmethod
    async def open(self, first: int, pinned: Version | None) -> bytes:
        """Pin the version, the given one where there is one; up to ``first`` bytes of the start, should they come along."""

    @abstractmethod
    async def get(self, start: int, end: int) -> bytes:
        """Exactly the bytes [start, end) of the pinned version, or Trouble."""


def _host_errors() -> tuple[type[BaseException], ...]:
    """What the libraries below raise when the network or the server fails."""
    import aiohttp

    known: tuple[type[BaseException], ...] = (OSError, aiohttp.ClientError)
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return known
    return (*known, BotoCoreError, ClientError)


def _trouble(error: BaseException) -> Trouble:
    """The same without the error's text, which may hold the address with its password."""
    import aiohttp

    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    code = str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
    name = f"{type(error).__name__}{f' ({code})' if code else ''}"
    if isinstance(error, FileNotFoundError) or code in ("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"):
        return Trouble("missing", "no such object")
    if isinstance(error, PermissionError) or type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return Trouble("denied", f"the server does not let us read it: {name}")
    if code:
        return Trouble("weather" if code in _AGAIN_S3 else "refused", name)
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.ClientSSLError)):
        return Trouble("refused", name)
    return Trouble("weather", f"{name}{f': {error.strerror}' if isinstance(error, OSError) and error.strerror else ''}")


def _ranged(stated: str, start: int, end: int, length: int | None) -> int:
    """The size of the whole that the answer states, when it is the range that was asked, cut at the end of the object at most."""
    match = _RANGE.fullmatch(stated)
    if match is None:
        raise Trouble("refused", f"the answer to a range does not say which bytes of how many it is: {stated[:60]!r}")
    low, high, total = int(match[1]), int(match[2]) + 1, int(match[3])
    want = min(end, total)
    if (low, high) != (start, want) or length not in (None, want - start):
        said = f"bytes {low} to {high} of {total}" + ("" if length is None else f", {length} bytes long")
        raise Trouble("refused", f"bytes {start} to {want} were asked, the server gives {said}")
    return total


class _Http(Carrier):
    """Each answer carries ETag, Last-Modified and the size of the whole; If-Match is sent besides where the ETag is strong."""

    listable = False
    _conditional = False

    async def _ask(self, start: int, end: int, match: str = "") -> tuple[Version, bytes]:
        import aiohttp

        options = dict(self.fs.kwargs)
        headers = {**options.pop("headers", {}), "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        if match:
            headers["If-Match"] = match
        trouble = None
        try:
            session = await self.fs.set_session()
            async with session.get(self.fs.encode_url(self.path), headers=headers, **options) as answer:
                return await self._taken(answer, start, end)
        except (aiohttp.ClientError, OSError) as error:
            trouble = _trouble(error)
        raise trouble

    async def _taken(self, answer: Any, start: int, end: int) -> tuple[Version, bytes]:
        status, said = answer.status, answer.headers
        etag, modified = said.get("ETag", ""), said.get("Last-Modified", "")
        empty = status == 416 and said.get("Content-Range", "").endswith("*/0")
        if empty or (status == 200 and answer.content_length == 0):
            return Version(0, "", etag, modified), b""
        if status == 206:
            if said.get("Content-Encoding", "identity") != "identity":
                raise Trouble("refused", f"the server encodes what it sends: {said['Content-Encoding'][:40]}")
            total = _ranged(said.get("Content-Range", ""), start, end, answer.content_length)
            want, data = min(end, total) - start, bytearray()
            async for piece in answer.content.iter_any():
                data += piece
                if len(data) > want:
                    raise Trouble("refused", f"{want} bytes were asked, the server sends more")
            if len(data) < want:
                raise Trouble("weather", f"the answer ended after {len(data)} of {want} bytes")
            return Version(total, "", etag, modified), bytes(data)
        answer.close()  # whatever the body is, it is not waited for
        if status == 200:
            raise Trouble("refused", "the server does not serve ranges: it answers with the whole object, which is not downloaded")
        if status == 412:
            raise Trouble("changed", "the condition does not hold")
        if status == 416:
            raise Trouble("changed", "the object ends before the range that was asked")
        if status in (404, 410):
            raise Trouble("missing", f"no such object: {status}")
        if status in (401, 403, 407):
            raise Trouble("denied", f"the server does not let us read it: {status}")
        if status in _AGAIN:
            wait = said.get("Retry-After", "")
            raise Trouble("weather", f"the server answers {status}", float(wait) if wait.isascii() and wait.isdigit() else 0.0)
        raise Trouble("refused", f"the server answers {status}")

    async def open(self, first: int, pinned: Version | None) -> bytes:
        self.version, data = await self._ask(0, first)
        if pinned is not None and not pinned.same(self.version):
            raise changed(pinned, self.version)
        etag = self.version.etag
        self._conditional = bool(etag) and not etag.startswith("W/")
        means = "If-Match and the ETag of each answer" if self._conditional else "ETag" if etag else ""
        self.pin = means or ("Last-Modified of each answer" if self.version.modified else "size only")
        return data

    async def get(self, start: int, end: int) -> bytes:
        trouble = None
        try:
            found, data = await self._ask(start, end, self.version.etag if self._conditional else "")
        except Trouble as error:
            if error.kind != "changed":
                raise
            trouble = error
        if trouble is not None:  # what is it now? And does this server compare tags at all?
            now, _ = await self._ask(0, 1)
            if not self.version.same(now):
                raise changed(self.version, now)
            if not self._conditional:
                raise changed(self.version, trouble.words)
            self._conditional, self.pin = False, "the ETag of each answer"
            return await self.get(start, end)
        if not self.version.same(found):
            raise changed(self.version, found)
        return data


class _S3(Carrier):
    """VersionId where the bucket keeps versions (then the object cannot change), If-Match and the ETag of each answer where not."""

    async def _ask(self, start: int, end: int, **more: str) -> tuple[Version, bytes]:
        bucket, key, wanted = self.fs.split_path(self.path)
        if wanted and "VersionId" not in more:
            more["VersionId"] = wanted
        trouble = None
        try:
            answer = await self.fs._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", **more)
            async with answer["Body"] as stream:
                total = _ranged(answer.get("ContentRange", ""), start, end, answer.get("ContentLength"))
                data = await stream.read()
            if len(data) != min(end, total) - start:
                raise Trouble("weather", f"the answer ended after {len(data)} of {min(end, total) - start} bytes")
            return self._said(answer, total), data
        except _host_errors() as error:
            code = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
            status = code.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(code, dict) else None
            trouble = Trouble("changed", f"the server answers {status}") if status in (412, 416) else _trouble(error)
        raise trouble

    @staticmethod
    def _said(answer: Mapping[str, Any], size: int) -> Version:
        number = str(answer.get("VersionId") or "")
        return Version(size, "" if number == "null" else number, str(answer.get("ETag") or ""), str(answer.get("LastModified") or ""))

    async def _head(self) -> Version:
        bucket, key, wanted = self.fs.split_path(self.path)
        trouble = None
        try:
            answer = await self.fs._call_s3("head_object", Bucket=bucket, Key=key, **({"VersionId": wanted} if wanted else {}))
            return self._said(answer, int(answer["ContentLength"]))
        except _host_errors() as error:
            trouble = _trouble(error)
        raise trouble

    async def open(self, first: int, pinned: Version | None) -> bytes:
        known = {"VersionId": pinned.id} if pinned is not None and pinned.id else {}
        trouble = None
        data = b""
        try:
            self.version, data = await self._ask(0, first, **known)
        except Trouble as error:
            if error.kind != "changed":
                raise
            trouble = error  # an empty object has no range
        if trouble is not None:
            self.version = await self._head()
            if self.version.size:
                raise Trouble("refused", trouble.words)
        if pinned is not None and not pinned.same(self.version):
            raise changed(pinned, self.version)
        self.pin = "VersionId" if self.version.id else "If-Match and the ETag of each answer" if self.version.etag else "size only"
        return data

    async def get(self, start: int, end: int) -> bytes:
        by = {"VersionId": self.version.id} if self.version.id else {"IfMatch": self.version.etag} if self.version.etag else {}
        refused = False
        try:
            found, data = await self._ask(start, end, **by)
        except Trouble as error:
            if error.kind != "changed":
                raise
            refused = True
        if refused:
            raise changed(self.version, await self._head())
        if not self.version.same(found):
            raise changed(self.version, found)
        return data


class _Other(Carrier):
    """Any other file system of fsspec: its own description of the object is asked again after each range, before bytes are handed out."""

    def __init__(self, fs: Any, path: str) -> None:
        super().__init__(fs, path)
        self._one = asyncio.Lock()
        """Of a file system that is not asynchronous nobody promises that two threads may use it."""

    async def _call(self, name: str, *args: Any, **named: Any) -> Any:
        trouble = None
        try:
            if self.fs.async_impl:
                return await getattr(self.fs, f"_{name}")(*args, **named)
            async with self._one:
                return await asyncio.to_thread(getattr(self.fs, name), *args, **named)
        except _host_errors() as error:
            trouble = _trouble(error)
        raise trouble

    async def _now(self) -> Version:
        self.fs.invalidate_cache()
        said = {k.casefold().replace("_", "").replace("-", ""): v for k, v in (await self._call("info", self.path)).items()}
        if said.get("type") == "directory":
            raise Trouble("refused", "a folder")
        if not isinstance(said.get("size"), int):
            raise Trouble("refused", "the server does not say how large it is")
        id_ = said.get("versionid") or said.get("generation") or ""
        etag = said.get("etag") or said.get("md5hash") or said.get("contentmd5") or said.get("checksum") or ""
        time = next((said[k] for k in ("lastmodified", "mtime", "modified", "updated", "modifytime", "created") if said.get(k)), "")
        return Version(said["size"], str(id_), str(etag), str(time))

    async def open(self, first: int, pinned: Version | None) -> bytes:
        self.version = await self._now()
        if pinned is not None and not pinned.same(self.version):
            raise changed(pinned, self.version)
        self.pin = "asked again after each answer" if self.version.marked else "size only"
        return b""

    async def get(self, start: int, end: int) -> bytes:
        data = bytes(await self._call("cat_file", self.path, start=start, end=end))
        now = await self._now()
        if not self.version.same(now):
            raise changed(self.version, now)
        if len(data) != end - start:
            raise Trouble("refused", f"{end - start} bytes were asked, {len(data)} came: not the range")
        return data


def carrier(url: str, options: Mapping[str, Any]) -> Carrier:
    """The carrier for an address, before any request. MissingSupport says what to install; UsageError for a protocol nobody knows."""
    scheme = url.partition("://")[0].lower()
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import get_filesystem_class, known_implementations
    except ImportError as error:
        raise MissingSupport(f"{scheme}: evidence from afar needs an extra: pip install 'forensiclib[remote]'") from error
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise MissingSupport(f"{scheme}: evidence from afar needs an extra: pip install 'forensiclib[remote]'") from error
    words = ""
    try:
        kind = get_filesystem_class(scheme)
    except ValueError:
        words = f"{scheme}: no such protocol"
    except ImportError:
        words = f"{scheme}: {known_implementations[scheme].get('err', 'its package is not installed')}"
        raise MissingSupport(words) from None
    if words:
        raise UsageError(words)
    try:
        fs, path = url_to_fs(url, **options)
        if hasattr(fs, "encode_url"):
            fs.encode_url(path)
    except (TypeError, ValueError, NotImplementedError) as error:
        words = f"{scheme}: fsspec does not open such an address alone ({type(error).__name__})"
    except _host_errors() as error:
        words = f"{scheme}: {_trouble(error).words}"
    if words:
        raise UsageError(words)
    protocols = (kind.protocol,) if isinstance(kind.protocol, str) else tuple(kind.protocol)
    if "http" in protocols or "https" in protocols:
        return _Http(fs, path)
    return _S3(fs, path) if "s3" in protocols and hasattr(fs, "split_path") else _Other(fs, path)
