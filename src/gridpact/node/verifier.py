"""Signature checks in a process of their own, so that execution and checking use two cores.

The worker is the script `signature_worker.py`, which imports nothing of ours and starts fast.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from gridpact.node import signature_worker

Check = tuple[bytes, bytes, bytes]
"""(public key, digest, signature)."""


class VerifierProcess:
    """A worker that checks signatures, and the pipe to it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def verify(self, checks: Sequence[Check]) -> list[bool]:
        """Verdicts in order.

        Frames are sent at once and answered in turn, so several may be on their way. A worker
        that died is replaced and asked again once.
        """
        if not checks:
            return []
        frame = signature_worker.HEADER.pack(len(checks)) + b"".join(
            key + digest + signature for key, digest, signature in checks
        )
        try:
            answer = await self._ask(frame, len(checks))
        except (BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError):
            self._process = None
            answer = await self._ask(frame, len(checks))
        return [good == 1 for good in answer]

    async def _ask(self, frame: bytes, count: int) -> bytes:
        if self._process is None:
            async with self._turn:
                if self._process is None:
                    self._process = await _start_worker()
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise BrokenPipeError
        stdin.write(frame)
        async with self._turn:
            await stdin.drain()
            return await stdout.readexactly(count)

    async def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            await self._process.wait()
            self._process = None


async def _start_worker() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(signature_worker.__file__)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
