"""A provider as the grid company sees it: a process of its own, one task at a time."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

from gridpact.node.clouds.protocol import LENGTH_BYTES, ProtocolError, Task, frame, frame_length

HONEST = (sys.executable, "-m", "gridpact.node.clouds")
"""The command of a provider that does what it should."""


class Provider:
    """A provider's process; it is started at its first task, and again after it failed.

    Args:
        name: in accounts and standings.
        command: starts it; it reads tasks on its standard input.
    """

    def __init__(self, name: str, command: Sequence[str] = HONEST) -> None:
        self.name = name
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, task: Task, timeout_s: float) -> bytes | None:
        """The bytes of its answer; None when none came in time or the process ended.

        A process that did not answer is killed, so that a late answer cannot be taken for that to
        the next task.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(frame(task))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, ProtocolError):
            await self.close()
            return None

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # Reads what is left and closes the pipes as well.
        with contextlib.suppress(ConnectionError):
            await process.communicate()

    async def _exchange(self, data: bytes) -> bytes:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ConnectionError
        stdin.write(data)
        await stdin.drain()
        head = await stdout.readexactly(LENGTH_BYTES)
        return await stdout.readexactly(frame_length(int.from_bytes(head, "big")))
