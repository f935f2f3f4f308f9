"""A network of validator processes whose links, processes, disks and clocks can be made bad."""

from __future__ import annotations

import asyncio
import itertools
import re
import resource
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random
from time import monotonic

import msgspec

from gridpact.contracts.genesis import Genesis
from gridpact.node import raft
from gridpact.node.devnet import Devnet
from gridpact.node.door import NodeStatus
from gridpact.node.engines import COMETBFT, WEIGHTED_RAFT
from gridpact.studies.fault_clock import set_clock
from gridpact.studies.fault_proxy import FaultProxy, LinkState

LOG_BAD = re.compile(rb"Traceback|InvariantError|never retrieved|never awaited")
"""What no validator may write into its log, whatever happens to it."""
GROWS = "raft.wal"
"""The file of a validator that each block makes longer; the database writes over its own."""
STATUS_WAITS_S = 0.5
"""Who has not said by then how it is counts as away."""
WATCH_S = 0.2
"""How often is asked who leads."""
WEIGHTS = (20, 39)
"""Voting weights that members may get; of three, none then outweighs the two others."""
BLOCKS_PER_CHANGE = 25
CHANGES_UNTIL = 20_000
"""Weights change every so many blocks, up to this height."""
CLOCKED = (sys.executable, "-m", "gridpact.studies.fault_clock")
"""What runs a validator with a clock of its own."""


