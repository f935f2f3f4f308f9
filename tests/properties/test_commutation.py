"""Inside a phase, transactions of different senders commute.

Method: whole days of five members, two operators, two price authorities, meters and metering
operators are signed once, with open orders and with sealed ones, up to their carbon. Then each
phase's transactions are merged at random, every sender's own in their order, and the whole row is
cut into blocks anywhere, also across phases. Market root, verdicts, postings, bills and events must
be the same for every order, every cut, any header time, height and engine. Broken twins of the
rules show that the property would notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import msgspec
import pytest

from carbon_bench import IMPORT_MG_PER_KWH, part, sums, with_carbon
from gridpact.codec import decode, sha256
from gridpact.contracts import Application, Candidate, claims, clearing, readings, sealing, settling
from gridpact.contracts.bodies import GrantRole, Kind, OrderPayload, RotateKey
from gridpact.contracts.call import Call
from gridpact.contracts.kinds import KINDS
from gridpact.ledger import Document, Draft, Event
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal
from gridpact.ledger.envelope import Envelope, Transaction
from gridpact.model import (
    AccountMode,
    BillLine,
    LineKind,
    MemberCarbon,
    Phase,
    Quality,
    Reading,
    Role,
    Side,
    SlotTariff,
    TieRule,
    Verdict,
)
from gridpact.node import SimulatedKeys
from ledger_bench import (
    AUDITOR,
    LENGTH_S,
    METERING,
    NEVER,
    OPERATOR,
    SLOT,
    UNIT,
    VALIDATORS,
    Bench,
    Signed,
    engine_of,
    genesis_with,
    verify_once,
)

SECOND, OTHER_PRICES, READER = "operator-b", "prices-b", "reader"
MEMBERS = ("ann", "bob", "dan", "eve", "zoe")
NEXT = SLOT + LENGTH_S
LATE_S = NEXT + LENGTH_S + 3_600

PARTIES = [
    (SECOND, Role.OPERATOR),
    (OTHER_PRICES, Role.PRICE_AUTHORITY),
    (READER, Role.AUDITOR),
]
DEPOSIT = UNIT // 50
GENESIS = {
    (tie, sealed): with_carbon(
        genesis_with(
            SimulatedKeys(7),
            tie=tie,
            orders_per_slot=2,
            parties=PARTIES,
            sealed_deposit_nano=DEPOSIT * sealed,
        )
    )
    for tie in TieRule
    for sealed in (False, True)
}


@dataclass(frozen=True)
class Sort:
    """Which day: its chance, and the rules of its market."""

    seed: int
    tie: TieRule
    sealed: bool = False


@dataclass(frozen=True)
class Outcome:
    """Everything that the order of transactions must not touch."""

    market_root: bytes
    verdicts: dict[bytes, list[Verdict]]
    """By transaction id; several when an unknown sender's transaction comes again."""
    postings: dict[bytes, bytes]
    documents: list[Document]
    events: list[Event]


Segment = list[Signed]
"""The transactions of one phase; the one that ends it comes last."""


