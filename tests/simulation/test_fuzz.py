"""Broken transactions are refused by name and change nothing, and twins that err are found out.

The long run is `make fuzz`. Twins are engines and applications with one fault; a run that did not
notice it would prove nothing about those without.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import msgspec
import pytest

from gridpact.codec import CodecError, sha256
from gridpact.contracts import Application, Candidate
from gridpact.contracts.bodies import (
    Kind,
    MoneyPayload,
    ReadingPayload,
    ReportReading,
    Withdraw,
)
from gridpact.ledger import Account, Draft, Entry
from gridpact.model import AccountMode, Phase, Quality, Verdict
from gridpact.node import EmbeddedEngine
from gridpact.studies import mutations
from gridpact.studies.fuzz import NEVER_MET, fuzz_transactions
from gridpact.studies.workload import Workload, meter_of, reader, send, start_of

COUNT = 5_000
TWIN_COUNT = 700
"""Mutants within which a twin must be found out."""


def test_five_thousand_mutants_are_refused_by_name(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = fuzz_transactions(COUNT, 1, tmp_path / "ledger", lambda *done: told.append(done))
    assert report.violations == []
    assert report.sent >= COUNT
    assert sum(report.by_verdict.values()) == sum(report.by_mutation.values()) == report.sent
    assert set(report.by_verdict) >= {v.name for v in Verdict if v not in NEVER_MET}
    assert told[-1] == (COUNT, COUNT)
    named = {*mutations.GRAMMAR, *mutations.SIGNATURES, "blind", "envelope", "body", "payload"}
    assert set(report.by_mutation) >= named | {"rule", "unauthorised", "replay", "expired", "wild"}


def test_same_seed_sends_the_same_bytes(tmp_path: Path) -> None:
    """A violation's seed and number are enough to see it again."""
    one, other = (fuzz_transactions(600, 9, tmp_path / name) for name in ("one", "other"))
    assert (one.by_verdict, one.by_mutation) == (other.by_verdict, other.by_mutation)
    assert one.violations == other.violations == []


def test_every_way_to_break_a_shape_breaks_every_shape() -> None:
    """Each breaker applied to each kind of struct gives bytes that no decoder takes."""
    values: list[object] = [1, 200, "name", b"\x00" * 32, [1, "x"]]
    for how, breaker in mutations.BREAKERS.items():
        for seed in range(20):
            broken = breaker(list(values), Random(seed))
            assert broken is not None
            assert broken != mutations.pack(values), how


def test_all_other_forms_of_a_number_are_longer() -> None:
    for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**62):
        forms = mutations.other_forms(number)
        assert len(set(forms)) == len(forms) > 0
        assert all(len(form) >= len(mutations.pack(number)) for form in forms)
        assert {msgspec.msgpack.decode(form) for form in forms} == {number}


# Broken twins


def found_by(tmp_path: Path, count: int = TWIN_COUNT) -> list[str]:
    return fuzz_transactions(count, 1, tmp_path / "ledger").violations


def test_twin_that_believes_every_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believed(_: object, checks: list[object]) -> list[bool]:
        return [True] * len(checks)

    monkeypatch.setattr("gridpact.node.verifier.VerifierProcess.verify", believed)
    assert any("not BAD_SIGNATURE" in text for text in found_by(tmp_path))


def test_twin_that_takes_longer_encodings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding without encoding again: two byte strings for one transaction."""

    def careless(wire_type: type, data: bytes) -> object:
        try:
            return msgspec.msgpack.decode(data, type=wire_type)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CodecError(str(error)) from error

    for module in ("transactions", "claims"):  # else the first barrier stops the engine
        monkeypatch.setattr(f"gridpact.contracts.{module}.decode", careless)
    found = found_by(tmp_path)
    assert any("longer form" in text and "not MALFORMED" in text for text in found)


def test_twin_whose_refusals_leave_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Application._handle

    def sloppy(self: Application, candidate: Candidate, draft: Draft) -> Verdict:
        verdict = handle(self, candidate, draft)
        if verdict == Verdict.UNKNOWN_ORDER:
            fund = Account(int(AccountMode.POSTPAID), -1, 1, 0)
            self.state.put("system/fund", Entry(fund, b"", 0))
        return verdict

    monkeypatch.setattr(Application, "_handle", sloppy)
    assert any("changed 'system/fund'" in text for text in found_by(tmp_path, 2_000))


def test_twin_that_forgets_to_use_a_nonce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gridpact.contracts.application.uses_nonce", lambda verdict: verdict == Verdict.ACCEPTED
    )
    assert found_by(tmp_path)


def test_twin_that_stumbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that no verdict stands for, at the door and in a block."""
    readable = Application.readable

    def stumbling(self: Application, raw: bytes) -> object:
        if raw.endswith(bytes(64)):
            raise IndexError("zeros")
        return readable(self, raw)

    monkeypatch.setattr(Application, "readable", stumbling)
    found = found_by(tmp_path)
    assert any("submit raised IndexError" in text for text in found)
    assert any("a block of mutants" in text and "raised IndexError" in text for text in found)


