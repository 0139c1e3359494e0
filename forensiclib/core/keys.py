"""Secrets for one run: never global, never shown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Keys"]


class Keys:
    """Passwords, recovery keys, key files and PIMs (VeraCrypt's multipliers of the work) to try on locked volumes.

    The values appear in no repr, str, log line, exception or case file.
    """

    __slots__ = ("_files", "_passwords", "_pims", "_recovery")

    def __init__(
        self,
        password: str | Sequence[str] = (),
        *,
        recovery: str | Sequence[str] = (),
        keyfile: bytes | Sequence[bytes] = (),
        pim: int | Sequence[int] = (),
    ) -> None:
        self._passwords = (password,) if isinstance(password, str) else tuple(password)
        self._recovery = (recovery,) if isinstance(recovery, str) else tuple(recovery)
        self._files = (keyfile,) if isinstance(keyfile, bytes) else tuple(keyfile)
        self._pims = (pim,) if isinstance(pim, int) else tuple(pim)

    def __bool__(self) -> bool:
        return any(self._all())

    @property
    def passwords(self) -> tuple[str, ...]:
        """In the order given."""
        return self._passwords

    @property
    def recovery(self) -> tuple[str, ...]:
        """Recovery keys, as printed by the system that made them."""
        return self._recovery

    @property
    def keyfiles(self) -> tuple[bytes, ...]:
        """Contents of key files."""
        return self._files

    @property
    def pims(self) -> tuple[int, ...]:
        """Personal Iterations Multipliers, tried before the default."""
        return self._pims

    def _all(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[bytes, ...], tuple[int, ...]]:
        return self._passwords, self._recovery, self._files, self._pims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keys) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        pims = f", {len(self._pims)} PIMs" if self._pims else ""
        return f"Keys({len(self._passwords)} passwords, {len(self._recovery)} recovery keys, {len(self._files)} key files{pims})"
