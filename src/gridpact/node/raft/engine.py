"""The engine port on a Raft validator: takes in, offers to the leader, executes, answers.

Runs on the application's event loop. Decisions come from the network thread in order; a receipt is
given when the block is durable in this validator's ledger. What was taken in is offered again, to
whoever leads, until it is in a block or refused: no node answers for another one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

import structlog

from gridpact.codec import CodecError, Wire, decode, encode
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Propose,
    ReadReady,
    Reconfigure,
    Restore,
)
from gridpact.contracts import BlockResult, Candidate
from gridpact.contracts.keys import party_key
from gridpact.errors import InputError, Problem, StoreError, invariant
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node.embedded import wall_time
from gridpact.node.intake import Intake, Outcome, Waiting
from gridpact.node.port import QueryResult
from gridpact.node.raft.blocks import (
    Block,
    Item,
    Offered,
    Point,
    ReadAnswered,
    ReadAsked,
    read_said,
    said_bytes,
)
from gridpact.node.raft.host import Standing, Told
from gridpact.node.raft.pool import Pool
from gridpact.node.raft.reads import AGAIN, SAID, Network, Reads
from gridpact.node.raft.replicated import Replicated

KEPT_BLOCKS = 256
KEPT_BYTES = 16 * 2**20
"""Decided blocks that stay in the log, for followers that lag a little; twice as many before it
is shortened."""
OFFER_BYTES = 256 * 2**10
"""Envelopes and payloads in one message to the leader."""
YIELD_EVERY = 256
"""Transactions that come in without a pause before the others have their turn."""
LOOK_S = 0.5
"""How often what waits without a block is looked at and offered again."""
PATIENT_LOOKS = 10
"""After so many looks, what was there at the last such time is offered again in any case."""
_PARTY = party_key("")

_log = structlog.get_logger(__name__)


Weights = tuple[tuple[str, int], ...]
"""Voting weights by name."""
WeightsAt = Callable[[int], Weights]


class CatchUp(Protocol):
    """Gets what the log does not have any more from another validator."""

    async def to(self, point: Point) -> None:
        """Return when the ledger is at this point or beyond."""

    def heard(self, peer: str, message: Wire) -> None:
        """A message of another validator about blocks."""


class RaftEngine:
    """The engine port over one validator."""

    def __init__(self, name: str, ledger: Replicated, network: Network, weights: WeightsAt) -> None:
        """Begin without a leader.

        Args:
            name: of this validator.
            ledger: what decided blocks are executed on.
            network: the replica and the links.
            weights: the voting weights that a height of the ledger leads to.
        """
        self.name, self.ledger = name, ledger
        self.catch_up: CatchUp | None = None
        self.failed: Callable[[Exception], None] = lambda _error: None
        """Told what made the engine stop."""
        self.standing = Standing(0, "", ready=False)
        self._network, self._weights = network, weights
        self._intake = Intake(lambda: ledger.application, self._stored)
        self._pool = Pool()
        self._todo: deque[Told] = deque()
        self._catching_up: asyncio.Task[None] | None = None
        self._tokens = itertools.count(1)
        self._proposed = 0
        """Token of the block that is being decided; 0 for none."""
        self._asked = False
        """`_propose` is going to run."""
        self._unsent: list[Item] = []
        self._points: deque[tuple[int, Point, int]] = deque()
        """(place in the log, ledger after it, bytes) of the latest blocks."""
        self._kept_bytes = 0
        self._reads = Reads(name, network, self._tokens, lambda: ledger.application.height)
        self._changed = asyncio.Event()
        """Set at each change of leader or height, for those who wait for one."""
        self._highest: dict[str, int] = {}
        """The last nonce of each sender that was taken in here."""
        self._phase = ledger.application.phase
        self._ended = False
        """Something failed, or it was closed."""
        self.transactions: Counter[str] = Counter()
        """In blocks, by verdict."""
        self._seen = -1
        """Height at the last look."""
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Stop taking transactions; what was acknowledged is in the ledger."""
        tasks = [task for task in (self._looking, self._catching_up) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.fail(StoreError(f"{self.ledger.store.folder}: the engine was stopped"))

    def fail(self, error: Exception) -> None:
        """Nothing more is promised, everybody who waits is told; the first reason stays.

        Nothing more is executed either: the state in memory may be ahead of the disk.
        """
        self._ended = True
        self._todo.clear()
        self._intake.fail(error)
        self._reads.ask_again()
        self._changed.set()

    @property
    def waiting(self) -> int:
        """Transactions that were taken in and not answered."""
        return len(self._intake)

    # The port

    @property
    def genesis_hash(self) -> bytes:
        """Name of the chain."""
        return self.ledger.application.genesis_hash

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """See `EnginePort.submit`.

        What is refused has been offered to nobody. A nonce with a gap before it may be one whose
        predecessor another validator has taken in, so this one first asks how far the others are;
        once offered it waits until the gap is filled, or it expires.
        """
        taken = self._intake.admit(envelope, payload, wall_time())
        if isinstance(taken, Verdict):
            return taken
        candidate = self.ledger.checked.candidate(envelope, payload)
        if isinstance(candidate, Candidate):
            verdict = self.ledger.application.check_tx(candidate)
            if verdict == Verdict.NONCE_AHEAD:
                verdict = await self._ahead(candidate)
            if verdict != Verdict.ACCEPTED:
                self.ledger.checked.forget([taken.id])
                self._intake.refuse(taken.id, verdict)
                return verdict
            before = self._highest.get(taken.envelope.sender, 0)
            self._highest[taken.envelope.sender] = max(before, taken.envelope.nonce)
            self._offer(candidate)
        if len(self._intake) % YIELD_EVERY == 0:
            await asyncio.sleep(0)  # who submits without a pause still lets the node work
        return Verdict.ACCEPTED

    async def _ahead(self, candidate: Candidate) -> Verdict:
        """Whether a nonce ahead of the ledger may wait."""
        if self._follows(candidate):
            return Verdict.ACCEPTED
        await self._barrier()
        verdict = self.ledger.application.check_tx(candidate)
        waits = verdict == Verdict.NONCE_AHEAD and self._follows(candidate)
        return Verdict.ACCEPTED if waits else verdict

    def _follows(self, candidate: Candidate) -> bool:
        """Whether what comes before it has been taken in here."""
        envelope = candidate.transaction.envelope
        return self._highest.get(envelope.sender, 0) >= envelope.nonce - 1

    async def receipts(self, ids: Sequence[bytes]) -> list[Outcome]:
        """See `EnginePort.receipts`."""
        return [await self._intake.outcome(transaction_id) for transaction_id in ids]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """See `EnginePort.values`; nothing decided before the call is missing."""
        await self._barrier()
        entries = map(self.ledger.application.state.entries.get, keys)
        return [None if entry is None else entry.value for entry in entries]

    async def query(self, key: str) -> QueryResult:
        """See `EnginePort.query`; InputError before the first block."""
        await self._barrier()
        application = self.ledger.application
        if application.height == 0:
            raise InputError([Problem(key, "nothing can be proved before the first block")])
        entry, proof = application.query(key)
        return QueryResult(self.ledger.store.record(application.height), entry, proof)

    def _stored(self, transaction_id: bytes) -> tuple[int, Receipt] | None:
        return self.ledger.store.find_transaction(transaction_id)

    # What the network says

    def told(self, told: Told) -> None:
        """Take what the replica says, in order; what catches up holds the rest back."""
        if self._ended:
            return
        self._todo.append(told)
        if self._catching_up is None:
            self._go_on()

    def said(self, peer: str, data: bytes) -> None:
        """Take what another validator says beside the protocol."""
        if self._ended:
            return
        try:
            message = read_said(data)
        except CodecError as error:
            _log.warning("message dropped", peer=peer, reason=str(error))
            return
        if isinstance(message, Offered):
            self._on_offered(message.items)
        elif isinstance(message, ReadAsked):
            self._reads.asked(peer, message.token)
        elif isinstance(message, ReadAnswered):
            self._reads.answered(message.token, message.height)
        elif self.catch_up is not None:
            self.catch_up.heard(peer, message)

    def _go_on(self) -> None:
        try:
            while self._todo and self._catching_up is None:
                self._take(self._todo.popleft())
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            self.fail(error)
            self.failed(error)

    def _take(self, told: Told) -> None:
        if isinstance(told, Standing):
            self._on_standing(told)
        elif isinstance(told, Decide):
            self._on_decide(told)
        elif isinstance(told, Restore):
            point = decode(Point, told.data)
            if point.height > self.ledger.application.height and self.catch_up is not None:
                self._catching_up = asyncio.create_task(self._catch_up(self.catch_up, point))
        elif isinstance(told, ReadReady):
            self._reads.ready(told.token)
        elif told.token == self._proposed:
            self._proposed = 0
        else:
            self._reads.refused(told.token)

    async def _catch_up(self, source: CatchUp, point: Point) -> None:
        try:
            await source.to(point)
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            self.fail(error)
            self.failed(error)
            return
        self._catching_up = None
        for waiting in self._intake:
            party = self.ledger.application.party(waiting.sender)
            if party is not None and waiting.transaction.envelope.nonce <= party.nonce:
                self._intake.lose(waiting.transaction.id)  # a snapshot has no receipts
        self._changed.set()  # a snapshot comes without blocks that would do so
        if not self._ended:
            self._go_on()

    # Blocks

    def _on_decide(self, decided: Decide) -> None:
        self._proposed = 0
        result = self.ledger.execute(decode(Block, decided.payload))
        self._points.append((decided.height, self.ledger.point, len(decided.payload)))
        self._kept_bytes += len(decided.payload)
        if len(self._points) > 2 * KEPT_BLOCKS or self._kept_bytes > 2 * KEPT_BYTES:
            self._compact()
        if result is not None:
            self.after_block(result)
        self._propose()

    def _compact(self) -> None:
        """Let the log forget the older half of what it holds."""
        while len(self._points) > KEPT_BLOCKS + 1 or self._kept_bytes > KEPT_BYTES:
            _, _, size = self._points.popleft()
            self._kept_bytes -= size
        height, point, _ = self._points[0]
        self._network.feed(Compact(height, encode(point)))

    def after_block(self, result: BlockResult) -> None:
        """Answer what is in a block, and look again at what is not."""
        for receipt in result.receipts:
            self._pool.drop(receipt.transaction)
            self.transactions[Verdict(receipt.verdict).name] += 1
        self._pool.after_block()
        self._intake.settle_all(result.receipts)
        application = self.ledger.application
        if application.phase != self._phase:
            self._phase = application.phase
            self._recheck(lambda _sender: True)
        else:
            self._recheck(self._senders_of(result).__contains__)
        self._changed.set()

    def _senders_of(self, result: BlockResult) -> set[str]:
        """Parties whose entry a block has changed."""
        return {key.removeprefix(_PARTY) for key in result.changes if key.startswith(_PARTY)}

    def _recheck(self, of_interest: Callable[[str], bool]) -> None:
        """Refuse what no block will take any more: its nonce is used, its time over, its key gone.

        Args:
            of_interest: whose transactions to look at.
        """
        check = self.ledger.application.check_tx
        for waiting in self._intake:
            if not of_interest(waiting.sender):
                continue
            verdict = check(self._candidate(waiting))
            if verdict not in (Verdict.ACCEPTED, Verdict.NONCE_AHEAD):
                self._pool.drop(waiting.transaction.id)
                self.ledger.checked.forget([waiting.transaction.id])
                self._intake.refuse(waiting.transaction.id, verdict)

    def _candidate(self, waiting: Waiting) -> Candidate:
        found = self.ledger.checked.candidate(waiting.transaction.raw, waiting.payload)
        invariant(isinstance(found, Candidate), "what was taken in was readable")
        return cast(Candidate, found)

    # Leading

    def _on_standing(self, standing: Standing) -> None:
        before, self.standing = self.standing, standing
        if standing.ready and (not before.ready or standing.weights != before.weights):
            self._proposed = 0  # whatever was to be decided is
        if (standing.term, standing.leader) != (before.term, before.leader):
            self._proposed = 0
            self._pool.clear()
            self._reads.ask_again()
            self._offer_all()
        self._changed.set()
        self._propose()

    @property
    def _leads(self) -> bool:
        return self.standing.leader == self.name

    def _offer(self, candidate: Candidate) -> None:
        """Into the pool of whoever leads, soon."""
        if self._leads:
            self._pool.add(candidate)
        else:
            self._unsent.append((candidate.transaction.raw, candidate.sealed))
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._soon)

    def _offer_all(self) -> None:
        self._unsent.clear()
        for waiting in self._intake:
            self._offer(self._candidate(waiting))

    def _soon(self) -> None:
        """Whatever came in together goes on together."""
        self._asked = False
        unsent, self._unsent = self._unsent, []
        if not self._leads and self.standing.leader:
            for items in _in_parts(unsent):
                self._network.send(self.standing.leader, SAID, said_bytes(Offered(items)))
        self._propose()

    def _on_offered(self, items: Sequence[Item]) -> None:
        if not self._leads:
            return  # who offered it will hear who leads
        for raw, sealed in items:
            candidate = self.ledger.checked.candidate(raw, sealed)
            if isinstance(candidate, Candidate) and not self._pool.add(candidate):
                break
        self._propose()

    def _propose(self) -> None:
        """Let the next block be decided, if this validator may and there is anything for one."""
        waits = self._ended or bool(self._todo) or self._catching_up is not None
        if not self.standing.ready or self._proposed or waits:
            return
        wanted = self._weights(self.ledger.application.height)
        if wanted != self.standing.weights:
            self._proposed = next(self._tokens)
            self._network.feed(Reconfigure(self._proposed, wanted))
            return
        block = self._pool.next_block(self.ledger.application, wall_time())
        if block is None:
            return  # it is looked at again soon
        self._proposed = next(self._tokens)
        self._network.feed(Propose(self._proposed, encode(block)))

    async def _look(self) -> None:
        """From time to time: whatever has waited without a block is offered again.

        Where blocks go on, only what has waited for long: it may be lost, or there is much.
        """
        before: set[bytes] = set()
        for look in itertools.count(1):
            await asyncio.sleep(LOOK_S)
            height = self.ledger.application.height
            if len(self._intake) and height == self._seen:
                self._recheck(lambda _sender: True)
                self._offer_all()
            elif look % PATIENT_LOOKS == 0:
                waiting = tuple(self._intake)
                for one in waiting:
                    if one.transaction.id in before:
                        self._offer(self._candidate(one))
                before = {one.transaction.id for one in waiting}
            self._seen = height
            self._pool.after_block()
            self._propose()

    # Reading

    async def _barrier(self) -> None:
        """Wait until this ledger has everything that was decided when the call began."""
        height = AGAIN
        while height == AGAIN:
            self._intake.check()
            if self.standing.leader:
                height = await self._reads.ask(self.standing.leader)
            else:
                await self._change()
        while self.ledger.application.height < height:
            self._intake.check()
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _in_parts(items: list[Item]) -> Iterator[list[Item]]:
    """Items in messages of a size that links take."""
    part: list[Item] = []
    size = 0
    for item in items:
        size += len(item[0]) + len(item[1])
        if part and size > OFFER_BYTES:
            yield part
            part, size = [], len(item[0]) + len(item[1])
        part.append(item)
    if part:
        yield part
