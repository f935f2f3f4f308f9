"""What each kind is told, fault by fault.

One line is one transaction on a fresh copy of the same small world. Inside a kind the lines go by
descending precedence: each has the fault of its verdict and, as far as they can come together,
the faults of the lines below it, so the verdict shown is the first in the documented order.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from tests.carbon_bench import with_carbon
from tests.carbon_rows import (
    ALLOTTED_S,
    HEAVY,
    carbon_at_the_barrier,
    member_carbons,
    settle_two,
    slot_carbons,
)

import trace_rows
from bargain_rows import MARKET_OF_BARGAINS, clearings, microgrids, open_bargains
from gridpact.codec import Wire, decode, encode, sha256
from gridpact.contracts import Application, Candidate
from gridpact.contracts.bodies import (
    BatchPayload,
    CancelOrder,
    CloseAccount,
    Curtail,
    CurtailedTrade,
    CurtailmentPayload,
    Deposit,
    GrantRole,
    Kind,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    ParticipantPayload,
    PlaceOrder,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportBatch,
    ReportReading,
    RevealOrder,
    RotateKey,
    SealOrder,
    SetTariff,
    SlotReading,
    Withdraw,
    order_commitment,
)
from gridpact.ledger.envelope import Envelope, sealed_payload
from gridpact.model import (
    AccountMode,
    Phase,
    Quality,
    Role,
    Side,
    SlotTariff,
    Verdict,
)
from gridpact.node import SimulatedKeys
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    AUDITOR,
    DAY,
    DELAY_S,
    LENGTH_S,
    MARKET,
    METERING,
    NEVER,
    OPERATOR,
    OTHER_LENGTH_S,
    OTHER_MARKET,
    PRICES,
    SEAL_SALT,
    SLOT,
    TARIFF,
    UNIT,
    VALIDATORS,
    Bench,
    Signed,
    genesis_with,
    verify_once,
)

GUEST = "guest"
"""A member by role who is no participant."""
FINAL_S, DELIVERED_S, CLOSED_S, OPEN_S, DEAR_S, FULL_S, BARE_S, CLEARED_S = (
    SLOT + i * LENGTH_S for i in range(8)
)
"""Slots by what has become of them; the dear one has the highest tariff that fits, the full one
more turnover than fits, the bare one no tariff; of the cleared one's two trades the second, of
301 Wh, is curtailed."""
SEALED = OTHER_MARKET
"""Takes sealed orders."""
SHUT_S, SEALED_S, LATER_S = (SLOT + i * OTHER_LENGTH_S for i in range(3))
"""Its slots: one where orders are revealed, one where they are sealed, one that is not open."""
HIDDEN = OrderPayload(Side.BID, 200_000, 1_000, 200_000, 0)
"""Inside every seal."""
DEAR = SlotTariff(QUANTITY_MAX, 0, 0, "north", DAY)
TIGHT = SlotTariff(100_000, 80_000, 20_000, "north", DAY)
"""Nothing left between feed-in with fee and retail."""
LATE_S = BARE_S + LENGTH_S + DELAY_S
LIMIT_SLOTS = 4096


def world() -> Bench:
    """Ann has 1.0, three open and three sealed orders, Eve neither money nor meter, Dan, Fay and
    Gus pay later; Dan has one order to reveal; of one slot Fay has not reported yet; two slots are
    settled, one with its carbon."""
    keys = SimulatedKeys(7)
    genesis = genesis_with(keys, parties=[(GUEST, Role.MEMBER)], other_deposit_nano=1_000)
    markets = [*genesis.markets, MARKET_OF_BARGAINS]
    genesis = msgspec.structs.replace(genesis, markets=markets)
    bench = Bench(with_carbon(genesis, HEAVY), keys)
    bench.join("ann", deposit_nano=UNIT)
    bench.join("dan", "fay", "gus", mode=AccountMode.POSTPAID)
    settle_two(bench)
    bench.accept(bench.register("eve"))
    bench.accept(bench.tariff(slots=4), bench.tariff(DEAR, first_s=DEAR_S, slots=2))
    bench.move(Phase.OPEN, slots=4)
    bench.move(Phase.OPEN, first_s=DEAR_S, slots=2)
    for member in ("dan", "fay", "gus"):
        bench.accept(bench.bid(member, QUANTITY_MAX, QUANTITY_MAX, slot_s=FULL_S))
    bench.accept(
        *(bench.offer("ann", QUANTITY_MAX, QUANTITY_MAX, slot_s=FULL_S) for _ in "abc"),
        *(bench.bid("ann", 80_000, 1, slot_s=OPEN_S) for _ in "abc"),
    )
    bench.move(Phase.CLOSED, slots=3)
    bench.move(Phase.CLOSED, first_s=FULL_S)
    bench.walk(Phase.CLEARED, slots=2)
    bench.move(Phase.DELIVERED, slots=2)
    for member in ("ann", "dan", "fay", "gus"):
        bench.accept(bench.reading(member, slot_s=FINAL_S))
    bench.walk(Phase.FINAL, first_s=FINAL_S)
    bench.accept(bench.reading("ann", version=2, slot_s=DELIVERED_S))
    bench.accept(*(bench.reading(member, slot_s=DELIVERED_S) for member in ("dan", "gus")))
    bench.accept(
        bench.tariff(first_s=CLEARED_S),
        bench.tariff(first_s=SHUT_S, slots=2, market=SEALED),
    )
    bench.move(Phase.OPEN, first_s=CLEARED_S)
    bench.accept(
        bench.bid("dan", 200_000, 1_000, slot_s=CLEARED_S),
        bench.offer("fay", 100_000, 600, slot_s=CLEARED_S),
        bench.offer("gus", 100_001, 301, slot_s=CLEARED_S),
    )
    bench.walk(Phase.CLEARED, first_s=CLEARED_S)
    bench.accept(bench.curtailment((1, 1, "line-7"), slot_s=CLEARED_S))
    bench.accept(bench.phase(Phase.OPEN, first_s=SHUT_S, slots=2, market=SEALED))
    bench.accept(sealed(bench, "dan", SHUT_S), *(sealed(bench, "ann", SEALED_S) for _ in "abc"))
    bench.accept(bench.phase(Phase.CLOSED, first_s=SHUT_S, market=SEALED))
    open_bargains(bench)
    trace_rows.open_traces(bench, pass_barrier)
    return bench


def sealed(bench: Bench, sender: str, start_s: int) -> Signed:
    hashed = sha256(sealed_payload(SEAL_SALT, HIDDEN))
    commitment = order_commitment(sender, SEALED, start_s, hashed)
    return bench.write(sender, Kind.SEALED_ORDER, SealOrder(SEALED, start_s, commitment))


def fork(bench: Bench) -> Bench:
    """The same chain once more, to go another way."""
    copy = Bench(bench.genesis, bench.keys)
    here = bench.application
    copy.application = Application(bench.genesis, here.engine, verify_once)
    copy.application.restore(here.state.entries.items(), here.height, here.last_hash)
    copy.wallet._nonces.update(bench.wallet._nonces)
    return copy


class Odd(Wire, frozen=True):
    """A payload that no kind has."""

    odd: int


Write = Callable[[Bench], Signed]
Row = tuple[str, str, Write]
"""(faults, sender, transaction)"""


def row(kind: Kind) -> Callable[..., Row]:
    """Makes rows of one kind."""

    def make(
        faults: str,
        sender: str,
        body: Wire,
        payload: Wire | None = None,
        expiry_s: int = NEVER,
        salt: bytes = b"",
    ) -> Row:
        return (
            faults,
            sender,
            lambda bench: bench.write(sender, kind, body, payload, expiry_s=expiry_s, salt=salt),
        )

    return make


KEY = bytes(32)

# At the door


def spoilt(bench: Bench, **fields: object) -> Signed:
    raw, sealed = order_of_ann(bench)
    return encode(msgspec.structs.replace(decode(Envelope, raw), **fields)), sealed


def order_of_ann(bench: Bench, **more: object) -> Signed:
    body, payload = PlaceOrder(MARKET, OPEN_S), OrderPayload(Side.BID, 200_000, 1, 200_000, 0)
    arguments = {"nonce": bench.party("ann").nonce + 1, **more}
    return bench.sign("ann", Kind.ORDER, body, payload, **arguments)


ENVELOPES: list[Row] = [
    (
        "one byte above the cap, all zero",
        "ann",
        lambda b: (bytes(b.genesis.limits.envelope_bytes + 1), b""),
    ),
    ("a byte short", "ann", lambda b: (order_of_ann(b)[0][:-1], b"")),
    (
        "version 2, kind 99, no body, no payload hash",
        "ann",
        lambda b: spoilt(b, version=2, kind=99, public=b"", payload_hash=b""),
    ),
    (
        "kind 99, no body, no payload hash",
        "ann",
        lambda b: spoilt(b, kind=99, public=b"", payload_hash=b""),
    ),
    ("no body, no payload hash", "ann", lambda b: spoilt(b, public=b"", payload_hash=b"")),
    ("no payload hash", "ann", lambda b: spoilt(b, payload_hash=b"")),
    ("another payload", "ann", lambda b: (order_of_ann(b)[0], bytes(40))),
    (
        "unknown, key of ann, nonce 9",
        "zoe",
        lambda b: b.sign("zoe", Kind.ROTATE_KEY, RotateKey(KEY, 0), nonce=9, key_of="ann"),
    ),
    ("key of eve, nonce 1, expired", "ann", lambda b: order_of_ann(b, key_of="eve", nonce=1)),
    ("nonce 1, expired", "ann", lambda b: order_of_ann(b, nonce=1, expiry_s=0)),
    ("nonce 99, expired", "ann", lambda b: order_of_ann(b, nonce=99, expiry_s=0)),
]

# Claims: what a transaction is told, and below what its claim is told at the barrier

MEMBER = ParticipantPayload(bytes(32), AccountMode.PREPAID, 0)
ONE, MOST = MoneyPayload(1, ""), MoneyPayload(2**62, "")


def registrations() -> list[Row]:
    make = row(Kind.REGISTER_PARTICIPANT)
    taken, new = RegisterParticipant("ann", KEY, 0), RegisterParticipant("zoe", KEY, 0)
    return [
        make("expired, odd payload, no role, id taken", AUDITOR, taken, Odd(1), 0),
        make("odd payload, no role, id taken", AUDITOR, taken, Odd(1)),
        make("no role, id taken", AUDITOR, taken, MEMBER),
        make("id taken", OPERATOR, taken, MEMBER),
        make("", OPERATOR, new, MEMBER),
    ]


def meters() -> list[Row]:
    make = row(Kind.REGISTER_METER)
    taken = RegisterMeter("ann.meter", KEY, "nobody", "nobody", 0)
    return [
        make("expired, no role, id taken, unknown owner", AUDITOR, taken, None, 0),
        make("no role, id taken, unknown owner", AUDITOR, taken),
        make("id taken, unknown owner", OPERATOR, taken),
        make("", METERING, RegisterMeter("eve.meter", KEY, "eve", METERING, 0)),
    ]


def grants() -> list[Row]:
    make = row(Kind.GRANT_ROLE)
    body = GrantRole("ann", int(Role.ISSUER), 1, 0)
    return [
        make("expired, no role", AUDITOR, body, None, 0),
        make("no role", AUDITOR, body),
        make("", OPERATOR, body),
    ]


def rotations() -> list[Row]:
    make = row(Kind.ROTATE_KEY)
    return [
        make("expired", AUDITOR, RotateKey(KEY, 0), None, 0),
        make("", AUDITOR, RotateKey(KEY, 0)),
    ]


def closings() -> list[Row]:
    make = row(Kind.CLOSE_ACCOUNT)
    body = CloseAccount("nobody", 0)
    return [
        make("expired, no role", AUDITOR, body, None, 0),
        make("no role", AUDITOR, body),
        make("", OPERATOR, body),
    ]


def deposits() -> list[Row]:
    make = row(Kind.DEPOSIT)
    body = Deposit("nobody", 0)
    return [
        make("expired, odd payload, no role", AUDITOR, body, Odd(1), 0),
        make("odd payload, no role", AUDITOR, body, Odd(1)),
        make("no role", AUDITOR, body, ONE),
        make("", OPERATOR, Deposit("ann", 0), ONE),
    ]


def withdrawals() -> list[Row]:
    make = row(Kind.WITHDRAW)
    body = Withdraw(0)
    return [
        make("expired, odd payload, no role", AUDITOR, body, Odd(1), 0),
        make("odd payload, no role", AUDITOR, body, Odd(1)),
        make("no role", AUDITOR, body, MOST),
        make("no account, no funds", GUEST, body, MOST),
        make("no funds", "ann", body, MOST),
        make("no funds but credit", "fay", body, MOST),
        make("", "ann", body, ONE),
    ]


def tariffs() -> list[Row]:
    make = row(Kind.TARIFF)

    def body(
        market: str = MARKET, first_s: int = OPEN_S, slots: int = 1, prices: SlotTariff = TIGHT
    ) -> SetTariff:
        return SetTariff(market, first_s, slots, prices, 0)

    return [
        make("expired, no role, no market, misaligned, no room", AUDITOR, body("lv9", 1), None, 0),
        make("no role, no market, misaligned, no room", AUDITOR, body("lv9", 1)),
        make("no market, misaligned, no room", PRICES, body("lv9", 1)),
        make("misaligned, no room", PRICES, body(first_s=BARE_S + 1)),
        make("too long, no room, open", PRICES, body(slots=LIMIT_SLOTS + 1)),
        make("beyond 64 bits, no room", PRICES, body(first_s=LAST_S, slots=2)),
        make("no room", PRICES, body(first_s=BARE_S)),
        make("slot is open", PRICES, body(prices=TARIFF)),
        make("slot is final", PRICES, body(first_s=FINAL_S, prices=TARIFF)),
        make("", PRICES, body(first_s=BARE_S, prices=TARIFF)),
    ]


LAST_S = (2**63 - 1) // LENGTH_S * LENGTH_S

# At once


def orders() -> list[Row]:
    make = row(Kind.ORDER)

    def bid(price: int, energy_wh: int, limit: int) -> OrderPayload:
        return OrderPayload(Side.BID, price, energy_wh, limit, 0)

    none, shut, here = (
        PlaceOrder("lv9", 1),
        PlaceOrder(MARKET, CLOSED_S),
        PlaceOrder(MARKET, OPEN_S),
    )
    cheap, crossed = bid(1, QUANTITY_MAX, 0), bid(200_000, QUANTITY_MAX, 100_000)
    dear = bid(200_000, QUANTITY_MAX, 200_000)
    offer = OrderPayload(Side.OFFER, 300_000, 1, 300_000, 0)
    return [
        make("expired, odd payload, no role, no market", AUDITOR, none, Odd(1), 0),
        make("odd payload, no role, no market", AUDITOR, none, Odd(1)),
        make("no role, no market", AUDITOR, none, cheap),
        make("no market, no account, out of band", GUEST, none, cheap),
        make("no slot, no account, out of band", GUEST, PlaceOrder(MARKET, BARE_S), cheap),
        make("no account, gate closed, out of band", GUEST, shut, cheap),
        make("gate closed, out of band, crossed, no funds", "eve", shut, cheap),
        make("out of band, crossed, no funds, no meter", "eve", here, cheap),
        make("crossed, no funds, no meter", "eve", here, crossed),
        make("three open orders, no funds", "ann", here, dear),
        make("no funds, no meter", "eve", here, dear),
        make(
            "debt has an end",
            "dan",
            PlaceOrder(MARKET, DEAR_S),
            bid(QUANTITY_MAX, QUANTITY_MAX, QUANTITY_MAX),
        ),
        make("no meter", "eve", here, offer),
        make("sealed market", "dan", PlaceOrder(SEALED, SEALED_S), HIDDEN),
        make("", "dan", here, bid(200_000, 1_000, 250_000)),
    ]


def cancels() -> list[Row]:
    make = row(Kind.CANCEL)
    return [
        make("expired, no role, no slot", AUDITOR, CancelOrder("lv9", 1, 99), None, 0),
        make("no role, no slot", AUDITOR, CancelOrder("lv9", 1, 99)),
        make("no slot, no order", "ann", CancelOrder("lv9", 1, 99)),
        make("gate closed, no order", "ann", CancelOrder(MARKET, CLOSED_S, 99)),
        make("no order", "ann", CancelOrder(MARKET, OPEN_S, 99)),
        make("an order of ann", "eve", CancelOrder(MARKET, OPEN_S, 4)),
        make("", "ann", CancelOrder(MARKET, OPEN_S, 4)),
        make("a sealed order", "ann", CancelOrder(SEALED, SEALED_S, 7)),
    ]


def seals() -> list[Row]:
    make = row(Kind.SEALED_ORDER)
    none, shut = SealOrder("lv9", 1, KEY), SealOrder(SEALED, SHUT_S, KEY)
    here, elsewhere = SealOrder(SEALED, SEALED_S, KEY), SealOrder(MARKET, OPEN_S, KEY)
    return [
        make("expired, no role, no market", AUDITOR, none, None, 0),
        make("no role, no market", AUDITOR, none),
        make("no market, no account", GUEST, none),
        make("no slot, no account", GUEST, SealOrder(SEALED, LATER_S, KEY)),
        make("no account, gate closed", GUEST, shut),
        make("gate closed, no funds, no meter", "eve", shut),
        make("three sealed orders", "ann", here),
        make("no funds, no meter", "eve", here),
        make("no meter, open market", "eve", elsewhere),
        make("open market", "dan", elsewhere),
        make("", "dan", here),
    ]


def reveals() -> list[Row]:
    make = row(Kind.REVEAL)
    none = RevealOrder("lv9", 1, 99)
    shut, here = RevealOrder(SEALED, SHUT_S, 99), RevealOrder(SEALED, SEALED_S, 7)
    replace = msgspec.structs.replace
    cheap = replace(HIDDEN, price_micro_per_kwh=1, limit_micro_per_kwh=0)
    crossed = replace(HIDDEN, limit_micro_per_kwh=100_000)
    other = replace(HIDDEN, energy_wh=999)
    return [
        make("expired, odd payload, no role, no slot", AUDITOR, none, Odd(1), 0),
        make("odd payload, no role, no slot", AUDITOR, none, Odd(1)),
        make("no role, no slot", AUDITOR, none, cheap),
        make("no slot, no account, out of band", GUEST, none, cheap),
        make("no account, out of band, no seal", GUEST, shut, cheap),
        make("out of band, crossed, no funds, no seal", "eve", shut, cheap),
        make("crossed, no funds, no seal", "eve", shut, crossed),
        make("no funds, no seal", "eve", shut, HIDDEN),
        make("no seal of this nonce, gate open", "ann", replace(here, order_nonce=99), HIDDEN),
        make("a seal of dan", "fay", RevealOrder(SEALED, SHUT_S, 3), HIDDEN, salt=SEAL_SALT),
        make("another order, gate open", "ann", here, other, salt=SEAL_SALT),
        make("another salt, gate open", "ann", here, HIDDEN),
        make("gate open", "ann", here, HIDDEN, salt=SEAL_SALT),
        make("", "dan", RevealOrder(SEALED, SHUT_S, 3), HIDDEN, salt=SEAL_SALT),
    ]


def curtailments() -> list[Row]:
    make = row(Kind.CURTAILMENT)
    none, early = Curtail("lv9", 1, 0), Curtail(MARKET, OPEN_S, 0)
    here = Curtail(MARKET, CLEARED_S, 0)

    def cut(*trades: tuple[int, int]) -> CurtailmentPayload:
        return CurtailmentPayload([CurtailedTrade(trade, wh, "line-7") for trade, wh in trades])

    return [
        make("expired, odd payload, no role, no slot", AUDITOR, none, Odd(1), 0),
        make("odd payload, no role, no slot", AUDITOR, none, Odd(1)),
        make("no role, no slot", AUDITOR, none, cut((9, 1))),
        make("no slot, no trade", OPERATOR, none, cut((9, 1))),
        make("not cleared, no trade", OPERATOR, early, cut((9, 1))),
        make("delivered", OPERATOR, Curtail(MARKET, DELIVERED_S, 0), cut((9, 1))),
        make("no trade, another twice", OPERATOR, here, cut((0, 1), (0, 1), (9, 1))),
        make("one trade twice", OPERATOR, here, cut((0, 1), (0, 1))),
        make("one Wh more than the trade", OPERATOR, here, cut((0, 601))),
        make("curtailed already", OPERATOR, here, cut((1, 1))),
        make("", OPERATOR, here, cut((0, 600))),
    ]


def phases() -> list[Row]:
    make = row(Kind.PHASE)
    validator = VALIDATORS[0]

    def body(
        phase: Phase, first_s: int, *, off: int = 0, market: str = MARKET, not_before_s: int = 0
    ) -> Callable[[Bench], MovePhase]:
        return lambda b: MovePhase(
            market, b.application.phase + 1 + off, phase, first_s, 1, not_before_s
        )

    def moved(
        faults: str, sender: str, write: Callable[[Bench], MovePhase], expiry_s: int = NEVER
    ) -> Row:
        return faults, sender, lambda b: make("", sender, write(b), None, expiry_s)[2](b)

    def twice(bench: Bench) -> Signed:
        vote = body(Phase.OPEN, BARE_S, not_before_s=LATE_S)(bench)
        bench.accept(bench.write(validator, Kind.PHASE, vote), time_s=LATE_S)
        return bench.write(validator, Kind.PHASE, vote)

    wrong = body(Phase.FINAL, OPEN_S + 1, off=5, market="lv9")
    numbered = body(Phase.FINAL, OPEN_S + 1, off=5)
    return [
        moved("expired, no role, no market, number off", AUDITOR, wrong, 0),
        moved("no role, no market, number off", AUDITOR, wrong),
        moved("no market, number off, misaligned, early", validator, wrong),
        moved("number off, misaligned, skipping, early", validator, numbered),
        moved("misaligned, skipping, early", validator, body(Phase.FINAL, OPEN_S + 1)),
        moved("skipping, early", validator, body(Phase.FINAL, OPEN_S)),
        moved("early, no reading of fay", validator, body(Phase.METERED, DELIVERED_S)),
        ("voted already, no tariff", validator, twice),
        moved("no reading of fay", OPERATOR, body(Phase.METERED, DELIVERED_S)),
        moved("no tariff", OPERATOR, body(Phase.OPEN, BARE_S)),
        moved("64 bits are full", OPERATOR, body(Phase.CLEARED, FULL_S)),
        moved("", OPERATOR, body(Phase.CLEARED, CLOSED_S)),
        moved("a bare barrier", OPERATOR, body(Phase.FINAL, FINAL_S)),
        moved("a vote", validator, body(Phase.CLEARED, CLOSED_S, not_before_s=LATE_S)),
    ]


def reports() -> list[Row]:
    make = row(Kind.READING)
    good = ReadingPayload(1, Quality.MEASURED, 0, 0)
    none = ReportReading("lv9", 1, "eve", "ann.meter")
    return [
        make("expired, odd payload, no role, no slot", AUDITOR, none, Odd(1), 0),
        make("odd payload, no role, no slot", AUDITOR, none, Odd(1)),
        make("no role, no slot", AUDITOR, none, good),
        make("no slot, foreign meter", METERING, none, good),
        make(
            "not delivered, foreign meter",
            METERING,
            ReportReading(MARKET, CLOSED_S, "ann", "ann.meter"),
            good,
        ),
        make(
            "foreign meter, slot is final",
            METERING,
            ReportReading(MARKET, FINAL_S, "ann", "ann.meter"),
            good,
        ),
        make(
            "version 1 after 2",
            "ann.meter",
            ReportReading(MARKET, DELIVERED_S, "ann", "ann.meter"),
            good,
        ),
        make(
            "slot is final", "ann.meter", ReportReading(MARKET, FINAL_S, "ann", "ann.meter"), good
        ),
        make(
            "carbon is allotted",
            "ann.meter",
            ReportReading(MARKET, ALLOTTED_S, "ann", "ann.meter"),
            GOOD,
        ),
        make("", "dan.meter", ReportReading(MARKET, DELIVERED_S, "dan", "dan.meter"), GOOD),
    ]


def batches() -> list[Row]:
    make = row(Kind.READING_BATCH)

    def body(first_s: int, owner: str = "ann", market: str = MARKET) -> ReportBatch:
        return ReportBatch(market, first_s, owner, f"{owner}.meter")

    def seen(slots: int, version: int = 1) -> BatchPayload:
        return BatchPayload(version, [SlotReading(Quality.MEASURED, 0, 0)] * slots)

    none, own = body(1, market="lv9"), "ann.meter"
    return [
        make("expired, odd payload, no role, no market", AUDITOR, none, Odd(1), 0),
        make("odd payload, no role, no market", AUDITOR, none, Odd(1)),
        make("no role, no market", AUDITOR, none, seen(1)),
        make("no market, misaligned, foreign meter", METERING, none, seen(1)),
        make("no slot, one not delivered", own, body(FULL_S), seen(2)),
        make("misaligned, foreign meter", METERING, body(SLOT + 1), seen(1)),
        make("too long, foreign meter", METERING, body(SLOT), seen(LIMIT_SLOTS + 1)),
        make("one not delivered, one stale", own, body(DELIVERED_S), seen(2)),
        make("foreign meter, one final", METERING, body(FINAL_S), seen(2)),
        make("one stale, one final", own, body(FINAL_S), seen(2, 2)),
        make("one final", own, body(FINAL_S), seen(2, 3)),
        make("one with its carbon", own, body(ALLOTTED_S), seen(2, 3)),
        make("", own, body(DELIVERED_S), seen(1, 3)),
    ]


GOOD = ReadingPayload(2, Quality.MEASURED, 0, 0)


# At the barrier


def barrier_rows() -> list[Row]:
    """The last transaction of each is accepted; what its claim comes to is shown."""

    def rival(bench: Bench) -> Signed:
        bench.accept(bench.register("zoe", submitted_ms=1))
        return bench.register("zoe", submitted_ms=2)

    def rival_meter(bench: Bench) -> Signed:
        bench.accept(bench.meter("ann", "roof"))
        return bench.meter("eve", "roof")

    def overpaid(bench: Bench) -> Signed:
        bench.accept(bench.deposit("ann", 2**62))
        return bench.deposit("ann", 2**62)

    def close(participant: str) -> Write:
        body = CloseAccount(participant, 0)
        return lambda bench: bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, body)

    def cut_twice(bench: Bench) -> Signed:
        cut = (0, 1, "line-7")
        bench.accept(bench.curtailment(cut, slot_s=CLEARED_S, submitted_ms=1))
        return bench.curtailment(cut, slot_s=CLEARED_S, submitted_ms=2)

    return [
        ("owner unknown", OPERATOR, lambda b: b.meter("nobody", "x")),
        ("reporter unknown", OPERATOR, lambda b: b.meter("eve", "x", reporter="nobody")),
        ("a rival meter", OPERATOR, rival_meter),
        ("a rival signed earlier", OPERATOR, rival),
        ("role of nobody", OPERATOR, lambda b: b.grant("nobody", Role.ISSUER)),
        ("deposit for nobody", OPERATOR, lambda b: b.deposit("nobody", 1)),
        ("deposit for a party without account", OPERATOR, lambda b: b.deposit(AUDITOR, 1)),
        ("end of a party without account", OPERATOR, close(AUDITOR)),
        ("64 bits are full", OPERATOR, overpaid),
        ("a curtailment signed earlier", OPERATOR, cut_twice),
        ("end of a member with open orders", OPERATOR, close("ann")),
        *carbon_at_the_barrier(OPERATOR),
        ("", OPERATOR, close("eve")),
        (
            "",
            OPERATOR,
            lambda b: b.curtailment((0, 600, "line-7"), slot_s=CLEARED_S),
        ),
        ("", OPERATOR, lambda b: b.register("zoe")),
        ("", "ann", lambda b: b.withdraw("ann", 1)),
    ]


def pass_barrier(bench: Bench) -> None:
    """Slots far away open."""
    start_s = BARE_S + LENGTH_S * (1 + bench.application.phase)
    bench.accept(bench.tariff(first_s=start_s))
    bench.move(Phase.OPEN, first_s=start_s)


# The table


def told(bench: Bench, write: Write) -> Verdict:
    sent = write(bench)
    (receipt,) = bench.decide(sent, time_s=NEVER).receipts
    return Verdict(receipt.verdict)


def told_at_barrier(bench: Bench, write: Write) -> Verdict:
    sent = write(bench)
    assert bench.told(sent) == [Verdict.ACCEPTED]
    candidate = bench.candidate(*sent)
    assert isinstance(candidate, Candidate)
    envelope = candidate.transaction.envelope
    pass_barrier(bench)
    return bench.events[f"claim/{envelope.sender}/{envelope.nonce}"]


TABLE: list[tuple[str, list[Row]]] = [
    ("any kind", ENVELOPES),
    ("register_participant", registrations()),
    ("register_meter", meters()),
    ("grant_role", grants()),
    ("rotate_key", rotations()),
    ("close_account", closings()),
    ("deposit", deposits()),
    ("withdraw", withdrawals()),
    ("tariff", tariffs()),
    ("order", orders()),
    ("cancel", cancels()),
    ("phase", phases()),
    ("sealed_order", seals()),
    ("reveal", reveals()),
    ("curtailment", curtailments()),
    ("bid", microgrids(row(Kind.BID), Odd(1), AUDITOR, GUEST, OPEN_S)),
    ("clearing", clearings(row(Kind.CLEARING), Odd(1), AUDITOR, OPERATOR, OPEN_S)),
    ("reading", reports()),
    ("reading_batch", batches()),
    ("member_carbon", member_carbons(row(Kind.MEMBER_CARBON), Odd(1))),
    ("slot_carbon", slot_carbons(row(Kind.SLOT_CARBON))),
    ("trace_request", trace_rows.requests(row(Kind.TRACE_REQUEST), AUDITOR)),
    ("trace_package", trace_rows.packages(row(Kind.TRACE_PACKAGE), AUDITOR)),
    ("trace_result", trace_rows.results(row(Kind.TRACE_RESULT), AUDITOR)),
    ("trace_judgement", trace_rows.judgements(row(Kind.TRACE_JUDGEMENT), AUDITOR)),
    ("trace_rates", trace_rows.rates(row(Kind.TRACE_RATES), AUDITOR)),
]


def block(
    title: str, rows: list[Row], start: Bench, judge: Callable[[Bench, Write], Verdict]
) -> tuple[list[str], list[Verdict]]:
    lines, verdicts = [], []
    for faults, sender, write in rows:
        verdict = judge(fork(start), write)
        verdicts.append(verdict)
        shown = f"{title:<21} {sender:<10} {int(verdict):>6}  {verdict.name:<31} {faults}"
        lines.append(shown.rstrip())
    return [*lines, ""], verdicts


def test_every_fault_of_every_kind(golden: Callable[[str, str], None]) -> None:
    start = world()
    lines = [
        "# One transaction a line, on a fresh copy of one world; its faults, and what it is told.",
        f"{'kind':<21} {'sender':<10} number  {'verdict':<31} faults",
        "",
    ]
    shown: set[Verdict] = set()
    for title, rows in TABLE:
        text, verdicts = block(title, rows, start, told)
        lines += text
        refused = [verdict for verdict in verdicts if verdict != Verdict.ACCEPTED]
        assert refused == sorted(refused), f"{title}: not by descending precedence"
        shown |= set(verdicts)
    lines.append("# What waits for a barrier is accepted first; this is what its claim comes to.")
    text, verdicts = block("at the barrier", barrier_rows(), start, told_at_barrier)
    golden("verdicts.txt", "\n".join([*lines, *text]))
    unseen = set(Verdict) - shown - set(verdicts)
    assert unseen == {Verdict.MEMPOOL_FULL}, "judged by the host, not by the application"


def test_the_table_has_a_block_for_every_kind() -> None:
    assert [title for title, _ in TABLE[1:]] == [kind.name.lower() for kind in Kind]