def test_twin_whose_engine_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is found out at once, not after a time limit."""
    handle = Application._handle

    def dying(self: Application, candidate: Candidate, draft: Draft) -> Verdict:
        verdict = handle(self, candidate, draft)
        if verdict == Verdict.LIMIT_WRONG:
            raise KeyError("limit")
        return verdict

    monkeypatch.setattr(Application, "_handle", dying)
    assert any("KeyError('limit')" in text for text in found_by(tmp_path, 2_000))


# What one party may do to the others


def test_waiting_transaction_is_taken_once(tmp_path: Path) -> None:
    async def run() -> None:
        load = Workload(1, 1)
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        try:
            signed = load.registrations()[0]
            assert await engine.submit(*signed) == Verdict.ACCEPTED
            assert await engine.submit(*signed) == Verdict.NONCE_USED
            (outcome,) = await engine.receipts([sha256(signed[0])])
            assert outcome.verdict == Verdict.ACCEPTED
            assert await engine.submit(*signed) == Verdict.NONCE_USED
        finally:
            await engine.close()

    asyncio.run(run())


def test_flood_in_one_name_leaves_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can write junk in a member's name; it fills that member's share and no more."""
    monkeypatch.setattr("gridpact.node.intake.WAITING_PER_SENDER_MAX", 50)

    async def run() -> None:
        load = Workload(1, 3)
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        try:
            await load.open_market(engine, 2)
            victim, *others = load.orders(3)
            chance = Random(1)
            junk = [(victim[0][:-64] + chance.randbytes(64), victim[1]) for _ in range(60)]
            told = [await engine.submit(*signed) for signed in junk]
            assert told == [Verdict.ACCEPTED] * 50 + [Verdict.MEMPOOL_FULL] * 10
            assert await engine.submit(*victim) == Verdict.MEMPOOL_FULL
            assert await send(engine, others) == [Verdict.ACCEPTED] * 2
            taken = [sha256(envelope) for envelope, _ in junk[:50]]
            refused = {outcome.verdict for outcome in await engine.receipts(taken)}
            assert refused == {Verdict.BAD_SIGNATURE}
            assert await send(engine, [victim]) == [Verdict.ACCEPTED]
        finally:
            await engine.close()

    asyncio.run(run())


@pytest.mark.parametrize("mode", list(AccountMode))
def test_no_member_can_stop_the_settlement_of_all(mode: AccountMode, tmp_path: Path) -> None:
    """Whatever a member withdraws, the slot it owes for can still be settled."""

    async def run() -> None:
        load = Workload(1, 3)
        greedy = load.members[list(AccountMode).index(mode)]
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        try:
            await load.open_market(engine, 1)
            for slot in (1, 2, 3):
                largest = MoneyPayload(2**62, "all of it")
                held = reader(engine)(f"account/{greedy}")
                assert isinstance(held, Account)
                rest = MoneyPayload(max(1, min(2**62, held.available_nano + 2**63)), "the rest")
                await send(
                    engine,
                    [
                        load.sign(greedy, Kind.WITHDRAW, Withdraw(0), payload)
                        for payload in (largest, rest)
                    ],
                )
                await send(engine, [*load.tariffs(slot, 1), load.move(Phase.OPEN, slot)])
            moves = [load.move(p, 0) for p in (Phase.CLOSED, Phase.CLEARED, Phase.DELIVERED)]
            assert set(await send(engine, moves)) == {Verdict.ACCEPTED}
            readings = [
                load.sign(
                    meter_of(member),
                    Kind.READING,
                    ReportReading("m", start_of(0), member, meter_of(member)),
                    ReadingPayload(1, Quality.MEASURED, 4_000, 0),
                )
                for member in load.members
            ]
            moves = [load.move(p, 0) for p in (Phase.METERED, Phase.SETTLED, Phase.FINAL)]
            assert set(await send(engine, [*readings, *moves])) == {Verdict.ACCEPTED}
        finally:
            await engine.close()

    asyncio.run(run())
