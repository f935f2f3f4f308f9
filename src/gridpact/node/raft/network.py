"""What runs in a validator's network thread: signer, log, replica, host and links, put together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from random import Random, SystemRandom

import structlog

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import recover
from gridpact.consensus.raft.records import Stored, Vote, record_bytes
from gridpact.consensus.raft.trace import Origin, replica_of
from gridpact.contracts.genesis import Genesis, genesis_hash
from gridpact.node.links import Mesh
from gridpact.node.raft.homes import LINK_KEY, SIGNER, WAL, RaftSettings
from gridpact.node.raft.host import Host
from gridpact.node.raft.thread import Made, NetworkThread
from gridpact.node.raft.trace import Recorder
from gridpact.node.raft.wal import WriteAheadLog
from gridpact.node.signing import (
    Ed25519Verifier,
    SignerClient,
    SignerProcess,
    SignerRefusedError,
    is_withheld,
)
from gridpact.node.signing.raft_signer import Begun, RaftPosition, Status, passed

LINK_VERSION = 1
REPLICA = 1
"""Channel of the protocol's own messages; all others are the application's."""

_log = structlog.get_logger(__name__)


async def make_network(
    home: Path, settings: RaftSettings, genesis: Genesis, thread: NetworkThread
) -> Made:
    """Open the log, start the signer, listen, and start the replica.

    Raises:
        InputError: the folder is incomplete.
        StoreError: log or signer refuse; the log lies behind what was signed.
        OSError: somebody else listens on the address.
    """
    async with AsyncExitStack() as stack:
        chain = genesis_hash(genesis)
        first = configuration_of(0, {v.party: v.weight for v in genesis.validators})
        wal, records = WriteAheadLog.open(home / WAL, chain, settings.name)
        stack.callback(wal.close)
        stack.callback(SignerProcess(home / SIGNER).stop)
        signer = SignerClient(home / SIGNER, chain, settings.name)
        stack.callback(signer.close)
        stored, position = recover(first, records), passed_all(records)
        begun = signer.begin(stored.term, stored.voted_for, last_index(stored), position.index)
        position = _adopt(begun, stored, position, wal, home)
        link = _Link(catching_up=begun.status is Status.CATCHING_UP)
        origin = _origin(settings, stored, chain)
        verifier = Ed25519Verifier(
            {member.name: bytes.fromhex(member.public_key) for member in settings.members}
        )
        recorder = Recorder(home, origin, signer, verifier) if settings.trace else None
        replica = replica_of(origin, recorder or signer, recorder or verifier)
        if recorder is not None:
            stack.callback(recorder.close, replica)
        host = Host(replica, wal, link, signer, position, thread.tell)
        host.recorder = recorder

        def received(peer: str, channel: int, data: bytes) -> None:
            if channel == REPLICA:
                host.received(peer, data)
            else:
                thread.received(peer, channel, data)

        mesh = Mesh(
            settings.own,
            home / LINK_KEY,
            settings.others,
            chain=chain,
            version=LINK_VERSION,
            received=received,
            chance=Random(SystemRandom().getrandbits(64)),
        )
        link.mesh, thread.links = mesh, mesh.counts
        stack.push_async_callback(mesh.close)
        await mesh.start()
        host.start()
        return host, mesh.send, stack.pop_all().aclose
    raise AssertionError  # an exit stack swallows nothing


class _Link:
    """Frames of the replica on their channel."""

    def __init__(self, *, catching_up: bool) -> None:
        self.mesh: Mesh | None = None
        self._catching_up = catching_up

    def send(self, peer: str, data: bytes) -> None:
        """See `Link.send`. What the signer withheld stays here."""
        if self.mesh is not None and not (self._catching_up and is_withheld(data)):
            self.mesh.send(peer, REPLICA, data)


def passed_all(records: list[bytes]) -> RaftPosition:
    """What a whole log promises."""
    return passed(RaftPosition(), records)


def last_index(stored: Stored) -> int:
    """Of a log's last entry."""
    return stored.snapshot.index + len(stored.entries)


def _adopt(
    begun: Begun, stored: Stored, position: RaftPosition, wal: WriteAheadLog, home: Path
) -> RaftPosition:
    """Begin with the term and vote that were signed for, where the log has forgotten them.

    Returns:
        What the log promises then.
    """
    if begun.status is Status.BEHIND:
        raise SignerRefusedError(
            f"{home}: was restored from an older copy: its log ends at {last_index(stored)} in "
            f"term {stored.term}, but this validator has signed up to {begun.reach} in term "
            f"{begun.term}; it stays silent until `gridpact signer allow {home}`"
        )
    if (begun.term, begun.voted_for) == (stored.term, stored.voted_for):
        return position
    stored.term, stored.voted_for = begun.term, begun.voted_for
    adopted = (record_bytes(Vote(begun.term, begun.voted_for)),)
    wal.append(adopted)
    return passed(position, adopted)


def _origin(settings: RaftSettings, stored: Stored, chain: bytes) -> Origin:
    """What the replica begins with; `stored` may change no more."""
    return Origin(
        kind=settings.engine,
        chain=chain,
        name=settings.name,
        one_way_ms=settings.one_way_ms,
        contacts=[member.name for member in settings.members],
        seed=SystemRandom().getrandbits(64),
        stored=stored,
    )