class DayWriter:
    """Signs a day. What it draws at random depends on the seed alone."""

    def __init__(self, sort: Sort) -> None:
        self.bench = Bench(GENESIS[sort.tie, sort.sealed], SimulatedKeys(7))
        self.seed = sort.seed
        self.sealed = sort.sealed
        self.chance = Random(sort.seed)
        self.chance_of_carbon = Random(sort.seed)
        self.seals: dict[int, list[tuple[str, int, OrderPayload]]] = defaultdict(list)
        """(member, nonce, order) of what may be revealed, by slot."""
        self.parts: dict[int, list[MemberCarbon]] = {}
        """Everybody's carbon, by slot."""
        self.segments: list[Segment] = []
        self.waiting: Segment = []

    def send(self, *transactions: Signed) -> None:
        self.waiting += transactions

    def phase(self, phase: Phase, first_s: int = SLOT, slots: int = 1) -> None:
        """Ends a segment."""
        number = len(self.segments) + 1
        ending = self.bench.phase(phase, first_s=first_s, slots=slots, number=number)
        self.segments.append([*self.waiting, ending])
        self.waiting = []

    def registrations(self) -> None:
        """Both operators register the same and different things; prices compete."""
        bench, chance = self.bench, self.chance
        modes = [AccountMode.PREPAID, AccountMode.CREDIT_LIMIT, AccountMode.POSTPAID]
        for member in MEMBERS[:4]:
            first, second = chance.sample([OPERATOR, SECOND], 2)
            time = chance.randrange(3)
            mode = chance.choice(modes)
            self.send(bench.register(member, mode, UNIT // 100, sender=first, submitted_ms=time))
            self.send(
                bench.register(member, key_of="rival", sender=second, submitted_ms=time + 1),
                bench.meter(member, sender=first, reporter=METERING),
                bench.deposit(member, chance.randrange(1, UNIT), sender=second),
                bench.meter(member, sender=METERING, submitted_ms=time + 1),
            )
        self.send(
            bench.tariff(slots=2, submitted_ms=chance.randrange(3)),
            bench.tariff(
                SlotTariff(310_000, 70_000, 10_000, "south", "2023-11-14"),
                slots=2,
                sender=OTHER_PRICES,
                submitted_ms=chance.randrange(3),
            ),
            bench.sign("ann", Kind.WITHDRAW, *withdrawal(5), nonce=1),  # not known yet
            bench.grant(READER, Role.METERING_OPERATOR),
            bench.reading("ann", sender=METERING),  # no slot yet
        )

    def orders(self, first_s: int) -> None:
        """Ties on purpose: few prices, few times; some beyond funds, caps and bands."""
        bench, chance = self.bench, self.chance
        for member in MEMBERS:
            for _ in range(chance.randrange(1, 4)):
                side = chance.choice(list(Side))
                price = chance.choice([60_000, 80_000, 150_000, 200_000, 300_000])
                step = chance.choice([0, 0, 50_000, -1])
                limit = max(0, price + step if side == Side.BID else price - step)
                energy_wh, time = chance.choice([1, 100, 101, 333, 10**6]), chance.randrange(3)
                expiry_s = chance.choice([NEVER, NEVER, first_s, first_s - 1])
                if self.sealed == (chance.random() < 0.9):
                    order = OrderPayload(side, price, energy_wh, limit, time)
                    copied = chance.choice(["", "", "", MEMBERS[0]])
                    self.send(bench.seal(member, order, slot_s=first_s, sealed_by=copied))
                    nonce = bench.wallet._nonces[member]
                    self.seals[first_s].append((member, nonce, order))
                    continue
                self.send(
                    bench.order(
                        member,
                        side,
                        price,
                        energy_wh,
                        limit=limit,
                        slot_s=first_s,
                        submitted_ms=time,
                        expiry_s=expiry_s,
                    )
                )
            if chance.random() < 0.6:
                self.send(bench.cancel(member, chance.randrange(1, 4), slot_s=first_s))
            if chance.random() < 0.5:
                self.send(bench.withdraw(member, chance.choice([1, UNIT // 3, UNIT])))

    def reveals(self, first_s: int, share: float) -> None:
        """Most of what was sealed, some twice, some as something else."""
        bench, chance = self.bench, self.chance
        for member, nonce, order in self.seals[first_s]:
            if chance.random() < share:
                shown = order
                if chance.random() < 0.15:
                    shown = msgspec.structs.replace(order, energy_wh=order.energy_wh + 1)
                for _ in range(chance.choice([1, 1, 1, 2])):
                    self.send(bench.reveal(member, nonce, shown, slot_s=first_s))

    def curtailments(self, first_s: int) -> None:
        """Two operators who want different things of the same trades."""
        bench, chance = self.bench, self.chance
        for sender in (OPERATOR, SECOND, OPERATOR):
            trades = chance.sample(range(3), chance.choice([1, 1, 2]))
            self.send(
                bench.curtailment(
                    *((trade, chance.choice([1, 1, 50, 10**7]), sender) for trade in trades),
                    sender=sender,
                    slot_s=first_s,
                    submitted_ms=chance.randrange(3),
                )
            )

    def batches(self, versions: Iterable[int]) -> None:
        """Both slots in one transaction, by whom the meters name."""
        bench, chance = self.bench, self.chance
        for version in versions:
            for owner in MEMBERS[:4]:
                net_wh = [chance.choice([-400, 0, 90]) for _ in range(chance.choice([1, 2]))]
                self.send(bench.batch(owner, net_wh, version=version, sender=METERING))

    def parts_of_carbon(self, first_s: int) -> None:
        """Late readings, and parts in two versions of two operators."""
        bench, chance = self.bench, self.chance_of_carbon
        operators = (OPERATOR, SECOND)
        parts = []
        for owner in MEMBERS[:4]:
            load_wh = chance.choice([0, 120, 500])
            mine = part(load=(load_wh, load_wh * IMPORT_MG_PER_KWH))
            parts.append(mine)
            seen_wh = load_wh + (chance.random() < 0.1)
            meter = f"{owner}.meter"
            self.send(
                bench.reading(owner, seen_wh, sender=meter, version=60, slot_s=first_s),
                *(
                    bench.member_carbon(
                        owner, told, sender=sender, first_s=first_s, submitted_ms=time
                    )
                    for told, sender, time in zip(
                        (part(load=(load_wh + 1, 1)), mine),
                        chance.sample(operators, 2),
                        (0, chance.choice([1, 1, 1, 0])),
                        strict=True,
                    )
                ),
            )
        self.parts[first_s] = parts

    def sums_of_carbon(self, first_s: int) -> None:
        """Two operators' sums of which both would fit, and two that do not add up."""
        bench, chance = self.bench, self.chance_of_carbon
        parts, operators = self.parts[first_s], (OPERATOR, SECOND)
        drawn_wh = sum(each.load_wh for each in parts)
        for sender, lost_wh in zip(operators, (0, 5), strict=True):
            lost = (lost_wh, lost_wh * IMPORT_MG_PER_KWH)
            good = sums(parts, drawn_wh + lost_wh, lost=lost)
            torn = msgspec.structs.replace(good, lost_ug=good.lost_ug + 1)
            for told in (good, torn):
                time = chance.randrange(3)
                self.send(
                    bench.slot_carbon(told, sender=sender, first_s=first_s, submitted_ms=time)
                )

    def changes(self) -> None:
        """What waits for the next barrier beside the trading."""
        bench, chance = self.bench, self.chance
        self.send(
            *(bench.deposit(member, UNIT, sender=OPERATOR) for member in MEMBERS[:3]),
            bench.deposit("nobody", 1, sender=SECOND),
            bench.grant(READER, Role.METERING_OPERATOR, sender=SECOND, granted=0, submitted_ms=2),
            bench.grant(READER, Role.METERING_OPERATOR, submitted_ms=1 + 2 * (self.seed % 2)),
            bench.register("zoe", AccountMode.POSTPAID, sender=SECOND, submitted_ms=5),
            bench.meter("zoe", submitted_ms=6, reporter=READER),
            bench.meter("dan", "dan.b", sender=METERING, submitted_ms=7),
            bench.meter("bob", "dan.b", submitted_ms=chance.choice([6, 8])),
            bench.rotate("ann", "ann-2"),
            bench.rotate(METERING, "metering-2", submitted_ms=1),
            bench.tariff(first_s=SLOT, sender=OTHER_PRICES),  # open: refused
            bench.phase(Phase.CLEARED, number=99, sender=VALIDATORS[1]),
            *(
                bench.sign(AUDITOR, Kind.ROTATE_KEY, RotateKey(bytes(32), time), nonce=nonce)
                for time, nonce in enumerate((2, 1, 1))  # ahead, in turn, used
            ),
        )
        for party in ("ann", METERING):
            bench.use_key(party, f"{party}-2")  # good after the barrier only
            next_nonce = bench.wallet._nonces[party] + 1
            body = GrantRole(party, int(Role.ISSUER), 1, 0)
            self.send(bench.sign(party, Kind.GRANT_ROLE, body, nonce=next_nonce))
        bench.wallet._nonces["zoe"] = 0  # so far nobody knows her

    def votes(self) -> None:
        """Two validators who want different things: nothing comes of it."""
        for validator, more_s in zip(VALIDATORS, (0, 1), strict=False):
            self.send(
                self.bench.phase(
                    Phase.CLEARED,
                    number=len(self.segments) + 1,
                    sender=validator,
                    not_before_s=LATE_S + more_s,
                ),
                self.bench.phase(Phase.CLEARED, number=len(self.segments) + 1, sender=validator),
            )

    def reports(self, first_s: int, versions: Iterable[int], owners: Iterable[str]) -> None:
        """Each meter and two metering operators, in several versions, some not allowed."""
        bench, chance = self.bench, self.chance
        for version in versions:
            for owner in owners:
                for sender in (f"{owner}.meter", METERING, READER):
                    if version == 1 or chance.random() < 0.7:
                        self.send(
                            bench.reading(
                                owner,
                                chance.choice([0, 0, 120, 500]),
                                chance.choice([0, 90, 333]),
                                sender=sender,
                                version=chance.choice([version, version, 1]),
                                quality=chance.choice(list(Quality)),
                                slot_s=first_s,
                            )
                        )


def withdrawal(amount_nano: int) -> tuple[msgspec.Struct, msgspec.Struct]:
    raw, sealed = Bench().withdraw(AUDITOR, amount_nano)
    kind = KINDS[Kind.WITHDRAW]
    assert kind.payload is not None
    return decode(kind.body, decode(Envelope, raw).public), decode(kind.payload, sealed[32:])


@cache
def day(sort: Sort) -> list[Segment]:
    """Two slots from registration to the end: thirteen barriers, fifteen with sealed orders."""
    writer = DayWriter(sort)
    writer.registrations()
    writer.phase(Phase.OPEN, slots=2)
    writer.orders(SLOT)
    writer.reveals(SLOT, 0.5)  # too early
    writer.curtailments(SLOT)  # much too early
    writer.changes()
    writer.phase(Phase.CLOSED)
    writer.reveals(SLOT, 0.8)
    if sort.sealed:
        writer.phase(Phase.REVEALED)
        writer.reveals(SLOT, 0.1)  # too late
    writer.orders(NEXT)
    writer.orders(SLOT)  # behind the gate
    writer.votes()
    writer.phase(Phase.CLEARED)
    writer.curtailments(SLOT)
    writer.phase(Phase.DELIVERED)
    writer.reports(SLOT, (1, 2), MEMBERS[:4])
    writer.batches((2, 3))
    writer.phase(Phase.METERED)
    writer.reports(SLOT, (2, 3), MEMBERS)
    writer.send(writer.bench.member_carbon("ann", part(), sender=SECOND))  # too early
    writer.orders(NEXT)
    writer.phase(Phase.SETTLED)
    writer.reports(SLOT, (3, 4, 5), MEMBERS[:4])
    writer.parts_of_carbon(SLOT)
    writer.phase(Phase.CLOSED, NEXT)
    writer.reports(SLOT, (6,), MEMBERS[:2])
    writer.sums_of_carbon(SLOT)
    writer.reports(NEXT, (1,), MEMBERS[:1])  # not delivered
    writer.reveals(NEXT, 0.7)
    writer.phase(Phase.FINAL)
    if sort.sealed:
        writer.phase(Phase.REVEALED, NEXT)
    writer.phase(Phase.CLEARED, NEXT)
    writer.curtailments(NEXT)
    writer.phase(Phase.DELIVERED, NEXT)
    writer.reports(NEXT, (1, 2), MEMBERS[:4])
    writer.reports(SLOT, (9,), MEMBERS[:2])  # final
    writer.phase(Phase.METERED, NEXT)
    writer.phase(Phase.SETTLED, NEXT)
    writer.reports(NEXT, (3,), MEMBERS[2:4])
    writer.parts_of_carbon(NEXT)
    writer.sums_of_carbon(NEXT)
    writer.phase(Phase.FINAL, NEXT)
    return writer.segments


def sender_of(transaction: Signed) -> str:
    return decode(Envelope, transaction[0]).sender


def merged(segment: Segment, chance: Random) -> Segment:
    """The segment in another order that keeps each sender's own."""
    *within, ending = segment
    queues = defaultdict(list)
    for transaction in within:
        queues[sender_of(transaction)].append(transaction)
    tickets = [sender for sender, queue in queues.items() for _ in queue]
    chance.shuffle(tickets)
    rows = {sender: iter(queue) for sender, queue in queues.items()}
    return [*(next(rows[sender]) for sender in tickets), ending]


def blocks(row: Segment, chance: Random) -> list[Segment]:
    """The row cut at random: from one block for all to one for each, with empty ones between."""
    share = chance.choice([0.0, 0.02, 0.1, 0.5, 1.0])
    cut: list[Segment] = [[]]
    for transaction in row:
        cut[-1].append(transaction)
        if chance.random() < share:
            cut.append([])
    return cut


def play(rows: list[Segment], sort: Sort, engine: str = "embedded", time_s: int = 0) -> Outcome:
    """Decided blocks, executed whatever is in them."""
    genesis = GENESIS[sort.tie, sort.sealed]
    application = Application(genesis, engine_of(genesis, engine), verify_once)
    application.init_chain()
    outcome = Outcome(b"", {}, {}, [], [])
    for row in rows:
        candidates = []
        for raw, sealed in row:
            transaction = application.readable(raw)
            assert isinstance(transaction, Transaction)
            candidates.append(Candidate(transaction, sealed, b"", False))
        proposal = Proposal(
            FORMAT_VERSION,
            application.height + 1,
            time_s * application.height,
            application.last_hash,
            [raw for raw, _ in row],
        )
        result = application.finalize_block(proposal, candidates)
        application.commit(result)
        for receipt in result.receipts:
            verdicts = outcome.verdicts.setdefault(receipt.transaction, [])
            verdicts.append(Verdict(receipt.verdict))
            outcome.postings[receipt.transaction] = receipt.postings_hash
        outcome.documents.extend(result.documents)
        outcome.events.extend(result.events)
    return replace(outcome, market_root=application.state_map.root)


def as_written(sort: Sort) -> Outcome:
    """One transaction per block."""
    return play([[sent] for segment in day(sort) for sent in segment], sort)


def permuted(sort: Sort, chance: Random) -> Outcome:
    row = [sent for segment in day(sort) for sent in merged(segment, chance)]
    engine = chance.choice(["embedded", "raft", "pbft"])
    return play(blocks(row, chance), sort, engine, chance.randrange(10**6))


DAYS = [
    *(Sort(seed, tie) for tie in TieRule for seed in range(3)),
    *(Sort(seed, TieRule.TIME, sealed=True) for seed in range(3)),
]


@pytest.mark.parametrize("sort", DAYS, ids=str)
def test_orders_cuts_times_heights_and_engines_change_nothing(sort: Sort) -> None:
    """Twelve permutations of each of nine days."""
    expected = as_written(sort)
    chance = Random(1_000 + sort.seed)
    for _ in range(12):
        assert permuted(sort, chance) == expected


def test_the_days_are_worth_permuting() -> None:
    """Trades, corrections, refusals of all sorts, claims that win and lose, in every phase."""
    told: set[Verdict] = set()
    ends: set[int] = set()
    lines: set[LineKind] = set()
    shown: set[Verdict] = set()
    allotted = 0
    for sort in DAYS:
        outcome = as_written(sort)
        endings = [sha256(segment[-1][0]) for segment in day(sort)]
        barriers = 15 if sort.sealed else 13
        assert [outcome.verdicts[ending] for ending in endings] == [[Verdict.ACCEPTED]] * barriers
        kinds = {document.series.partition("/")[0] for document in outcome.documents}
        allotted += "carbon" in kinds
        lines |= {
            decode(BillLine, document.data).kind
            for document in outcome.documents
            if not document.series.startswith("carbon/")
        }
        shown |= {
            verdict
            for segment in day(sort)
            for raw, _ in segment
            if decode(Envelope, raw).kind == Kind.REVEAL
            for verdict in outcome.verdicts[sha256(raw)]
        }
        told |= {verdict for verdicts in outcome.verdicts.values() for verdict in verdicts}
        ends |= {event.verdict for event in outcome.events}
        assert len(outcome.documents) > 10
    assert told >= {
        Verdict.ACCEPTED,
        Verdict.UNKNOWN_SENDER,
        Verdict.BAD_SIGNATURE,
        Verdict.NONCE_USED,
        Verdict.NONCE_AHEAD,
        Verdict.EXPIRED,
        Verdict.ROLE_MISSING,
        Verdict.UNKNOWN_SLOT,
        Verdict.PHASE_NUMBER_WRONG,
        Verdict.TOO_EARLY,
        Verdict.TARIFF_WRONG,
        Verdict.GATE_CLOSED,
        Verdict.NOT_DELIVERED,
        Verdict.PRICE_OUT_OF_BAND,
        Verdict.LIMIT_WRONG,
        Verdict.TOO_MANY_ORDERS,
        Verdict.UNKNOWN_ORDER,
        Verdict.INSUFFICIENT_FUNDS,
        Verdict.METER_MISSING,
        Verdict.METER_FOREIGN,
        Verdict.VERSION_STALE,
        Verdict.READING_CLOSED,
        Verdict.SEALING_WRONG,
        Verdict.NOT_CLEARED,
        Verdict.UNKNOWN_TRADE,
        Verdict.CURTAILMENT_WRONG,
        Verdict.NOT_SETTLED,
        Verdict.CARBON_UNBALANCED,
    }
    assert allotted > len(DAYS) // 2
    assert shown >= {
        Verdict.ACCEPTED,
        Verdict.INSUFFICIENT_FUNDS,
        Verdict.UNKNOWN_SEAL,
        Verdict.SEAL_BROKEN,
        Verdict.NOT_REVEALING,
    }
    assert ends >= {
        Verdict.ACCEPTED,
        Verdict.ALREADY_REGISTERED,
        Verdict.UNKNOWN_PARTY,
        Verdict.CURTAILMENT_WRONG,
        Verdict.CARBON_ALLOTTED,
        Verdict.CARBON_ENERGY_WRONG,
    }
    assert lines == set(LineKind) - {LineKind.TRANSFER, LineKind.COMPENSATION}


# Broken twins

Patch = pytest.MonkeyPatch


def at_once(kind: Kind) -> Callable[[Patch], None]:
    """The kind takes effect when it is executed instead of at the barrier."""
    _, _, apply = claims.APPLIED_IN_ORDER[kind]

    def handler(call: Call) -> Verdict:
        salt, arguments = call.sealed[:32], {}
        if kind in claims.OF_A_MARKET:
            arguments["market"] = call.rules.markets[call.body.market]
        return apply(call.draft, call.sender, call.body, call.payload, salt, **arguments)

    return lambda patch: patch.setitem(KINDS, kind, replace(KINDS[kind], handler=handler))


def as_they_came(self: Draft, name: str) -> list[str]:
    """`Draft.group` in the order in which keys first arrived."""
    keys = [key for key in self.state.group(name) if self.entry(key) is not None]
    return keys + [key for key in self._listed.get(name, {}) if key not in keys]


def unsorted(rows: Iterable[object], **_: object) -> list[object]:
    return list(rows)


def claims_by_arrival(patch: Patch) -> None:
    patch.setattr(Draft, "group", as_they_came)
    patch.setattr(claims, "sorted", unsorted, raising=False)


def queue_by_arrival(patch: Patch) -> None:
    patch.setattr(Draft, "group", as_they_came)
    patch.setattr(clearing, "sorted", unsorted, raising=False)


def deposits_lost_by_arrival(patch: Patch) -> None:
    patch.setattr(Draft, "group", as_they_came)
    patch.setattr(sealing, "sorted", unsorted, raising=False)


def the_last_word_counts(patch: Patch) -> None:
    def last(found: Iterable[Reading]) -> list[Reading]:
        chosen = {reading.meter: reading for reading in found}
        return [chosen[meter] for meter in sorted(chosen)]

    patch.setattr(readings, "sorted", unsorted, raising=False)
    for module in (readings, settling):
        patch.setattr(module, "choose_readings", last)


def a_fresh_salt_for_every_write(patch: Patch) -> None:
    honest = Draft.derived_salt

    def derived_salt(self: Draft, owner: str, purpose: str) -> bytes:
        return honest(self, owner, f"{purpose}/{len(self.state.entries)}")

    patch.setattr(Draft, "derived_salt", derived_salt)


TWINS: dict[str, Callable[[Patch], None]] = {
    **{
        f"{kind.name.lower()} at once": at_once(kind)
        for kind in (
            Kind.REGISTER_PARTICIPANT,
            Kind.REGISTER_METER,
            Kind.GRANT_ROLE,
            Kind.DEPOSIT,
            Kind.TARIFF,
            Kind.CURTAILMENT,
            Kind.MEMBER_CARBON,
            Kind.SLOT_CARBON,
        )
    },
    "deposits lost by arrival": deposits_lost_by_arrival,
    "claims by arrival": claims_by_arrival,
    "queue by arrival": queue_by_arrival,
    "the last word counts": the_last_word_counts,
    "a fresh salt for every write": a_fresh_salt_for_every_write,
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_twin_is_caught(twin: str, monkeypatch: Patch) -> None:
    TWINS[twin](monkeypatch)
    caught = False
    for sort in (sort for sort in DAYS if sort.tie == TieRule.TIME and not caught):
        expected = as_written(sort)
        chance = Random(sort.seed)
        caught = any(permuted(sort, chance) != expected for _ in range(10))
    assert caught
