"""A network of validators on one machine, each a process: for trying out, tests, studies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gridpact.contracts.genesis import Genesis
from gridpact.errors import GridpactError, InputError, Problem
from gridpact.node import cometbft, raft
from gridpact.node.door import NodeStatus, RemoteEngine, door_path
from gridpact.node.engines import COMETBFT, RAFT, WEIGHTED_RAFT

NETWORK_ENGINES = (RAFT, WEIGHTED_RAFT, COMETBFT)
LOG = "validator.log"
LEDGER = "ledger"
PROGRAM = (sys.executable, "-m", "gridpact.node")
STOP_WAITS_S = 15.0
"""How long a validator may take to end when asked to."""
LOG_LINES = 3
"""Of a validator that ended, shown to whoever waits for it."""


async def serve_home(home: Path) -> None:
    """Run the validator of a folder until SIGTERM or SIGINT; raises what else made it stop."""
    if (home / COMETBFT).is_dir():
        await cometbft.serve(home)
    else:
        await raft.serve(home)


class Devnet:
    """Validators in processes of their own, each a session that can be killed as a whole."""

    def __init__(self, homes: Sequence[Path]) -> None:
        """Nothing runs before `start`."""
        self.homes = {home.name: home for home in homes}
        self.program: Sequence[str] = PROGRAM
        """What `start` runs, with the folder behind it."""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def create(cls, folder: Path, genesis: Genesis, engine: str, *, trace: bool = False) -> Devnet:
        """Folders for all validators of a genesis.

        Args:
            folder: empty or absent.
            genesis: of the chain.
            engine: one of `NETWORK_ENGINES`.
            trace: whether Rafts write down what `gridpact.sim.replay` plays again.
        Raises:
            InputError: no such engine, the folder is not empty, or CometBFT is not installed.
        """
        if engine not in NETWORK_ENGINES:
            known = ", ".join(NETWORK_ENGINES)
            raise InputError([Problem("engine", f"{engine!r} is not one of: {known}")])
        if engine == COMETBFT:
            cometbft.find_program()
            return cls(cometbft.write_homes(folder, genesis))
        return cls(raft.write_homes(folder, genesis, engine=engine, trace=trace))

    @property
    def doors(self) -> list[Path]:
        """Sockets of all validators, in order."""
        return [door_path(home) for home in self.homes.values()]

    def ledger(self, name: str = "") -> Path:
        """Ledger folder of a validator, the first one when none is named."""
        return self.homes[name or next(iter(self.homes))] / LEDGER

    def start(self, *names: str) -> None:
        """Start these validators, or all."""
        for name in names or self.homes:
            home = self.homes[name]
            with (home / LOG).open("ab") as log:
                self._processes[name] = subprocess.Popen(  # noqa: S603 (our own validator)
                    [*self.program, str(home)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    @property
    def running(self) -> list[str]:
        """Names of those whose process has not ended."""
        return [name for name, process in self._processes.items() if process.poll() is None]

    def pid(self, name: str) -> int:
        """Of a validator's process, which leads its group."""
        return self._processes[name].pid

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a validator and everything that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._processes[name].pid, number)

    def kill(self, *names: str) -> None:
        """End these, or all, as a power failure does."""
        for name in names or tuple(self._processes):
            self.signal(name, signal.SIGKILL)
            self._processes.pop(name).wait()

    def stop(self, *names: str) -> dict[str, int]:
        """Ask these, or all, to end, and make them when they do not; returns their exit codes."""
        chosen = names or tuple(self._processes)
        for name in chosen:
            with contextlib.suppress(ProcessLookupError):
                self._processes[name].terminate()
        codes = {}
        for name in chosen:
            try:
                codes[name] = self._processes[name].wait(STOP_WAITS_S)
            except subprocess.TimeoutExpired:
                self.signal(name, signal.SIGKILL)
                codes[name] = self._processes[name].wait()
            del self._processes[name]
        return codes

    def wait(self, name: str, wait_s: float) -> int | None:
        """Exit code of a validator that is going to end by itself; None: not in time."""
        try:
            return self._processes[name].wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    async def connect(self, *names: str) -> RemoteEngine:
        """An engine port through the doors of these validators, or of all.

        Raises:
            GridpactError: all of them have ended; says what they said last.
        """
        doors = [door_path(self.homes[name]) for name in names or self.homes]
        connecting = asyncio.create_task(RemoteEngine.connect(doors))
        try:
            while not (await asyncio.wait({connecting}, timeout=0.2))[0]:
                if not self.running:
                    raise GridpactError(f"no validator is up: {self._last_words()}")
        except BaseException:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            raise
        return connecting.result()

    async def status(self, name: str, wait_s: float = 2.0) -> NodeStatus | None:
        """How a validator is; None when it does not say."""
        if name not in self.running:
            return None
        try:
            async with asyncio.timeout(wait_s):
                engine = await RemoteEngine.connect([door_path(self.homes[name])])
                try:
                    return await engine.status()
                finally:
                    await engine.close()
        except (TimeoutError, GridpactError):
            return None

    async def until_equal(self, *names: str, height: int = 0, wait_s: float = 60.0) -> NodeStatus:
        """Wait until these validators, or all, are at one height, this one or above.

        Returns:
            The status of the first.
        Raises:
            GridpactError: not in time, or their records differ.
        """
        chosen = names or tuple(self.homes)
        found: list[NodeStatus | None] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    found = [await self.status(name) for name in chosen]
                    there = [status for status in found if status is not None]
                    heights = {status.height for status in there}
                    if len(there) == len(chosen) and len(heights) == 1 and min(heights) >= height:
                        if len({status.record for status in there}) > 1:
                            raise GridpactError(f"records differ at height {heights.pop()}")
                        return there[0]
                    await asyncio.sleep(0.1)
        heights_text = ", ".join(
            f"{name} {'away' if status is None else status.height}"
            for name, status in zip(chosen, found, strict=False)
        )
        raise GridpactError(f"not at one height within {wait_s:.0f} s: {heights_text}")

    def _last_words(self) -> str:
        said = []
        for name, home in self.homes.items():
            path = home / LOG
            lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
            said.append(f"{name}: {' | '.join(lines[-LOG_LINES:])}")
        return "; ".join(said)
