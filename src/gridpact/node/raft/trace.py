"""Writing a trace: each step of the replica is in the file before any of its effects is done.

So whatever others can have seen of a killed validator is in its trace. It is not synced: after a
power failure the last steps may be missing. A trace is there to look at, nothing depends on it;
when the disk refuses or the file is full, it ends and the validator goes on.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import structlog

from gridpact.consensus.raft import RaftReplica
from gridpact.consensus.raft.trace import (
    TRACE,
    End,
    Origin,
    Step,
    begin_bytes,
    digest,
    frame_bytes,
    state_hash,
)
from gridpact.consensus.shape import Effect, Event, Signer, Verifier

TRACE_BYTES_MAX = 2**30
"""Of one file."""

_log = structlog.get_logger(__name__)


class Recorder:
    """Writes down what one replica is given and does; also its signer and its verifier."""

    def __init__(self, home: Path, origin: Origin, signer: Signer, verifier: Verifier) -> None:
        """Begin a new trace.

        Args:
            home: folder of the validator.
            origin: what its replica begins with.
            signer: of the replica.
            verifier: of everybody's frames.
        """
        self._signer, self._verifier = signer, verifier
        self._given: tuple[int, Event | None] | None = None
        """What the replica was given and has not answered yet."""
        self._signatures: list[bytes] = []
        self._verdicts: list[bool] = []
        self.path, self._size = home / TRACE, 0
        self._file = -1
        """Its descriptor; -1 once it has ended."""
        for number in count(1):
            try:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                break
            except FileExistsError:
                self.path = home / f"{TRACE}-{number}"
            except OSError as error:
                self._end(error.strerror)
                break
        self._write(begin_bytes(origin))

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`."""
        signature = self._signer.sign(data)
        self._signatures.append(signature)
        return signature

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """See `Verifier.verify`."""
        verdict = self._verifier.verify(sender, data, signature)
        self._verdicts.append(verdict)
        return verdict

    def given(self, now_ms: int, event: Event | None) -> None:
        """The replica is given an event, or started."""
        self._given = (now_ms, event)

    def did(self, effects: list[Effect]) -> None:
        """This is its answer; nothing of it has been done yet."""
        self._step([digest(effect) for effect in effects])

    def close(self, replica: RaftReplica) -> None:
        """The replica is given nothing more. One that raised something has no last state."""
        if self._given is None:
            self._write(frame_bytes(End(state_hash(replica))))
        else:
            self._step(None)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _step(self, digests: list[bytes] | None) -> None:
        if self._given is not None:
            step = Step(*self._given, self._signatures, self._verdicts, digests)
            self._write(frame_bytes(step))
        self._given = None
        self._signatures.clear()
        self._verdicts.clear()

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            return
        if self._size + len(data) > TRACE_BYTES_MAX:
            self._end(f"it has {self._size} bytes")
            return
        self._size += len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._end(error.strerror)

    def _end(self, why: str | None) -> None:
        _log.warning("trace ends", path=str(self.path), reason=why)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