class FaultNetwork:
    """Validators, each pair with a relay in each direction where the engine's links allow it."""

    def __init__(self, devnet: Devnet, engine: str, chance: Random) -> None:
        """Use `create`."""
        self.devnet, self.engine, self.chance = devnet, engine, chance
        self.names = list(devnet.homes)
        self.actions: list[str] = []
        """What was done to it, with seconds since the start."""
        self.leaders: list[tuple[int, str]] = []
        """(term, name) in the order in which they were seen."""
        self._proxy = FaultProxy(chance)
        self._down: set[str] = set()
        self._stopped: set[str] = set()
        self._faults: list[str] = []
        """What processes did wrong and nobody has been told yet."""
        self._looked_at = dict.fromkeys(self.names, 0)
        """Bytes of each log that have been looked through."""
        self._began_s = monotonic()

    @classmethod
    async def create(
        cls, folder: Path, genesis: Genesis, engine: str, chance: Random
    ) -> FaultNetwork:
        """Folders and relays; nothing runs before `start`.

        Raises:
            InputError: see `Devnet.create`.
        """
        network = cls(Devnet.create(folder, genesis, engine), engine, chance)
        if network.has_links:
            await network._relay_all()
        return network

    async def _relay_all(self) -> None:
        """Have every validator dial relays: its own settings say where the others are."""
        changes = self._changes()
        for name, home in self.devnet.homes.items():
            settings = raft.read_settings(home)
            members = [settings.own]
            for member in settings.others:
                port = await self._proxy.add(name, member.name, member.host, member.port)
                members.append(msgspec.structs.replace(member, port=port))
            changed = msgspec.structs.replace(settings, members=members, changes=changes)
            raft.write_settings(home, changed)

    def _changes(self) -> list[raft.WeightChange]:
        """Other voting weights every so many blocks, where weights mean anything."""
        if self.engine != WEIGHTED_RAFT:
            return []
        least, most = WEIGHTS
        return [
            raft.WeightChange(
                height, {name: self.chance.randint(least, most) for name in self.devnet.homes}
            )
            for height in range(BLOCKS_PER_CHANGE, CHANGES_UNTIL, BLOCKS_PER_CHANGE)
        ]

    @property
    def has_links(self) -> bool:
        """Whether links can be made bad."""
        return self.engine != COMETBFT

    def say(self, text: str) -> None:
        """Note what is done."""
        self.actions.append(f"{monotonic() - self._began_s:8.3f} {text}")

    # Who is there

    @property
    def up(self) -> list[str]:
        """Those that run and are not stopped."""
        return [n for n in self.devnet.running if n not in self._stopped]

    async def statuses(self) -> list[NodeStatus]:
        """How those are that say so."""
        asked = [self.devnet.status(name, STATUS_WAITS_S) for name in self.up]
        return [status for status in await asyncio.gather(*asked) if status is not None]

    async def leader(self) -> str:
        """Who leads, or anybody when that is not known."""
        known = [s for s in await self.statuses() if s.leader]
        if not known:
            return self.chance.choice(self.names)
        return max(known, key=lambda status: status.term).leader

    async def follower(self) -> str:
        """Anybody who does not lead."""
        leader = await self.leader()
        return self.chance.choice([name for name in self.names if name != leader])

    async def until_further(self, blocks: int, wait_s: float) -> None:
        """Wait until so many more blocks are decided, or for so long."""
        first = -1
        ends_s = monotonic() + wait_s
        while monotonic() < ends_s:
            height = max((status.height for status in await self.statuses()), default=-1)
            first = height if first < 0 else first
            if first >= 0 and height >= first + blocks:
                return
            await asyncio.sleep(WATCH_S)

    async def watch(self) -> None:
        """Note who leads, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(WATCH_S)

    async def look(self) -> None:
        """Note who leads now."""
        for status in await self.statuses():
            seen = (status.term, status.name)
            if status.leader == status.name and seen not in self.leaders:
                self.leaders.append(seen)

    # Processes

    def start(self, *names: str) -> None:
        """Start these, or all."""
        for name in names or self.names:
            self.say(f"start {name}")
            self.devnet.start(name)
            self._down.discard(name)

    async def kill(self, *names: str) -> None:
        """End these without warning."""
        self.say(f"kill {' '.join(names)}")
        self._down.update(names)
        await asyncio.to_thread(self.devnet.kill, *names)

    async def shut_down(self, *names: str) -> None:
        """Ask these to end, and wait until they have."""
        self.say(f"shut down {' '.join(names)}")
        self._down.update(names)
        codes = await asyncio.to_thread(self.devnet.stop, *names)
        self._faults += [
            f"{name} ended with code {code} when asked to end: {self.last_words(name)}"
            for name, code in codes.items()
            if code not in {0, -signal.SIGTERM}  # that is who was still starting
        ]

    def pause(self, *names: str) -> None:
        """Let these stand still."""
        self.say(f"pause {' '.join(names)}")
        self._stopped.update(names)
        for name in names:
            self.devnet.signal(name, signal.SIGSTOP)

    def resume(self, *names: str) -> None:
        """Let these go on."""
        self.say(f"resume {' '.join(names)}")
        for name in names:
            self.devnet.signal(name, signal.SIGCONT)
        self._stopped.difference_update(names)

    # Links

    def links(self, *names: str, outgoing: bool = True, incoming: bool = True) -> list[Pair]:
        """The directed links that join these to the others, or all links."""
        pairs = list(itertools.permutations(self.names, 2))
        if not names:
            return pairs
        return [
            (a, b)
            for a, b in pairs
            if (outgoing and a in names and b not in names)
            or (incoming and b in names and a not in names)
        ]

    def set_links(self, pairs: Iterable[Pair], state: LinkState) -> None:
        """Make these links good or bad."""
        chosen = list(pairs)
        self.say(f"links {' '.join(f'{a}>{b}' for a, b in chosen)}: {state}")
        self._proxy.set(chosen, state)

    # Disks

    def fill_disk(self, name: str, room: int) -> None:
        """No file of this validator grows longer than its log is now, and a little."""
        limit = (self.devnet.homes[name] / GROWS).stat().st_size + room
        self.say(f"files of {name} end at {limit} bytes")
        _, hard = resource.prlimit(self.devnet.pid(name), resource.RLIMIT_FSIZE)
        resource.prlimit(self.devnet.pid(name), resource.RLIMIT_FSIZE, (limit, hard))

    def lose_ledger(self, name: str) -> None:
        """Remove the ledger of a validator that does not run."""
        self.say(f"remove the ledger of {name}")
        shutil.rmtree(self.devnet.ledger(name), ignore_errors=True)

    async def until_ended(self, name: str, wait_s: float) -> int | None:
        """Exit code of a validator that is expected to end; None when it does not in time."""
        self._down.add(name)
        return await asyncio.to_thread(self.devnet.wait, name, wait_s)

    # Clocks

    def start_ahead(self, name: str, ahead_s: int) -> None:
        """Start one whose clock is ahead, or behind; `set_clock` makes it jump."""
        self.set_clock(name, ahead_s)
        usual, self.devnet.program = self.devnet.program, CLOCKED
        self.start(name)
        self.devnet.program = usual

    def set_clock(self, name: str, ahead_s: int) -> None:
        """Set what a clock is ahead."""
        self.say(f"clock of {name} {ahead_s:+d} s")
        set_clock(self.devnet.homes[name], ahead_s)

    # Afterwards

    def heal(self) -> None:
        """Links are good, all run again."""
        self.say("heal")
        self._proxy.heal()
        if self._stopped:
            self.resume(*self._stopped)
        if self._down:
            self.start(*sorted(self._down))

    def blame(self, text: str) -> None:
        """Note what a validator did wrong."""
        self._faults.append(text)

    def complaints(self) -> list[str]:
        """Who ended by itself, and what is new in the logs that may not be there."""
        running = set(self.devnet.running)
        found, self._faults = self._faults, []
        found += [
            f"{name} ended by itself: {self.last_words(name)}"
            for name in self.names
            if name not in running and name not in self._down
        ]
        for name, home in self.devnet.homes.items():
            data = (home / "validator.log").read_bytes()
            new, self._looked_at[name] = data[self._looked_at[name] :], len(data)
            if (bad := LOG_BAD.search(new)) is not None:
                said = new[bad.start() :].decode(errors="replace").strip()
                found.append(f"{name} wrote into its log: {said[:2000]}")
        return found

    def last_words(self, name: str) -> str:
        """The end of a validator's log."""
        data = (self.devnet.homes[name] / "validator.log").read_bytes()
        return data.decode(errors="replace").strip()[-400:]

    async def close(self) -> None:
        """End all that runs."""
        for name in tuple(self._stopped):
            self.resume(name)
        await asyncio.to_thread(self.devnet.stop)
        await self._proxy.close()


Pair = tuple[str, str]
"""(who dials, who is reached)"""
