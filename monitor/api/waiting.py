"""Audit entries on their way to the store: a file that each is appended to before its answer is given.

What is appended is the kernel's, so a kill -9 of this process loses none; a power cut may lose what the store has not
committed yet (`audit.FLUSH_S` and one commit), since the file is not synced. Two files take turns: while `PATH.old` is
being written to the store, new entries go to PATH. A line is one entry as JSON; the last one may be torn.
"""

import logging
import os
from pathlib import Path

import msgspec

from monitor.store.access import AuditEntry

log = logging.getLogger("faultline.api")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditEntry).decode


class WaitingFile:
    """Raises OSError, with the path, when the file cannot be opened or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._old = path.with_name(path.name + ".old")
        self.left = self._read(self._old) + self._read(path)  # what a process that was killed had not written
        self._fd = self._open()
        if self.left:
            self._gather()

    @property
    def turned(self) -> bool:
        """`PATH.old` holds entries that the store has not."""
        return self._old.exists()

    def add(self, entry: AuditEntry) -> None:
        os.write(self._fd, _encode(entry) + b"\n")

    def turn(self) -> None:
        """Begin a new file: what is in the present one is being written to the store."""
        self._path.rename(self._old)
        os.close(self._fd)
        self._fd = self._open()

    def drop(self) -> None:
        """The store has all of `PATH.old`."""
        self._old.unlink(missing_ok=True)

    def close(self) -> None:
        """Afterwards `add` raises OSError."""
        os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _gather(self) -> None:
        """All that was left into `PATH.old`, renamed into place, and PATH empty: killed in between, some stand twice,
        and the store takes each once."""
        aside = self._path.with_name(self._path.name + ".new")
        aside.write_bytes(b"".join(_encode(entry) + b"\n" for entry in self.left))
        aside.chmod(0o600)
        aside.rename(self._old)
        os.ftruncate(self._fd, 0)

    @staticmethod
    def _read(path: Path) -> list[AuditEntry]:
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                if line:
                    found.append(_decode(line))
            except msgspec.MsgspecError:
                log.warning("%s: a torn entry of the audit trail is left out", path)
        return found
