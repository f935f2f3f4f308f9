"""An engine's door: who comes in, who waits, and what they are told."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest
from tests.ledger_bench import NEVER, SLOT, Bench, Signed

from gridpact.codec import sha256
from gridpact.contracts import Candidate, Unreadable
from gridpact.contracts.bodies import Kind, MovePhase
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.ledger.envelope import Transaction
from gridpact.model import Phase, Verdict
from gridpact.node import Refusal
from gridpact.node import candidates as candidates_module
from gridpact.node import intake as intake_module
from gridpact.node.candidates import Checked
from gridpact.node.intake import EARLY_MAX_S, Intake

NOW_S = 1_700_000_000
WAITS_S = 5.0


class Rig:
    """An intake on a bench's application; what is on the disk is what a test puts there."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.stored: dict[bytes, tuple[int, Receipt]] = {}
        self.intake = Intake(lambda: self.bench.application, self.stored.get)

    def admit(self, signed: Signed) -> Transaction | Verdict:
        return self.intake.admit(*signed, NOW_S)

    def refused(self, envelope: bytes, payload: bytes) -> Verdict:
        """The verdict of one that is turned away and leaves no trace."""
        before = self.waiting()
        counts = dict(self.intake._per_sender)
        verdict = self.intake.admit(envelope, payload, NOW_S)
        assert isinstance(verdict, Verdict)
        assert self.waiting() == before
        assert self.intake._per_sender == counts
        return verdict

    def waiting(self) -> list[bytes]:
        return [waiting.transaction.id for waiting in self.intake]


def receipt_of(signed: Signed) -> Receipt:
    return Receipt(sha256(signed[0]), int(Verdict.ACCEPTED), b"")


