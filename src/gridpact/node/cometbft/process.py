"""The CometBFT program: where it is, and running it beside our application."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

import structlog

from gridpact.errors import InputError, Problem

PROGRAM = "cometbft"
VERSION = "v0.38.25"
"""What `make cometbft` builds and the tests run against."""
SETTING = "GRIDPACT_COMETBFT"
"""Environment variable that names the program."""
STOP_WAITS_S = 10.0
RESTART_WAITS_S = 0.5

_log = structlog.get_logger(__name__)


def find_program() -> Path:
    """The program: as the environment names it, beside this Python, or on the search path.

    Raises:
        InputError: nowhere; says how to build it.
    """
    named = os.environ.get(SETTING)
    beside = Path(sys.executable).parent / PROGRAM
    found = named or (str(beside) if beside.is_file() else shutil.which(PROGRAM))
    if found is None or not Path(found).is_file():
        text = f"not found; `make cometbft` builds {VERSION}, or name one with {SETTING}"
        raise InputError([Problem(found or PROGRAM, text)])
    return Path(found)


class CometbftProcess:
    """Keeps CometBFT running until told to stop; it ends by itself when we do not answer it."""

    def __init__(self, program: Path, home: Path, signer_socket: Path) -> None:
        self._program, self._home, self._signer_socket = program, home, signer_socket
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; its output goes to `cometbft.log`."""
        self._task = asyncio.create_task(self._keep_running())

    @property
    def pid(self) -> int | None:
        """Of the running program."""
        return None if self._process is None else self._process.pid

    async def stop(self) -> None:
        """Ask it to end, and make it when it does not."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_WAITS_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        self._signer_socket.unlink(missing_ok=True)

    async def _keep_running(self) -> None:
        while True:
            # CometBFT does not listen where a killed one has left its socket
            self._signer_socket.unlink(missing_ok=True)
            with (self._home / "cometbft.log").open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    str(self._program),
                    "start",
                    "--home",
                    str(self._home),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            code = await self._process.wait()
            _log.warning("CometBFT ended", code=code, log=str(self._home / "cometbft.log"))
            await asyncio.sleep(RESTART_WAITS_S)
