"""Hosts of real replicas with real logs: what they do is written down, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.raft_bench import CHAIN, KeyedHash, framing, message_in

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import RaftMessage, recover
from gridpact.consensus.raft.messages import Append, AppendReply, Entry, VoteReply, VoteRequest
from gridpact.consensus.raft.trace import Origin, Step, read_trace, replica_of
from gridpact.node.raft.host import Host, Standing, Told
from gridpact.node.raft.network import passed_all
from gridpact.node.raft.trace import Recorder
from gridpact.node.raft.wal import WriteAheadLog
from gridpact.node.signing.raft_signer import RaftPosition, passed

NAMES = ("a", "b", "c")
FIRST = configuration_of(0, dict.fromkeys(NAMES, 1))
Call = tuple[str, object]
"""What was done, and with what."""


class Written(WriteAheadLog):
    """A log that says what it does; it can be made to fail."""

    calls: list[Call]
    error: Exception | None = None

    def append(self, records: tuple[bytes, ...]) -> None:
        if self.error is not None:
            raise self.error
        super().append(records)
        self.calls.append(("append", records))


class Station:
    """One host; the test is its peers, or other stations are."""

    def __init__(self, folder: Path, name: str = "a", host_type: type[Host] = Host) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.refused: Exception | None = None
        """What the signer says from now on."""
        self.deliver: Callable[[str, bytes], None] = lambda _peer, _data: None
        self.noted: Callable[[], None] = lambda: None
        """Called when the host has told something."""
        folder.mkdir(exist_ok=True)
        wal, records = Written.open(folder / "raft.wal", CHAIN, name)
        assert isinstance(wal, Written)
        self.wal, wal.calls = wal, self.calls
        self.begun = passed_all(records)
        stored, seed = recover(FIRST, records), ord(name)
        origin = Origin("raft", CHAIN, name, 1, list(NAMES), seed, stored)
        recorder = Recorder(folder, origin, KeyedHash(name), KeyedHash())
        replica = replica_of(origin, recorder, recorder)
        self.host = host_type(replica, wal, self, self, self.begun, self._tell)
        self.host.recorder = self.recorder = recorder

    # What the host uses

    def send(self, peer: str, data: bytes) -> None:
        self.calls.append(("send", (peer, message_in(data))))
        self.deliver(peer, data)

    def advance(self, term: int, voted_for: str, index: int) -> None:
        if self.refused is not None:
            raise self.refused
        self.calls.append(("advance", (term, voted_for, index)))

    def _tell(self, told: Told) -> None:
        self.calls.append(("tell", told))
        self.noted()

    # What the test uses

    def hear(self, peer: str, message: RaftMessage) -> list[Call]:
        """A peer says something; what the host does then."""
        before = len(self.calls)
        self.host.received(peer, framing(peer).seal(message, self.name))
        return self.calls[before:]

    def follow(self, leader: str = "b", entries: int = 0, term: int = 1) -> list[Call]:
        """A leader sends its first entries, all of them decided."""
        sent = [entry(index, term) for index in range(1, entries + 1)]
        return self.hear(leader, Append(term, 0, 0, sent, entries, 0))

    def told(self) -> list[object]:
        return [what for kind, what in self.calls if kind == "tell"]

    def sent(self) -> list[tuple[str, RaftMessage]]:
        return [what for kind, what in self.calls if kind == "send"]  # type: ignore[misc]

    def given(self) -> list[Step]:
        """What is in the trace."""
        _, steps = read_trace(self.recorder.path.read_bytes(), self.name)
        return [step for step in steps if isinstance(step, Step)]

    def close(self) -> None:
        self.host.stop()
        self.recorder.close(self.host.replica)
        self.wal.close()


def standing(term: int, leader: str, *, ready: bool) -> Standing:
    """Who leads, among members that count alike."""
    return Standing(term, leader, ready, tuple((name, 1) for name in NAMES))


def entry(index: int, term: int) -> Entry:
    return Entry(term, configuration=False, payload=b"entry %d" % index)


def hasty_words(begun: RaftPosition, calls: list[Call]) -> list[str]:
    """Promises that were sent before the log and the signer had what they depend on.

    Args:
        begun: what the log promised when the host began.
        calls: everything that it did since.
    """
    written = advanced = begun
    found = []
    for kind, what in calls:
        if kind == "append":
            assert isinstance(what, tuple)
            written = passed(written, what)
        elif kind == "advance":
            if what != (written.term, written.voted_for, written.index):
                found.append(f"the signer heard {what}, the log holds {written}")
            advanced = written
        elif kind == "send":
            assert isinstance(what, tuple)
            if not _is_kept(*what, advanced):
                found.append(f"{what} was sent with {advanced} durable")
    return found


def _is_kept(peer: str, message: RaftMessage, durable: RaftPosition) -> bool:
    match message:
        case VoteReply(term, granted=True, trial=False):
            return (durable.term, durable.voted_for) == (term, peer)
        case AppendReply(term, accepted=True, index=index):
            return durable.term == term and durable.highest >= index
        case VoteRequest(trial=False) | Append():
            return durable.term >= message.term
    return True


class Company:
    """Three stations whose frames reach each other on the event loop."""

    def __init__(self, folder: Path, host_type: type[Host] = Host) -> None:
        self.stations = {name: Station(folder / name, name, host_type) for name in NAMES}
        self._folder, self._type = folder, host_type
        self._told = asyncio.Event()
        for station in self.stations.values():
            self._join(station)

    def __getitem__(self, name: str) -> Station:
        return self.stations[name]

    def _join(self, station: Station) -> None:
        loop = asyncio.get_running_loop()

        def deliver(peer: str, data: bytes) -> None:
            loop.call_soon(self._arrives, station.name, peer, data)

        station.deliver, station.noted = deliver, self._told.set

    def _arrives(self, sender: str, receiver: str, data: bytes) -> None:
        station = self.stations.get(receiver)
        if station is not None:
            station.host.received(sender, data)

    def start(self) -> None:
        for station in self.stations.values():
            station.host.start()

    def remove(self, name: str) -> Station:
        station = self.stations.pop(name)
        station.close()
        return station

    def restart(self, name: str) -> Station:
        self.stations[name] = station = Station(self._folder / name, name, self._type)
        self._join(station)
        station.host.start()
        return station

    def close(self) -> None:
        for name in tuple(self.stations):
            self.remove(name)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the hosts have told makes something hold."""
        async with asyncio.timeout(10):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def leader(self) -> Station:
        """Who leads and can take proposals."""

        def ready() -> list[Station]:
            return [one for one in self.stations.values() if one.host._standing.ready]

        await self.until(lambda: bool(ready()))
        return ready()[0]
