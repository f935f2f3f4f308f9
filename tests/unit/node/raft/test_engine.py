"""The engine port on a Raft validator: taking in, leading, refusing."""

from __future__ import annotations

import asyncio

import pytest
from tests.ledger_bench import SLOT, Bench, Signed
from tests.unit.node.raft.engine_rig import ME, OTHER, THIRD, Rig, Run, turn
from tests.unit.node.raft.ledgers import block_of

from gridpact.codec import Wire, sha256
from gridpact.consensus.shape import (
    ReadReady,
    ReadRequest,
    Reconfigure,
    Refused,
)
from gridpact.contracts.bodies import Deposit, Kind, MoneyPayload
from gridpact.errors import InputError
from gridpact.ledger.blocks import Receipt
from gridpact.model import OPERATOR, Phase, Verdict
from gridpact.node import Refusal
from gridpact.node.raft import engine as engine_module
from gridpact.node.raft.blocks import (
    Offered,
)
from gridpact.node.raft.host import Standing

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


def test_what_others_offered_goes_with_the_leadership(run: Run) -> None:
    """They offer it to whoever leads next; only what was taken in here comes back here."""

    async def work(rig: Rig) -> None:
        rig.lead(ready=False)
        ann, tariff = rig.bench.register("ann"), rig.bench.tariff()
        rig.say(OTHER, Offered([tariff]))
        await rig.submit(ann)
        rig.follow(term=2)
        rig.lead(term=3)
        await turn()
        assert rig.proposed() == [[ann]]

    run(work)


def test_what_could_not_be_taken_is_taken_after_the_block_that_it_waits_for(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        first, second = rig.bench.register("ann"), rig.bench.register("bob")
        offered = asyncio.create_task(rig.submit(second))
        await rig.until(lambda: bool(rig.fed))
        (asked,) = rig.fed
        assert isinstance(asked, ReadRequest), "it does not know whether it lags"
        rig.decide(block_of(rig.ledger, first))  # of the leader before
        rig.engine.told(ReadReady(asked.token, 1))
        await offered
        assert rig.proposed() == [[second]]

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


def test_a_gap_is_refused_before_anybody_is_offered_what_follows(run: Run) -> None:
    """Once offered it might be in a block whatever this validator says."""

    async def work(rig: Rig) -> None:
        rig.lead()
        _, second, third = (rig.bench.register(name) for name in ("lost", "ann", "bob"))
        told = [asyncio.create_task(rig.engine.submit(*signed)) for signed in (second, third)]
        await rig.until(lambda: len(rig.fed) == 2)
        for asked in tuple(rig.fed):
            assert isinstance(asked, ReadRequest)
            rig.engine.told(ReadReady(asked.token, 0))
        assert await asyncio.gather(*told) == [Verdict.NONCE_AHEAD] * 2
        await turn()
        assert (rig.proposed(), rig.offers(), rig.engine.waiting) == ([], [], 0)
        assert len(rig.engine._pool) == 0

    run(work)


def test_what_was_offered_waits_for_its_turn_however_long(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOOK_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.follow()
        first, second = rig.bench.register("ann"), rig.bench.register("bob")
        await rig.submit(first, second)
        (waiting,) = rig.waits(second)
        other = rig.bench.sign(
            OPERATOR, Kind.DEPOSIT, Deposit("ann", 7), MoneyPayload(1, "x"), nonce=1
        )
        rig.decide(block_of(rig.ledger, other))  # the first nonce went to another one
        await rig.until(lambda: len(rig.offers()) > 2)
        assert not waiting.done()
        rig.decide(block_of(rig.ledger, second))
        assert isinstance(await waiting, Receipt)

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
