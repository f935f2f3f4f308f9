"""The engine port on a Raft validator; the network is the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger_bench import SLOT, Bench, Signed
from tests.unit.node.raft.ledgers import block_of, executed, new_ledger

from gridpact.codec import Wire, decode, encode, sha256
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Event,
    Finality,
    Propose,
    ReadReady,
    ReadRequest,
    Reconfigure,
    Refused,
    Restore,
)
from gridpact.contracts.bodies import Kind
from gridpact.contracts.keys import CLOCK, party_key
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Clock, Party, Phase, Verdict
from gridpact.node import Refusal
from gridpact.node.raft import engine as engine_module
from gridpact.node.raft.blocks import (
    Block,
    BlocksAsked,
    BlocksSent,
    Offered,
    Point,
    ReadAnswered,
    ReadAsked,
    read_said,
    said_bytes,
)
from gridpact.node.raft.engine import KEPT_BLOCKS, SAID, RaftEngine, Weights
from gridpact.node.raft.host import Standing
from gridpact.node.raft.replicated import Replicated

ME, OTHER, THIRD = "val-1", "val-2", "val-3"
WAITS_S = 5.0


class Rig:
    """An engine, what it asks of the replica and says to others, and a catch-up in our hands."""

    def __init__(self, ledger: Replicated, bench: Bench) -> None:
        self.ledger, self.bench = ledger, bench
        self.fed: list[Event] = []
        self.sent: list[tuple[str, Wire]] = []
        self.failures: list[Exception] = []
        self.words: list[tuple[str, Wire]] = []
        """About blocks."""
        self.wanted: list[Point] = []
        """What was to be caught up with."""
        self.caught_up = asyncio.Event()
        self.there: Exception | None = None
        """What becomes of catching up."""
        self._noted = asyncio.Event()
        self._index = 0
        self.weights: dict[int, Weights] = {}
        """By height; none are wanted, and none are told, where a test says nothing."""
        self.engine = RaftEngine(ME, ledger, self, lambda height: self.weights.get(height, ()))
        self.engine.failed = self.failures.append
        self.engine.catch_up = self

    # The network and the catch-up, as the engine sees them

    def feed(self, event: Event) -> None:
        self.fed.append(event)
        self._noted.set()

    def send(self, peer: str, channel: int, data: bytes) -> None:
        assert channel == SAID
        self.sent.append((peer, read_said(data)))
        self._noted.set()

    async def to(self, point: Point) -> None:
        self.wanted.append(point)
        await self.caught_up.wait()
        if self.there is not None:
            raise self.there

    def heard(self, peer: str, message: Wire) -> None:
        self.words.append((peer, message))

    # What the test does

    def lead(self, term: int = 1, *, ready: bool = True) -> None:
        self.engine.told(Standing(term, ME, ready))

    def follow(self, leader: str = OTHER, term: int = 1) -> None:
        self.engine.told(Standing(term, leader, ready=False))

    def decide(self, block: Block) -> None:
        self._index += 1
        self.engine.told(Decide(self._index, encode(block), Finality.CRASH))

    def say(self, peer: str, message: Wire) -> None:
        self.engine.said(peer, said_bytes(message))

    def proposals(self) -> list[tuple[int, Block]]:
        return [
            (event.token, decode(Block, event.payload))
            for event in self.fed
            if isinstance(event, Propose)
        ]

    def proposed(self) -> list[list[Signed]]:
        return [block.items for _, block in self.proposals()]

    def offers(self) -> list[tuple[str, list[Signed]]]:
        return [(peer, said.items) for peer, said in self.sent if isinstance(said, Offered)]

    async def submit(self, *transactions: Signed) -> None:
        """All of them are taken in, and whatever follows at once has happened."""
        for signed in transactions:
            assert await self.engine.submit(*signed) == Verdict.ACCEPTED
        await turn()

    def waits(self, *transactions: Signed) -> list[asyncio.Task[Receipt | Refusal]]:
        async def one(signed: Signed) -> Receipt | Refusal:
            return (await self.engine.receipts([sha256(signed[0])]))[0]

        return [asyncio.create_task(one(signed)) for signed in transactions]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._noted.clear()
            await self._noted.wait()


async def turn() -> None:
    """Everything that is to happen soon has happened."""
    for _ in range(3):
        await asyncio.sleep(0)


Run = Callable[[Callable[[Rig], Awaitable[None]]], None]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def run(tmp_path: Path, bench: Bench) -> Run:
    def started(work: Callable[[Rig], Awaitable[None]]) -> None:
        async def whole() -> None:
            rig = Rig(new_ledger(tmp_path / "ledger", bench), bench)
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(rig)
            finally:
                await rig.engine.close()
                rig.ledger.close()

        asyncio.run(whole())

    return started


# Taking in, and getting it decided


def test_a_leader_proposes_what_it_takes_in_and_gives_receipts(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        await rig.submit(ann)
        assert rig.proposed() == [[ann]]
        await rig.submit(bob)
        assert rig.proposed() == [[ann]], "one block at a time"
        waiting = rig.waits(ann, bob)
        rig.decide(rig.proposals()[0][1])
        assert rig.proposed() == [[ann], [bob]]
        rig.decide(rig.proposals()[1][1])
        told = await asyncio.gather(*waiting)
        assert [one.verdict for one in told] == [Verdict.ACCEPTED] * 2
        assert all(isinstance(one, Receipt) for one in told)
        assert rig.ledger.point.height == 2
        assert rig.sent == []
        assert rig.engine.waiting == 0

    run(work)


def test_a_receipt_waits_until_the_block_is_decided(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        await turn()
        assert not waiting.done()
        assert rig.ledger.store.find_transaction(sha256(ann[0])) is None
        rig.decide(rig.proposals()[0][1])
        assert isinstance(await waiting, Receipt)
        assert rig.ledger.store.find_transaction(sha256(ann[0])) is not None

    run(work)


def test_a_follower_offers_to_the_leader_once(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        await rig.submit(ann, bob)
        assert rig.offers() == [(OTHER, [ann, bob])]
        rig.follow()
        await turn()
        assert len(rig.sent) == 1
        assert rig.fed == []

    run(work)


def test_offers_are_made_again_to_whoever_leads_next(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        await rig.submit(ann, bob)
        rig.follow(THIRD, term=2)
        await turn()
        assert rig.offers()[1:] == [(THIRD, [ann, bob])]
        rig.follow(THIRD, term=3)
        await turn()
        assert rig.offers()[2:] == [(THIRD, [ann, bob])], "its pool is empty in a new term"
        rig.lead(term=4)
        await turn()
        assert rig.proposed() == [[ann, bob]]
        assert len(rig.offers()) == 3

    run(work)


def test_what_comes_in_without_a_leader_waits_for_one(run: Run) -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        assert (rig.fed, rig.sent) == ([], [])
        rig.follow()
        await turn()
        assert rig.offers() == [(OTHER, [ann])]

    run(work)


def test_many_are_offered_in_messages_that_links_take(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        signed = [rig.bench.register(f"p{number}") for number in range(7)]
        size = sum(len(raw) + len(sealed) for raw, sealed in signed[:3])
        monkeypatch.setattr(engine_module, "OFFER_BYTES", size)
        await rig.submit(*signed)
        assert rig.offers() == [(OTHER, signed[:3]), (OTHER, signed[3:6]), (OTHER, signed[6:])]

    run(work)


def test_a_leader_takes_offers_and_keeps_no_place_for_their_answers(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann, tariff = rig.bench.register("ann"), rig.bench.tariff()
        rig.say(OTHER, Offered([(b"no envelope", b""), ann, tariff]))
        assert rig.proposed() == [[ann, tariff]]
        assert rig.engine.waiting == 0
        rig.decide(rig.proposals()[0][1])
        assert rig.ledger.point.height == 1

    run(work)


def test_who_does_not_lead_takes_no_offers(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        rig.say(OTHER, Offered([rig.bench.register("ann")]))
        rig.lead(term=2)
        await turn()
        assert rig.fed == []

    run(work)


def test_a_leader_that_is_not_ready_proposes_nothing(run: Run) -> None:
    """What earlier leaders have left in the log comes first: it decides which record is the tip."""

    async def work(rig: Rig) -> None:
        rig.lead(ready=False)
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        assert rig.fed == []
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        rig.lead()
        (found,) = rig.proposals()
        assert found[1].parent == rig.ledger.point.record
        assert found[1].items == [ann]

    run(work)


def test_a_proposal_that_the_replica_refuses_is_made_again(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        token, block = rig.proposals()[0]
        rig.engine.told(Refused(token, ""))
        rig.lead(term=2)
        await turn()
        assert [again for _, again in rig.proposals()[1:]] == [block]
        rig.engine.told(Refused(token, ""))  # an old word
        rig.lead(term=2)
        assert len(rig.proposals()) == 2

    run(work)


def test_the_block_of_another_leader_settles_ours(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        rig.decide(block_of(rig.ledger, rig.bench.tariff(), ann))
        assert isinstance(await waiting, Receipt)
        rig.lead(term=2)
        await turn()
        assert rig.fed == []

    run(work)


def test_a_stale_block_leaves_ours_waiting(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann, tariff = rig.bench.register("ann"), rig.bench.tariff()
        await rig.submit(ann)
        ours = rig.proposals()[0][1]
        (waiting,) = rig.waits(ann)
        rig.decide(block_of(rig.ledger, tariff))  # of the leader before, decided first
        rig.decide(ours)
        await turn()
        assert rig.ledger.passed_over == 1
        assert not waiting.done()
        again = rig.proposals()[-1][1]
        assert (again.height, again.parent) == (2, rig.ledger.point.record)
        assert again.items == [ann]
        rig.decide(again)
        assert isinstance(await waiting, Receipt)

    run(work)


def test_other_weights_are_decided_before_the_next_block(run: Run) -> None:
    async def work(rig: Rig) -> None:
        wanted = ((ME, 2), (OTHER, 1))
        rig.weights[1] = wanted
        rig.lead()
        ann, tariff = rig.bench.register("ann"), rig.bench.tariff()
        await rig.submit(ann, tariff)
        rig.fed.clear()
        rig.decide(block_of(rig.ledger, ann))
        (asked,) = rig.fed
        assert isinstance(asked, Reconfigure)
        assert asked.weights == wanted
        await turn()
        assert rig.proposals() == [], "one thing at a time"
        rig.engine.told(Standing(1, ME, ready=False, weights=wanted))
        assert rig.proposals() == []
        rig.engine.told(Standing(1, ME, ready=True, weights=wanted))
        assert rig.proposed() == [[tariff]]

    run(work)


def test_what_was_offered_and_lost_is_offered_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.follow()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        await rig.until(lambda: len(rig.offers()) > 2)
        assert all(offer == (OTHER, [ann]) for offer in rig.offers())

    run(work)


def test_what_was_lost_is_offered_again_while_others_are_decided(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain that is never quiet must not forget anybody."""
    monkeypatch.setattr(engine_module, "LOOK_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.follow()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        while len(rig.offers()) < 2:
            rig.decide(block_of(rig.ledger))
            await turn()
        assert rig.offers()[1] == (OTHER, [ann])

    run(work)


def test_a_chain_that_goes_on_is_not_flooded_with_what_waits(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        await rig.submit(rig.bench.register("ann"))
        for _ in range(20):
            rig.decide(block_of(rig.ledger))
            await turn()
        assert len(rig.offers()) == 1

    run(work)


# Refusals


def refusal(signed: Signed, verdict: Verdict) -> Refusal:
    return Refusal(sha256(signed[0]), verdict)


def test_what_is_wrong_is_refused_at_once(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        bench, engine = rig.bench, rig.engine
        envelope, payload = bench.register("ann")
        forged = bench.sign("prices", Kind.TARIFF, bench_body(bench), nonce=1, key_of="ann")
        assert await engine.submit(envelope[:-1], payload) == Verdict.MALFORMED_ENVELOPE
        assert await engine.submit(envelope, payload + b"x") == Verdict.PAYLOAD_MISMATCH
        assert await engine.submit(*bench.bid("ann", 200_000, 10)) == Verdict.UNKNOWN_SENDER
        assert await engine.submit(*forged) == Verdict.BAD_SIGNATURE
        await turn()
        assert (rig.fed, rig.sent, engine.waiting) == ([], [], 0)
        assert rig.ledger.checked._known == {}
        assert await engine.receipts([sha256(forged[0])]) == [
            refusal(forged, Verdict.BAD_SIGNATURE)
        ]
        with pytest.raises(InputError, match="no such transaction"):
            await engine.receipts([bytes(32)])

    run(work)


def bench_body(bench: Bench) -> Wire:
    tariff = bench.application.readable(bench.tariff()[0])
    assert not isinstance(tariff, Verdict)
    return tariff.body


def test_what_is_handed_in_twice_is_told_so(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        assert await rig.engine.submit(*ann) == Verdict.NONCE_USED
        rig.decide(rig.proposals()[0][1])
        assert await rig.engine.submit(*ann) == Verdict.NONCE_USED
        assert isinstance((await rig.engine.receipts([sha256(ann[0])]))[0], Receipt)

    run(work)


def test_of_two_with_one_nonce_the_second_is_refused(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        body = bench_body(rig.bench)
        one, other = (
            rig.bench.sign("prices", Kind.TARIFF, body, nonce=1, expiry_s=SLOT + late)
            for late in (0, 900)
        )
        await rig.submit(one)
        await rig.submit(other)
        waiting = rig.waits(one, other)
        rig.decide(rig.proposals()[0][1])
        first, second = await asyncio.gather(*waiting)
        assert isinstance(first, Receipt)
        assert second == refusal(other, Verdict.NONCE_USED)
        assert (rig.engine.waiting, len(rig.engine._pool)) == (0, 0)
        assert rig.ledger.checked._known == {}

    run(work)


def test_what_waits_for_a_nonce_that_never_comes_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.lead()
        _, second, third = (rig.bench.register(name) for name in ("lost", "ann", "bob"))
        await rig.submit(second, third)
        assert await asyncio.gather(*rig.waits(second, third)) == [
            refusal(second, Verdict.NONCE_AHEAD),
            refusal(third, Verdict.NONCE_AHEAD),
        ]
        assert rig.fed == []

    run(work)


def test_what_follows_one_that_waits_is_not_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.follow()
        signed = [rig.bench.register(name) for name in ("ann", "bob", "cyd")]
        await rig.submit(*signed)
        await rig.until(lambda: len(rig.offers()) > 3)
        assert rig.engine.waiting == 3

    run(work)


def test_what_a_phase_has_made_late_is_refused(run: Run) -> None:
    async def work(rig: Rig) -> None:
        bench = rig.bench
        rig.follow()
        opening = [bench.tariff(slots=2), bench.register("ann"), bench.meter("ann")]
        rig.decide(block_of(rig.ledger, *opening))
        rig.decide(block_of(rig.ledger, bench.phase(Phase.OPEN, slots=2, number=1)))
        bid = bench.bid("ann", 200_000, 10, expiry_s=SLOT)
        await rig.submit(bid)
        (waiting,) = rig.waits(bid)
        number = 2
        for phase in (Phase.CLOSED,):
            signed = bench.phase(phase, slots=2, number=number)
            rig.decide(block_of(rig.ledger, signed))
        assert await waiting == refusal(bid, Verdict.EXPIRED)
        assert rig.engine.waiting == 0

    run(work)


# Reading


def test_a_leader_reads_when_it_knows_that_it_still_leads(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK, "party/nobody"]))
        await turn()
        (asked,) = rig.fed
        assert isinstance(asked, ReadRequest)
        assert not reading.done()
        rig.engine.told(ReadReady(asked.token, 0))
        clock, nobody = await reading
        assert isinstance(clock, Clock)
        assert nobody is None

    run(work)


def test_what_was_decided_before_a_read_is_seen_by_it(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        proving = asyncio.create_task(rig.engine.query(party_key("prices")))
        await turn()
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        for asked in tuple(rig.fed):
            assert isinstance(asked, ReadRequest)
            rig.engine.told(ReadReady(asked.token, 1))
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1
        found = await proving
        assert found.entry is not None
        assert (found.record.height, found.entry.value) == (1, party)

    run(work)


def test_nothing_is_proved_before_the_first_block(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        proving = asyncio.create_task(rig.engine.query(CLOCK))
        await turn()
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        with pytest.raises(InputError, match="before the first block"):
            await proving

    run(work)


def test_a_follower_reads_once_it_has_what_the_leader_had(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        await turn()
        ((peer, asked),) = rig.sent
        assert isinstance(asked, ReadAsked)
        assert peer == OTHER
        rig.say(OTHER, ReadAnswered(asked.token, 1))
        await turn()
        assert not reading.done(), "its ledger is at 0"
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1

    run(work)


def test_a_leader_answers_the_reads_of_others(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        rig.decide(block_of(rig.ledger))
        rig.say(OTHER, ReadAsked(41))
        rig.say(THIRD, ReadAsked(41))
        first, second = rig.fed
        assert isinstance(first, ReadRequest)
        assert isinstance(second, ReadRequest)
        rig.engine.told(ReadReady(second.token, 1))
        rig.engine.told(Refused(first.token, ""))
        rig.engine.told(ReadReady(first.token, 1))
        assert rig.sent == [(THIRD, ReadAnswered(41, 1))]

    run(work)


def test_only_so_many_reads_of_others_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "READS_MAX", 2)

    async def work(rig: Rig) -> None:
        rig.lead()
        for token in range(4):
            rig.say(OTHER, ReadAsked(token))
        assert len(rig.fed) == 2

    run(work)


def test_a_read_asks_again_when_another_leads(run: Run) -> None:
    async def work(rig: Rig) -> None:
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        assert (rig.fed, rig.sent) == ([], [])
        rig.follow()
        await rig.until(lambda: len(rig.sent) == 1)
        rig.follow(THIRD, term=2)
        await rig.until(lambda: len(rig.sent) == 2)
        rig.lead(term=3)
        await rig.until(lambda: bool(rig.fed))
        (first, one), (second, other) = rig.sent
        assert (first, second) == (OTHER, THIRD)
        assert isinstance(one, ReadAsked)
        assert isinstance(other, ReadAsked)
        rig.say(OTHER, ReadAnswered(one.token, 99))  # late: nobody waits for it
        await turn()
        assert not reading.done()
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        assert isinstance((await reading)[0], Clock)
        assert rig.engine._reads == {}

    run(work)


def test_a_read_that_is_refused_or_not_answered_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RETRY_S", 0.001)
    monkeypatch.setattr(engine_module, "READ_WAITS_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await rig.until(lambda: len(rig.fed) == 1)
        rig.engine.told(Refused(rig.fed[0].token, ""))  # type: ignore[union-attr]
        await rig.until(lambda: len(rig.fed) == 2)
        await rig.until(lambda: len(rig.fed) == 3)
        monkeypatch.setattr(engine_module, "READ_WAITS_S", WAITS_S)
        await rig.until(lambda: len(rig.fed) == 4)
        rig.engine.told(ReadReady(rig.fed[-1].token, 0))  # type: ignore[union-attr]
        assert isinstance((await reading)[0], Clock)

    run(work)


def test_a_read_that_nobody_waits_for_any_more_is_forgotten(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert rig.engine._reads == {}
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        assert rig.failures == []

    run(work)


# Catching up


def test_what_the_log_forgot_holds_back_what_follows(
    run: Run, tmp_path: Path, bench: Bench
) -> None:
    ahead = new_ledger(tmp_path / "ahead", bench)
    ann, tariff = bench.register("ann"), bench.tariff()
    first = executed(ahead, [ann])
    point = ahead.point
    second = executed(ahead, [tariff])
    ahead.close()

    async def work(rig: Rig) -> None:
        rig.follow()
        await rig.submit(ann, tariff)
        waiting = rig.waits(ann, tariff)
        rig.engine.told(Restore(7, encode(point)))
        rig.decide(second)
        rig.lead(term=2)
        await turn()
        assert rig.wanted == [point]
        assert rig.ledger.point.height == 0
        assert rig.engine.standing.leader == OTHER, "in order: it does not lead before it is there"
        result = rig.ledger.execute(first)
        assert result is not None
        rig.engine.after_block(result)
        rig.caught_up.set()
        told = await asyncio.gather(*waiting)
        assert all(isinstance(one, Receipt) for one in told)
        assert rig.ledger.point == Point(2, rig.ledger.application.last_hash)
        assert rig.engine.standing.leader == ME

    run(work)


def test_who_waits_to_read_hears_of_a_snapshot(run: Run, tmp_path: Path, bench: Bench) -> None:
    """A snapshot brings no blocks, and no other may follow for long."""
    ahead = new_ledger(tmp_path / "ahead", bench)
    executed(ahead, [bench.tariff()])
    point = ahead.point
    ahead.close()

    async def work(rig: Rig) -> None:
        rig.follow()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        await turn()
        rig.say(OTHER, ReadAnswered(rig.sent[0][1].token, 1))  # type: ignore[attr-defined]
        rig.engine.told(Restore(7, encode(point)))
        await turn()
        assert not reading.done()
        rig.ledger.begin_with(tmp_path / "ahead")
        rig.caught_up.set()
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1

    run(work)


def test_a_snapshot_of_what_is_here_already_is_nothing_new(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        block = block_of(rig.ledger, rig.bench.tariff())
        rig.decide(block)
        rig.engine.told(Restore(1, encode(rig.ledger.point)))
        rig.engine.told(Restore(1, encode(Point(0, rig.ledger.application.genesis_hash))))
        rig.decide(block_of(rig.ledger))
        await turn()
        assert rig.wanted == []
        assert rig.ledger.point.height == 2

    run(work)


def test_who_cannot_catch_up_stops(run: Run) -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        rig.engine.told(Restore(7, encode(Point(5, bytes(32)))))
        rig.there = StoreError("another record")
        rig.caught_up.set()
        with pytest.raises(StoreError, match="another record"):
            await waiting
        assert rig.failures == [rig.there]

    run(work)


def test_old_blocks_go_from_the_log_once_there_are_enough(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "KEPT_BLOCKS", 3)

    async def work(rig: Rig) -> None:
        rig.follow()
        points = []
        for _ in range(10):
            rig.decide(block_of(rig.ledger))
            points.append(rig.ledger.point)
        compacted = [event for event in rig.fed if isinstance(event, Compact)]
        assert compacted == [Compact(4, encode(points[3])), Compact(7, encode(points[6]))]
        assert KEPT_BLOCKS > 3

    run(work)


# Failure


def test_everybody_is_told_when_it_fails(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        rig.engine.fail(StoreError("the disk is full"))
        rig.engine.fail(StoreError("later"))
        for asked in (
            waiting,
            reading,
            rig.engine.submit(*rig.bench.register("bob")),
            rig.engine.values([CLOCK]),
            rig.engine.query(CLOCK),
        ):
            with pytest.raises(StoreError, match="full"):
                await asked

    run(work)


def test_who_waits_for_a_leader_is_told_when_it_fails(run: Run) -> None:
    async def work(rig: Rig) -> None:
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        rig.engine.fail(StoreError("the disk is full"))
        with pytest.raises(StoreError, match="full"):
            await reading

    run(work)


def test_a_disk_that_refuses_a_block_ends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state in memory has moved on and the disk has not: nothing more is executed on it."""

    async def work(rig: Rig) -> None:
        rig.lead()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        error = StoreError("the disk is full")

        def full(*_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(rig.ledger.store, "save_block", full)
            rig.decide(rig.proposals()[0][1])
        with pytest.raises(StoreError, match="full"):
            await waiting
        assert rig.failures == [error]
        rig.say(OTHER, Offered([rig.bench.tariff()]))
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        rig.lead(term=2)
        await turn()
        assert rig.ledger.store.height() == 0
        assert len(rig.proposals()) == 1
        assert rig.failures == [error]

    run(work)


def test_a_stopped_engine_says_so(run: Run) -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        await turn()
        await rig.engine.close()
        with pytest.raises(StoreError, match="was stopped"):
            await waiting

    run(work)


@pytest.mark.parametrize("data", [b"", b"\x07", b"\xff\x91\x01", b"\x00", b"\x01\x91\xff"])
def test_what_makes_no_sense_is_dropped(run: Run, data: bytes) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        rig.engine.said(OTHER, data)
        assert (rig.fed, rig.sent, rig.failures) == ([], [], [])

    run(work)


def test_words_about_blocks_go_to_the_catch_up(run: Run) -> None:
    async def work(rig: Rig) -> None:
        for message in (BlocksAsked(1), BlocksSent([])):
            rig.say(THIRD, message)
        assert rig.words == [(THIRD, BlocksAsked(1)), (THIRD, BlocksSent([]))]

    run(work)
