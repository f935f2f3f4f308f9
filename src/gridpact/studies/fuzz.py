"""Broken transactions at every door: each is refused by name and changes nothing.

Door one is the engine's `submit`, as for anybody. Door two is a block that a faulty proposer got
decided: the same bytes, executed by an application that nobody protects any more. After every
batch both states must be what the verdicts say, to the entry; at the end the ledger must audit and
open again. The same seed and count send the same bytes, so a mutant's number finds it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter

import msgspec

from gridpact.codec import sha256
from gridpact.contracts import Application, Candidate, Unreadable, judge_payload
from gridpact.contracts.keys import party_key
from gridpact.errors import GridpactError, InvariantError
from gridpact.ledger import Entry
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal, Receipt
from gridpact.ledger.envelope import Envelope, Transaction
from gridpact.model import Party, Verdict, uses_nonce
from gridpact.node import EmbeddedEngine, LedgerStore, Refusal, audit_ledger
from gridpact.studies.mutations import (
    ENVELOPE_VERDICTS,
    GRAMMAR,
    SIGNATURES,
    Mutant,
    blind,
    broken_body,
    broken_envelope,
    by_name,
)
from gridpact.studies.refusals import Scene
from gridpact.studies.workload import Signed, reader, send
from gridpact.units import INT64_MAX

Progress = Callable[[int, int], None]
"""Told (mutants sent, mutants in all)."""
Entries = dict[str, Entry]

BATCH = 500
WILD_BATCH = 40
"""Mutants that may be accepted go one at a time, so that each can be compared."""
BARRIER_EVERY = 3
"""Batches between two phases."""
BLOCK_MAX = 64
"""Largest block of the faulty proposer."""
VIOLATIONS_MAX = 50
"""A run that has found this many stops."""
ALL_SEEN_FROM = 3_000
"""A run of this many mutants meets every verdict that a transaction can meet."""
NEVER_MET = {
    Verdict.ACCEPTED,
    Verdict.MEMPOOL_FULL,
    Verdict.UNKNOWN_PARTY,
    Verdict.ACCOUNT_IN_USE,
    *(verdict for verdict in Verdict if verdict >= Verdict.MECHANISM_WRONG),
} - {Verdict.CARBON_UNRULED}
"""Not a refusal; needs ten thousand waiting from one sender; two that barriers decide; those of
bargains, which have a fuzzer of their own (`fuzz --certificates`) and no market here; those of
traces that are handed out, whose parties are not here; those of carbon but one, for no market here
has rules for it."""

_SAME = {(verdict, verdict) for verdict in Verdict} | {(Verdict.NONCE_USED, Verdict.BAD_SIGNATURE)}
"""(at the door, in a block) that agree. The door does not spend a check of a signature on a nonce
that is gone."""
_SHARES = {
    "blind": 23,
    "envelope": 22,
    "body": 14,
    "grammar": 12,
    "signature": 9,
    "payload": 5,
    "rule": 8,
    "role": 3,
    "replay": 2,
    "nonce": 2,
}


@dataclass(slots=True)
class FuzzReport:
    """What a run sent and what was wrong."""

    sent: int = 0
    by_verdict: dict[str, int] = field(default_factory=dict)
    """What the engine said, by the verdict's name."""
    by_mutation: dict[str, int] = field(default_factory=dict)
    """How often each mutation was sent, by the part before the colon."""
    violations: list[str] = field(default_factory=list)
    """Each with the seed and the number of the mutant that reproduces it."""
    seconds: float = 0.0
    per_second: float = 0.0


class _EngineStoppedError(Exception):
    """A task of the engine ended, so nobody will answer any more."""


def fuzz_transactions(
    count: int, seed: int, folder: Path, progress: Progress | None = None
) -> FuzzReport:
    """Send broken transactions to a new ledger.

    Args:
        count: mutants to send at least.
        seed: of all chance.
        folder: where the ledger goes; empty or absent.
        progress: told (mutants sent, mutants in all).
    Returns:
        A report without violations when every mutant met a verdict it may meet, no exception
        escaped, and no state changed beyond what the verdict says.
    """
    started = perf_counter()
    report = FuzzReport()
    run = _Run(seed, report)
    try:
        root = asyncio.run(run.campaign(count, folder, progress))
    except Exception as error:  # noqa: BLE001 - that nothing escapes is what is being tested
        report.violations.append(f"seed {seed}, mutant {report.sent}: run ended by {error!r}")
    else:
        report.violations += _left_behind(folder, root)
    report.by_verdict = dict(sorted(run.verdicts.items()))
    report.by_mutation = dict(sorted(run.mutations.items()))
    if report.sent >= ALL_SEEN_FROM and len(report.violations) < VIOLATIONS_MAX:
        expected = {verdict.name for verdict in Verdict if verdict not in NEVER_MET}
        for name in sorted(expected - set(run.verdicts)):
            report.violations.append(f"seed {seed}: no mutant was told {name}")
    report.seconds = perf_counter() - started
    report.per_second = report.sent / report.seconds
    return report


