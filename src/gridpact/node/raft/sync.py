"""Getting from other validators what the log does not hold any more: blocks, or a snapshot.

Blocks are executed again here, each on the record that it names. A ledger that lacks very many, or
blocks whose payloads others have removed, begins anew with a snapshot. Peers are believed as far as
the protocol believes them: they may be away, slow or cut off, but do not lie. Where the log says
which record a height has, another record stops the validator.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence

import structlog

from gridpact.codec import Wire
from gridpact.contracts import BlockResult
from gridpact.errors import StoreError
from gridpact.node.raft.blocks import (
    BlocksAsked,
    BlocksSent,
    PartAsked,
    Point,
    SnapshotSent,
)
from gridpact.node.raft.replicated import Replicated
from gridpact.node.snapshot import restore_ledger, snapshot_ledger

BLOCKS_MOST = 64
BLOCKS_BYTES = 512 * 2**10
"""Blocks in one message."""
GAP_MAX = 2_000
"""Who lacks more blocks than this begins with a snapshot."""
PART_BYTES = 512 * 2**10
PARTS_MAX = 8_192
ANSWER_WAITS_S = 3.0
"""How long a peer may take to answer before the next one is asked."""
SNAPSHOT_WAITS_S = 30.0
"""The same once all have been asked: one of them may have to take a snapshot first."""
RETRY_S = 0.1
"""Wait before all are asked again, when nobody had anything."""

_log = structlog.get_logger(__name__)


class LedgerSync:
    """Asks for what is missing, and gives what others miss."""

    def __init__(
        self,
        ledger: Replicated,
        peers: Sequence[str],
        send: Callable[[str, Wire], None],
        executed: Callable[[BlockResult], None],
    ) -> None:
        """Begin.

        Args:
            ledger: of this validator.
            peers: the others.
            send: hands a message to one of them, or loses it.
            executed: told of every block.
        """
        self._ledger, self._peers = ledger, list(peers)
        self._send, self._executed = send, executed
        self._asked = ""
        """Whose answer is waited for."""
        self._answer: asyncio.Future[BlocksSent | SnapshotSent] | None = None
        self._snapshot: tuple[int, bytes] | None = None
        """(height, file) of the snapshot that is being given."""
        self._taking: asyncio.Task[None] | None = None

    async def to(self, point: Point) -> None:
        """Return when the ledger is at this point or beyond.

        Raises:
            StoreError: the ledger has another record at this height, there is nobody to ask, or
                the disk refused.
        """
        _log.info("catching up", here=self._ledger.application.height, to=point.height)
        turn = 0
        while self._ledger.application.height < point.height:
            if not self._peers:
                raise StoreError(
                    f"{self._ledger.store.folder}: ends before block {point.height}, and there is "
                    "nobody else to get it from; restore a copy"
                )
            peer = self._peers[turn % len(self._peers)]
            wait_s = ANSWER_WAITS_S if turn < len(self._peers) else SNAPSHOT_WAITS_S
            if not await self._from(peer, wait_s):
                turn += 1
                if turn % len(self._peers) == 0:
                    await asyncio.sleep(RETRY_S)
        here = self._ledger.point
        if here.height == point.height and here.record != point.record:
            raise StoreError(
                f"{self._ledger.store.folder}: block {point.height} is {here.record.hex()}, the "
                f"others have {point.record.hex()}; move the ledger away and begin from the others"
            )
        _log.info("caught up", here=here.height)

    async def _from(self, peer: str, wait_s: float) -> bool:
        """Take what a peer gives; whether the ledger got further by it."""
        before = self._ledger.application.height
        answer = await self._ask(peer, BlocksAsked(before + 1), wait_s)
        if isinstance(answer, BlocksSent):
            for block in answer.blocks:
                result = self._ledger.execute(block)
                if result is None:
                    break
                self._executed(result)
                await asyncio.sleep(0)
        elif answer is not None:
            await self._begin_with(peer, answer)
        return self._ledger.application.height > before

    async def _begin_with(self, peer: str, first: SnapshotSent) -> None:
        parts = [first.data]
        while len(parts) < min(first.parts, PARTS_MAX):
            wanted = PartAsked(first.height, len(parts))
            answer = await self._ask(peer, wanted, ANSWER_WAITS_S)
            if not isinstance(answer, SnapshotSent):
                return
            if (answer.height, answer.part) != (first.height, len(parts)):
                return
            parts.append(answer.data)
        if first.height <= self._ledger.application.height:
            return
        store = self._ledger.store
        folder = store.folder.with_name(f"{store.folder.name}.restored")
        shutil.rmtree(folder, ignore_errors=True)
        where = f"snapshot {first.height} of {peer}"
        restore_ledger(b"".join(parts), folder, where=where, genesis=store.genesis)
        self._ledger.begin_with(folder)
        _log.info("restored from a snapshot", height=first.height, peer=peer)

    async def _ask(
        self, peer: str, message: Wire, wait_s: float
    ) -> BlocksSent | SnapshotSent | None:
        self._asked = peer
        self._answer = asyncio.get_running_loop().create_future()
        self._send(peer, message)
        try:
            return await asyncio.wait_for(self._answer, wait_s)
        except TimeoutError:
            return None
        finally:
            self._asked, self._answer = "", None

    def heard(self, peer: str, message: Wire) -> None:
        """A message of another validator about blocks."""
        if isinstance(message, BlocksAsked):
            self._give(peer, message.first)
        elif isinstance(message, PartAsked):
            self._give_part(peer, message.height, message.part)
        elif isinstance(message, BlocksSent | SnapshotSent):
            waits = self._answer is not None and not self._answer.done()
            if self._answer is not None and waits and peer == self._asked:
                self._answer.set_result(message)

    def _give(self, peer: str, first: int) -> None:
        height = self._ledger.application.height
        lacking = height - first + 1
        blocks = self._ledger.blocks(first, BLOCKS_MOST, BLOCKS_BYTES) if lacking <= GAP_MAX else []
        if blocks or lacking <= 0:
            self._send(peer, BlocksSent(blocks))
        elif self._taking is None:
            self._taking = asyncio.create_task(self._take_and_give(peer))

    async def _take_and_give(self, peer: str) -> None:
        try:
            data, record = await asyncio.to_thread(snapshot_ledger, self._ledger.store.folder)
            self._snapshot = (record.height, data)
            self._give_part(peer, record.height, 0)
        except StoreError as error:
            _log.warning("no snapshot", reason=str(error))
        finally:
            self._taking = None

    def _give_part(self, peer: str, height: int, part: int) -> None:
        held, data = self._snapshot or (-1, b"")
        parts = -(-len(data) // PART_BYTES)
        if held != height or part >= parts:
            self._send(peer, BlocksSent([]))
            return
        at = part * PART_BYTES
        self._send(peer, SnapshotSent(height, part, parts, data[at : at + PART_BYTES]))
        if part + 1 == parts:
            self._snapshot = None