def run(work: Callable[[Rig], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(WAITS_S):
            await work(Rig())

    asyncio.run(whole())


def test_what_comes_in_waits_in_the_order_in_which_it_came() -> None:
    async def work(rig: Rig) -> None:
        signed = [rig.bench.register(name) for name in ("ann", "bob", "cyd")]
        for one in signed:
            taken = rig.admit(one)
            assert isinstance(taken, Transaction)
            waiting = rig.intake.get(taken.id)
            assert waiting is not None
            assert (waiting.sender, waiting.payload) == ("operator", one[1])
        assert rig.waiting() == [sha256(raw) for raw, _ in signed]
        assert len(rig.intake) == 3
        assert rig.intake.get(bytes(32)) is None

    run(work)


def test_the_list_of_what_waits_may_change_while_it_is_read() -> None:
    async def work(rig: Rig) -> None:
        for name in ("ann", "bob", "cyd"):
            rig.admit(rig.bench.register(name))
        for waiting in rig.intake:
            rig.intake.refuse(waiting.transaction.id, Verdict.EXPIRED)
        assert len(rig.intake) == 0

    run(work)


def test_each_is_told_once_and_is_told_again_when_asked_again() -> None:
    async def work(rig: Rig) -> None:
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        for one in (ann, bob):
            rig.admit(one)
        both = [asyncio.create_task(rig.intake.outcome(sha256(ann[0]))) for _ in range(2)]
        await asyncio.sleep(0)
        rig.intake.settle_all([receipt_of(ann), Receipt(bytes(32), 0, b"")])
        assert await asyncio.gather(*both) == [receipt_of(ann)] * 2
        rig.intake.refuse(sha256(ann[0]), Verdict.EXPIRED)
        assert await rig.intake.outcome(sha256(ann[0])) == receipt_of(ann), "the first word stays"
        rig.intake.refuse(sha256(bob[0]), Verdict.EXPIRED)
        refusal = Refusal(sha256(bob[0]), Verdict.EXPIRED)
        assert await rig.intake.outcome(sha256(bob[0])) == refusal
        assert rig.waiting() == []
        assert rig.intake._per_sender == {}

    run(work)


def test_who_stops_waiting_leaves_the_answer_to_the_others() -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        rig.admit(ann)
        hasty = asyncio.create_task(rig.intake.outcome(sha256(ann[0])))
        patient = asyncio.create_task(rig.intake.outcome(sha256(ann[0])))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.gather(hasty, return_exceptions=True)
        later = asyncio.create_task(rig.intake.outcome(sha256(ann[0])))
        await asyncio.sleep(0)
        rig.intake.settle_all([receipt_of(ann)])
        assert await patient == await later == receipt_of(ann)

    run(work)


def test_what_is_known_to_lead_nowhere_is_turned_away() -> None:
    async def work(rig: Rig) -> None:
        bench = rig.bench
        ann = bench.register("ann")
        bench.accept(ann)
        envelope, payload = bench.register("bob")
        assert rig.refused(envelope[:-1], payload) == Verdict.MALFORMED_ENVELOPE
        assert rig.refused(envelope, payload + b"x") == Verdict.PAYLOAD_MISMATCH
        assert rig.refused(envelope, bytes(70_000)) == Verdict.OVERSIZED
        assert rig.refused(*bench.bid("nobody", 200_000, 10)) == Verdict.UNKNOWN_SENDER
        assert rig.refused(*ann) == Verdict.NONCE_USED
        rig.admit((envelope, payload))
        assert rig.refused(envelope, payload) == Verdict.NONCE_USED

    run(work)


def test_a_phase_far_ahead_is_turned_away_and_a_near_one_waits() -> None:
    async def work(rig: Rig) -> None:
        for ahead_s, verdict in ((EARLY_MAX_S, None), (EARLY_MAX_S + 1, Verdict.TOO_EARLY)):
            body = MovePhase("lv1", 1, Phase.OPEN, SLOT, 1, NOW_S + ahead_s)
            signed = rig.bench.write("operator", Kind.PHASE, body, expiry_s=NEVER)
            if verdict is None:
                assert isinstance(rig.admit(signed), Transaction)
            else:
                assert rig.refused(*signed) == verdict

    run(work)


@pytest.mark.parametrize(
    ("limit", "most", "each"), [("WAITING_MAX", 3, 0), ("WAITING_PER_SENDER_MAX", 2, 2)]
)
def test_there_is_room_for_so_many(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int, each: int
) -> None:
    monkeypatch.setattr(intake_module, limit, most)

    async def work(rig: Rig) -> None:
        signed = [rig.bench.register(f"p{number}") for number in range(most + 1)]
        for one in signed[:most]:
            assert isinstance(rig.admit(one), Transaction)
        assert rig.refused(*signed[most]) == Verdict.MEMPOOL_FULL
        other = rig.bench.tariff()
        if each:
            assert isinstance(rig.admit(other), Transaction)
        else:
            assert rig.refused(*other) == Verdict.MEMPOOL_FULL
        rig.intake.refuse(sha256(signed[0][0]), Verdict.EXPIRED)
        assert isinstance(rig.admit(signed[most]), Transaction)

    run(work)


def test_old_answers_are_read_from_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "REMEMBERED_MAX", 1)

    async def work(rig: Rig) -> None:
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        for one in (ann, bob):
            rig.admit(one)
        rig.intake.settle_all([receipt_of(ann), receipt_of(bob)])
        with pytest.raises(InputError, match="no such transaction"):
            await rig.intake.outcome(sha256(ann[0]))
        rig.stored[sha256(ann[0])] = 1, receipt_of(ann)
        assert await rig.intake.outcome(sha256(ann[0])) == receipt_of(ann)
        assert await rig.intake.outcome(sha256(bob[0])) == receipt_of(bob)

    run(work)


def test_the_first_failure_is_told_to_everybody() -> None:
    async def work(rig: Rig) -> None:
        ann, bob = rig.bench.register("ann"), rig.bench.register("bob")
        rig.admit(ann)
        rig.admit(bob)
        rig.intake.settle_all([receipt_of(ann)])
        waiting = asyncio.create_task(rig.intake.outcome(sha256(bob[0])))
        await asyncio.sleep(0)
        rig.intake.fail(StoreError("the disk is full"))
        rig.intake.fail(StoreError("stopped"))
        with pytest.raises(StoreError, match="full"):
            await waiting
        with pytest.raises(StoreError, match="full"):
            await rig.intake.outcome(sha256(bob[0]))
        with pytest.raises(StoreError, match="full"):
            rig.admit(rig.bench.register("cyd"))
        assert await rig.intake.outcome(sha256(ann[0])) == receipt_of(ann), "this stays true"
        assert rig.waiting() == []
        assert rig.intake._per_sender == {}

    run(work)


# What was checked


class Checks:
    """Counts signatures that are really checked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._check = candidates_module.verify_signature
        monkeypatch.setattr(candidates_module, "verify_signature", self)

    def __call__(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        self.count += 1
        return self._check(public_key, digest, signature)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


def test_a_signature_is_checked_once_under_one_key(checks: Checks) -> None:
    bench = Bench()
    checked = Checked(lambda: bench.application)
    tariff = bench.tariff()
    first = checked.candidate(*tariff)
    assert isinstance(first, Candidate)
    assert first.signature_good
    assert checked.candidate(*tariff) is first
    assert checked.readable(tariff[0]) is first.transaction
    assert checks.count == 1
    other = checked.candidate(tariff[0], b"other payload")
    assert other == dataclasses.replace(first, sealed=b"other payload")
    assert checks.count == 1
    checked.forget([sha256(tariff[0])])
    checked.candidate(*tariff)
    assert checks.count == 2


def test_a_signature_is_checked_again_under_a_new_key(checks: Checks) -> None:
    bench = Bench()
    checked = Checked(lambda: bench.application)
    bench.accept(bench.rotate("prices", "prices-new"), bench.tariff())
    tariff = bench.tariff(first_s=SLOT + 900)
    before = checked.candidate(*tariff)
    assert isinstance(before, Candidate)
    assert before.signature_good
    bench.move(Phase.OPEN)
    after = checked.candidate(*tariff)
    assert isinstance(after, Candidate)
    assert after.checked_key == bench.party("prices").public_key != before.checked_key
    assert not after.signature_good
    assert checks.count == 2


def test_what_is_no_transaction_is_unreadable_and_not_remembered(checks: Checks) -> None:
    bench = Bench()
    checked = Checked(lambda: bench.application)
    found = checked.candidate(b"no envelope", b"")
    assert found == Unreadable(sha256(b"no envelope"), Verdict.MALFORMED_ENVELOPE)
    assert checked.readable(b"no envelope") == Verdict.MALFORMED_ENVELOPE
    stranger = checked.candidate(*bench.bid("nobody", 200_000, 10))
    assert isinstance(stranger, Candidate)
    assert (stranger.checked_key, stranger.signature_good) == (b"", False)
    assert checks.count == 0
    assert checked._known == {}


def test_the_oldest_check_makes_room_for_a_new_one(
    checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What never comes into a block must not keep its place for ever."""
    monkeypatch.setattr(candidates_module, "CHECKED_MAX", 2)
    bench = Bench()
    checked = Checked(lambda: bench.application)
    signed = [bench.register(name) for name in ("ann", "bob", "cyd")]
    for one in (*signed, signed[2], signed[1]):
        checked.candidate(*one)
    assert checks.count == 3
    assert list(checked._known) == [sha256(raw) for raw, _ in signed[1:]]
    checked.candidate(*signed[0])
    assert checks.count == 4


def test_who_waits_for_what_was_skipped_hears_that_nobody_here_knows() -> None:
    async def work(rig: Rig) -> None:
        signed = rig.bench.register("ann")
        taken = rig.admit(signed)
        assert isinstance(taken, Transaction)
        waiting = asyncio.ensure_future(rig.intake.outcome(taken.id))
        await asyncio.sleep(0)
        rig.intake.lose(taken.id)
        with pytest.raises(InputError, match="ask another validator"):
            await waiting
        assert rig.waiting() == []
        assert not rig.intake._per_sender
        rig.intake.lose(taken.id)

    run(work)