def _left_behind(folder: Path, root: bytes) -> list[str]:
    """What is wrong with the ledger after the run: it must audit, and open where it was."""
    found = [f"audit: {text}" for text in audit_ledger(folder).violations]

    async def reopened() -> bytes:
        engine = await EmbeddedEngine.start(LedgerStore.open(folder))
        try:
            return engine.application.state_map.root
        finally:
            await engine.close()

    try:
        if asyncio.run(reopened()) != root:
            found.append("opened again, the ledger has another market root")
    except GridpactError as error:
        found.append(f"the ledger cannot be opened again: {error}")
    return found


@dataclass(slots=True)
class _Numbered:
    """A mutant with what became of it."""

    number: int
    mutant: Mutant
    verdict: Verdict | None = None
    """What the engine said; None when it said nothing."""
    in_block: bool = False
    sender: str = ""
    """Of those in a block."""


class _Run:
    """One engine, one scene, and the checks around every batch."""

    def __init__(self, seed: int, report: FuzzReport) -> None:
        self.seed = seed
        self.report = report
        self.random = Random(seed)
        self.scene = Scene(seed, self.random)
        self.verdicts: Counter[str] = Counter()
        self.mutations: Counter[str] = Counter()
        self.executed: list[Signed] = []
        """Transactions that are on the chain, to be replayed."""
        self._turns: Counter[str] = Counter()
        self._engine: EmbeddedEngine | None = None
        self._background: set[asyncio.Task[object]] = set()

    @property
    def engine(self) -> EmbeddedEngine:
        """The one engine of the run."""
        if self._engine is None:
            raise InvariantError("the engine has not been started")
        return self._engine

    async def campaign(self, count: int, folder: Path, progress: Progress | None) -> bytes:
        """Batches until `count` mutants are sent.

        Returns:
            The market root at the end.
        """
        genesis = self.scene.workload.genesis
        # A header time at the end of time, so that no phase is early and waits for ever.
        self._engine = await EmbeddedEngine.create(folder, genesis, lambda: INT64_MAX)
        self._background = asyncio.all_tasks() - {asyncio.current_task()}
        try:
            for batch in self.scene.setup():
                await self._valid(batch)
            self.scene.attach(reader(self.engine))
            await self._barrier()
            number = 0
            while self.report.sent < count and len(self.report.violations) < VIOLATIONS_MAX:
                number += 1
                await self._batch(min(BATCH, max(1, count - self.report.sent)))
                if number % BARRIER_EVERY == 0 or self.report.sent >= count:
                    await self._wild_batch()
                    await self._barrier()
                if progress is not None:
                    progress(min(count, self.report.sent), count)
            return self.engine.application.state_map.root
        finally:
            await self.engine.close()

    def wrong(self, number: int, mutant: Mutant, text: str) -> None:
        """Note one violation."""
        where = f"seed {self.seed}, mutant {number} ({mutant.mutation})"
        self.report.violations.append(f"{where}: {text}")

    # Making mutants

    def _mutant(self) -> Mutant:
        forge, scene, random = self.scene.forge, self.scene, self.random
        sort = random.choices(list(_SHARES), list(_SHARES.values()))[0]
        turn = self._turns[sort]
        self._turns[sort] += 1
        match sort:
            case "blind":
                return blind(forge)
            case "envelope":
                return broken_envelope(forge)
            case "body":
                return broken_body(forge)
            case "grammar":
                return by_name(forge, GRAMMAR, list(GRAMMAR)[turn % len(GRAMMAR)])
            case "signature":
                return by_name(forge, SIGNATURES, list(SIGNATURES)[turn % len(SIGNATURES)])
            case "payload":
                return scene.broken_payload()
            case "rule":
                return scene.refused(turn)
            case "role":
                return scene.unauthorised(turn)
            case "replay":
                envelope, sealed = random.choice(self.executed)
                return Mutant("replay", envelope, sealed, frozenset({Verdict.NONCE_USED}))
            case _:
                return scene.used_nonce()

    def _numbered(self, mutant: Mutant) -> _Numbered:
        self.report.sent += 1
        self.mutations[mutant.mutation.partition(":")[0]] += 1
        return _Numbered(self.report.sent, mutant)

    # Batches

    async def _batch(self, size: int) -> None:
        """Mutants that must all be refused, through both doors, and one valid order after them."""
        self.scene.start_batch()
        # Bytes that wait already are refused for that, so each comes once per batch.
        mutants = {mutant.envelope + mutant.sealed: mutant for mutant in [self.scene.expired()]}
        while len(mutants) < size:
            mutant = self._mutant()
            mutants.setdefault(mutant.envelope + mutant.sealed, mutant)
        sent = [self._numbered(mutant) for mutant in mutants.values()]
        application = self.engine.application
        before, tip = dict(application.state.entries), (application.height, application.last_hash)
        root = application.state_map.root
        await self._through_engine(sent)
        self._compare_engine(sent, before, root)
        faulty = self._faulty_application(before, *tip)
        left = sent
        while left:
            cut = self.random.randint(1, BLOCK_MAX)
            self._through_block(faulty, left[:cut])
            left = left[cut:]

    async def _wild_batch(self) -> None:
        """Mutants that may be accepted: both doors must come to the same state."""
        for _ in range(WILD_BATCH):
            self.scene.start_batch()
            one = self._numbered(self.scene.wild_mutant())
            application = self.engine.application
            before = dict(application.state.entries)
            tip, root = (application.height, application.last_hash), application.state_map.root
            await self._through_engine([one])
            if one.verdict != Verdict.ACCEPTED:
                self._compare_engine([one], before, root)
            faulty = self._faulty_application(before, *tip)
            self._through_block(faulty, [one])
            if one.in_block and faulty.state_map.root != self.engine.application.state_map.root:
                self.wrong(one.number, one.mutant, "both doors lead to different market roots")

    async def _barrier(self) -> None:
        self.scene.start_batch()
        await self._valid(self.scene.barrier())

    async def _valid(self, batch: Sequence[Signed]) -> None:
        """Transactions of honest parties, which no mutant may have disturbed."""
        for signed, verdict in zip(batch, await send(self.engine, batch), strict=True):
            if verdict != Verdict.ACCEPTED:
                name = signed[0].hex()
                raise InvariantError(f"the valid transaction {name} was told {verdict.name}")
        self.executed += batch

    # Door one

    async def _through_engine(self, sent: list[_Numbered]) -> None:
        """Submit all, wait for all, note what each was told."""
        waiting = []
        for one in sent:
            try:
                verdict = await self.engine.submit(one.mutant.envelope, one.mutant.sealed)
            except Exception as error:  # noqa: BLE001 - see fuzz_transactions
                self.wrong(one.number, one.mutant, f"submit raised {error!r}")
                continue
            if verdict == Verdict.ACCEPTED:
                waiting.append(one)
            else:
                one.verdict = verdict
        outcomes = await self._receipts([sha256(one.mutant.envelope) for one in waiting])
        for one, outcome in zip(waiting, outcomes, strict=True):
            one.verdict = Verdict(outcome.verdict)
            one.in_block = isinstance(outcome, Receipt)
        for one in sent:
            if one.verdict is None:
                continue
            self.verdicts[one.verdict.name] += 1
            if one.in_block:
                one.sender = msgspec.msgpack.decode(one.mutant.envelope, type=Envelope).sender
            if one.verdict not in one.mutant.expected:
                names = " or ".join(sorted(verdict.name for verdict in one.mutant.expected))
                self.wrong(one.number, one.mutant, f"told {one.verdict.name}, not {names}")

    async def _receipts(self, ids: list[bytes]) -> Sequence[Receipt | Refusal]:
        """As the engine's, but an engine that stopped is an error and not silence."""
        answer = asyncio.ensure_future(self.engine.receipts(ids))
        done, _ = await asyncio.wait(
            {answer, *self._background}, return_when=asyncio.FIRST_COMPLETED
        )
        if answer in done:
            return answer.result()
        answer.cancel()
        ended = [task.exception() for task in done if not task.cancelled()]
        raise _EngineStoppedError(f"a task of the engine ended: {ended}")

    def _compare_engine(self, sent: list[_Numbered], before: Entries, root: bytes) -> None:
        """The state is that of before, but for the nonces that receipts used."""
        used = [one for one in sent if one.in_block]
        expected = dict(before)
        for one in used:
            if one.verdict is not None and uses_nonce(one.verdict):
                _use_nonce(expected, one.sender)
        state = self.engine.application.state.entries
        for key in _differing(expected, state):
            culprit = next((o for o in used if key == party_key(o.sender)), sent[-1])
            self.wrong(culprit.number, culprit.mutant, f"the batch up to it changed {key!r}")
        if not used and self.engine.application.state_map.root != root:
            self.wrong(sent[-1].number, sent[-1].mutant, "the market root moved without a receipt")

    # Door two

    def _faulty_application(self, entries: Entries, height: int, tip: bytes) -> Application:
        """A replica in the engine's state of before the batch, to be thrown away."""
        of = self.engine.application
        application = Application(of.genesis, of.engine, of.verify_signature)
        application.restore(entries.items(), height, tip)
        return application

    def _through_block(self, application: Application, sent: list[_Numbered]) -> None:
        """Execute the mutants as a decided block, and compare verdicts and state."""
        try:
            self._execute(application, sent)
        except Exception as error:  # noqa: BLE001 - see fuzz_transactions
            names = ", ".join(sorted({one.mutant.mutation for one in sent}))
            first, last = sent[0], sent[-1]
            text = f"a block of mutants {first.number} to {last.number} ({names}) raised {error!r}"
            self.wrong(first.number, first.mutant, text)

    def _execute(self, application: Application, sent: list[_Numbered]) -> None:
        candidates = [self._candidate(application, one.mutant) for one in sent]
        raws = [one.mutant.envelope for one in sent]
        height = application.height + 1
        proposal = Proposal(FORMAT_VERSION, height, INT64_MAX, application.last_hash, raws)
        honest = application.process_proposal(proposal, candidates)
        self._check_links(application, proposal, candidates, sent)
        root, before = application.state_map.root, dict(application.state.entries)
        result = application.finalize_block(proposal, candidates)
        application.commit(result)
        expected = dict(before)
        accepted = False
        should_vote = True
        for one, candidate, receipt in zip(sent, candidates, result.receipts, strict=True):
            verdict = Verdict(receipt.verdict)
            if one.verdict is not None and (one.verdict, verdict) not in _SAME:
                text = f"told {one.verdict.name} at the door and {verdict.name} in a block"
                self.wrong(one.number, one.mutant, text)
            if receipt.transaction != sha256(one.mutant.envelope):
                self.wrong(one.number, one.mutant, "the receipt names another transaction")
            should_vote &= verdict not in ENVELOPE_VERDICTS and verdict != Verdict.EXPIRED
            accepted |= verdict == Verdict.ACCEPTED
            if uses_nonce(verdict) and isinstance(candidate, Candidate):
                _use_nonce(expected, candidate.transaction.envelope.sender)
        last = sent[-1]
        if honest != should_vote:
            text = f"process_proposal says {honest} to block {height}, receipts say {should_vote}"
            self.wrong(last.number, last.mutant, text)
        if accepted:
            return
        for key in _differing(expected, application.state.entries):
            self.wrong(last.number, last.mutant, f"block {height} up to it changed {key!r}")
        if not _differing(before, expected) and application.state_map.root != root:
            self.wrong(last.number, last.mutant, f"block {height} moved the market root")

    def _candidate(self, application: Application, mutant: Mutant) -> Candidate | Unreadable:
        """The mutant as a host reads it from a decided block, signature checked."""
        transaction = application.readable(mutant.envelope)
        if not isinstance(transaction, Transaction):
            return Unreadable(sha256(mutant.envelope), transaction)
        verdict = judge_payload(transaction, mutant.sealed, application.rules)
        if verdict != Verdict.ACCEPTED:
            return Unreadable(transaction.id, verdict)
        party = application.party(transaction.envelope.sender)
        if party is None:
            return Candidate(transaction, mutant.sealed, b"", signature_good=False)
        good = application.verify_signature(
            party.public_key, transaction.digest, transaction.envelope.signature
        )
        return Candidate(transaction, mutant.sealed, party.public_key, good)

    def _check_links(
        self,
        application: Application,
        proposal: Proposal,
        candidates: list[Candidate | Unreadable],
        sent: list[_Numbered],
    ) -> None:
        """Nobody votes for a block that is not the next one, whatever is in it."""
        replace = msgspec.structs.replace
        broken = self.random.choice(
            [
                replace(proposal, height=proposal.height + 1),
                replace(proposal, height=proposal.height - 1),
                replace(proposal, version=FORMAT_VERSION + 1),
                replace(proposal, parent=sha256(proposal.parent)),
                replace(proposal, transactions=[*proposal.transactions, b""]),
            ]
        )
        if application.process_proposal(broken, candidates):
            self.wrong(sent[0].number, sent[0].mutant, "process_proposal took a misplaced block")


def _use_nonce(entries: Entries, sender: str) -> None:
    """What a refusal by the rules may change."""
    key = party_key(sender)
    entry = entries[key]
    if isinstance(entry.value, Party):
        value = msgspec.structs.replace(entry.value, nonce=entry.value.nonce + 1)
        entries[key] = Entry(value, entry.salt, entry.phase)


def _differing(one: Entries, other: Entries) -> list[str]:
    """Keys under which two states do not hold the same leaf."""
    return [
        key
        for key in one.keys() | other.keys()
        if (a := one.get(key)) is not (b := other.get(key))
        and (a is None or b is None or a.value != b.value or a.salt != b.salt)
    ]
