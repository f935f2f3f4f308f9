"""A whole day in integers, from registration to `final`, with its market root.

Four members, three slots, hand-written orders and readings: both stages of the auction, equal
prices, a half unit, a cancelled order, a refused one, a withdrawal, a rotated key, a missing
delivery, a correction. No float, no profile and no clock comes near it, so the root is the same
on every machine and Python version. It is also written here: `make golden` cannot change it, and
whoever does writes a state-breaking entry into the CHANGELOG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gridpact.codec import decode
from gridpact.contracts.keys import credit_key
from gridpact.ledger import Document
from gridpact.model import AccountMode, Bill, BillLine, Phase, Quality, Side, SlotTariff, Verdict
from ledger_bench import (
    DAY,
    LENGTH_S,
    METERING,
    SLOT,
    UNIT,
    Bench,
    Signed,
)

MARKET_ROOT = "02dcb9f684d868e11f7b0ebc935f2cba9b442d2d136ce01157cc5bc36f211658"

NOON_S, ONE_S, TWO_S = (SLOT + i * LENGTH_S for i in range(3))
SLOTS = (NOON_S, ONE_S, TWO_S)
MEMBERS = ("ann", "bob", "dan", "eve")
EVENING = SlotTariff(350_000, 60_000, 15_000, "north", DAY)


class Telling:
    """Plays the day and writes down what becomes of it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.lines: list[str] = []
        self.documents: list[Document] = []

    def say(self, *columns: object) -> None:
        self.lines.append("  ".join(map(str, columns)).rstrip())

    def send(self, *transactions: Signed) -> list[Verdict]:
        told = self.bench.told(*transactions)
        assert self.bench.result is not None
        self.documents += self.bench.result.documents
        return told

    def accept(self, *transactions: Signed) -> None:
        assert set(self.send(*transactions)) == {Verdict.ACCEPTED}

    def move(self, phase: Phase, start_s: int, slots: int = 1) -> None:
        """A phase, and the root behind it."""
        bench = self.bench
        self.accept(bench.phase(phase, first_s=start_s, slots=slots))
        number, name = bench.application.phase, phase.name.lower()
        self.say(f"{number:>2}", f"{start_s - SLOT:>5}", f"{name:<9}", bench.market_root.hex())

    def orders(self, *placed: tuple[str, Side, int, int, int, int]) -> None:
        """(member, side, price, limit, energy, time), all in the slot that is open first."""
        bench = self.bench
        for start_s in SLOTS:
            if bench.slot(start_s).phase == Phase.OPEN:
                break
        for member, side, price, limit, energy_wh, time_ms in placed:
            sent = bench.order(
                member,
                side,
                price,
                energy_wh,
                limit=limit,
                slot_s=start_s,
                submitted_ms=time_ms,
            )
            (verdict,) = self.send(sent)
            self.say(
                f"order {member}",
                f"{side.name.lower():<5}",
                f"{energy_wh:>5} Wh",
                f"{price:>6}",
                f"limit {limit:>6}",
                f"time {time_ms}",
                verdict.name.lower(),
            )

    def readings(self, start_s: int, **net_wh: int) -> None:
        for member, net in net_wh.items():
            sent = self.bench.reading(member, max(0, -net), max(0, net), slot_s=start_s)
            self.accept(sent)
            self.say(f"reading {member}", f"{net:>+6} Wh")

    def trades(self, start_s: int) -> None:
        slot = self.bench.slot(start_s)
        for buyer in MEMBERS:
            for bought in self.bench.contracts(buyer, start_s):
                if bought.side != Side.BID:
                    continue
                (sold,) = (
                    contract
                    for contract in self.bench.contracts(bought.counterparty, start_s)
                    if contract.side == Side.OFFER and contract.trade == bought.trade
                )
                self.say(
                    f"trade {bought.trade} in stage {bought.stage}:",
                    f"{bought.counterparty} -> {buyer}",
                    f"{bought.energy_wh} Wh at {bought.price_sum_micro_per_kwh} / 2,",
                    f"paid {bought.payment_nano}, fee {bought.fee_nano}, got {sold.payment_nano}",
                )
        self.say(
            f"slot: {slot.orders} orders, {slot.trades} trades, {slot.traded_wh} Wh,",
            f"{slot.second_stage_wh} Wh in stage 2, turnover {slot.turnover_nano},",
            f"reference {slot.reference_price_micro_per_kwh}",
        )

    def accounts(self) -> None:
        bench = self.bench
        for member in MEMBERS:
            available, escrow = bench.account(member)
            self.say(f"account {member:<14}", f"{available:>12}", f"escrow {escrow}")
        for name in ("bank", "fund", "grid", "network.north"):
            self.say(f"account {name:<14}", f"{bench.system(name):>12}")

    def bills(self) -> None:
        for member in MEMBERS:
            self.account_of("bill", member, self.bench.bill(member))
            if self.bench.entry(credit_key(member, DAY)) is not None:
                self.account_of("credit", member, self.bench.credit(member).change)

    def account_of(self, what: str, member: str, bill: Bill) -> None:
        """A bill or a credit note, sums and lines."""
        self.say(
            f"{what} {member}: {bill.total_nano}",
            f"= {bill.purchases_nano} purchases {bill.sales_nano:+} sales",
            f"{bill.fees_nano:+} fees {bill.grid_import_nano:+} grid import",
            f"{bill.grid_export_nano:+} grid export;",
            f"{bill.bought_wh} Wh bought, {bill.sold_wh} sold,",
            f"{bill.grid_import_wh} from and {bill.grid_export_wh} to the grid",
        )
        for line in self.lines_of(f"{what}/{member}/{DAY}"):
            self.say(
                f"  {line.slot_start_s - SLOT:>5}",
                f"{line.kind.name.lower():<11}",
                f"{line.correction:>2}",
                f"{line.energy_wh:>5} Wh at {line.price_sum_micro_per_kwh} / 2",
                f"{line.amount_nano:>11}",
                line.reference,
            )

    def lines_of(self, series: str) -> Iterable[BillLine]:
        own = [document for document in self.documents if document.series == series]
        return [decode(BillLine, document.data) for document in own]


def day() -> Telling:
    telling = Telling()
    bench, say, accept, move = telling.bench, telling.say, telling.accept, telling.move
    say("# All amounts in nano, prices in micro per kWh; slots by their seconds after the first.")
    say("")
    say("[registration]")
    for member, mode, limit_nano, deposit_nano in (
        ("ann", AccountMode.PREPAID, 0, UNIT),
        ("bob", AccountMode.PREPAID, 0, UNIT // 2),
        ("dan", AccountMode.CREDIT_LIMIT, UNIT, 0),
        ("eve", AccountMode.POSTPAID, 0, 0),
    ):
        accept(bench.register(member, mode, limit_nano, submitted_ms=1))
        accept(bench.meter(member, reporter=METERING, submitted_ms=2))
        if deposit_nano:
            accept(bench.deposit(member, deposit_nano, submitted_ms=3))
        say(f"member {member}", mode.name.lower(), f"limit {limit_nano}", f"pays in {deposit_nano}")
    accept(bench.tariff(slots=2), bench.tariff(EVENING, first_s=TWO_S))
    move(Phase.OPEN, NOON_S, 3)

    bid, offer = Side.BID, Side.OFFER
    say("")
    say("[slot 0: two stages, a half unit, a cancelled order]")
    telling.orders(
        ("ann", bid, 200_000, 250_000, 1_001, 11),
        ("bob", offer, 100_001, 90_000, 601, 12),
        ("dan", bid, 120_000, 200_000, 500, 13),
        ("eve", offer, 180_000, 140_000, 700, 14),
        ("ann", bid, 90_000, 90_000, 50, 15),
        ("bob", offer, 70_000, 70_000, 10, 16),
        ("bob", offer, 300_000, 310_000, 10, 17),
    )
    accept(bench.cancel("ann", 2))
    say("cancelled: the second order of ann")
    move(Phase.CLOSED, NOON_S)
    move(Phase.CLEARED, NOON_S)
    telling.trades(NOON_S)
    move(Phase.DELIVERED, NOON_S)
    telling.readings(NOON_S, ann=-1_000, bob=601, dan=-120, eve=0)
    accept(bench.reading("eve", 0, 650, sender=METERING, version=2, quality=Quality.ESTIMATED))
    say("reading eve by the metering operator, version 2, estimated: +650 Wh")
    move(Phase.METERED, NOON_S)
    move(Phase.SETTLED, NOON_S)
    telling.accounts()

    say("")
    say("[slot 1: equal prices, a withdrawal, a new key, nothing delivered]")
    telling.orders(
        ("ann", offer, 150_000, 150_000, 300, 21),
        ("bob", offer, 150_000, 150_000, 600, 20),
        ("dan", bid, 150_000, 150_000, 301, 22),
        ("ann", bid, 300_000, 300_000, 10**7, 23),
    )
    accept(bench.withdraw("bob", 100_000_000), bench.rotate("dan", "dan-2", submitted_ms=24))
    say("withdrawn: 100000000 by bob; dan asks for another key")
    move(Phase.CLOSED, ONE_S)
    bench.use_key("dan", "dan-2")
    move(Phase.CLEARED, ONE_S)
    telling.trades(ONE_S)
    move(Phase.DELIVERED, ONE_S)
    telling.readings(ONE_S, ann=0, bob=201, dan=-301, eve=-2_000)
    move(Phase.METERED, ONE_S)
    move(Phase.SETTLED, ONE_S)
    telling.accounts()

    say("")
    say("[slot 2: another tariff, no trade, and a correction of slot 0]")
    telling.orders(
        ("dan", bid, 100_000, 100_000, 400, 31),
        ("eve", offer, 340_000, 340_000, 400, 32),
    )
    move(Phase.CLOSED, TWO_S)
    move(Phase.CLEARED, TWO_S)
    telling.trades(TWO_S)
    move(Phase.DELIVERED, TWO_S)
    telling.readings(TWO_S, ann=-1, bob=0, dan=-10, eve=999)
    accept(bench.reading("ann", 900, slot_s=NOON_S, version=2))
    say("reading ann of slot 0, version 2: -900 Wh")
    move(Phase.METERED, TWO_S)
    move(Phase.SETTLED, TWO_S)
    move(Phase.FINAL, NOON_S, 3)

    say("")
    say("[the end]")
    telling.accounts()
    telling.bills()
    say(f"market root {bench.market_root.hex()}")
    return telling


def test_the_integer_day(golden: Callable[[str, str], None]) -> None:
    golden("integer_day.txt", "\n".join(day().lines) + "\n")


def test_the_market_root_never_changes_unannounced() -> None:
    assert day().bench.market_root.hex() == MARKET_ROOT


def test_the_day_adds_up() -> None:
    telling = day()
    bench = telling.bench
    for member, paid_in in zip(MEMBERS, (UNIT, UNIT // 2 - UNIT // 10, 0, 0), strict=True):
        total = bench.bill(member).total_nano
        billed = telling.lines_of(f"bill/{member}/{DAY}")
        assert total == sum(line.amount_nano for line in billed)
        credited = telling.lines_of(f"credit/{member}/{DAY}")
        if credited:
            note = bench.credit(member)
            assert note.billed_nano == total
            assert note.change.total_nano == sum(line.amount_nano for line in credited)
            total += note.change.total_nano
        assert bool(credited) == (member == "ann")
        assert bench.account(member) == (paid_in + total, 0)
    metered = -900 + 601 - 120 + 650 + 201 - 301 - 2_000 - 1 - 10 + 999
    taken = sum(bench.slot(start_s).grid_import_wh for start_s in SLOTS)
    given = sum(bench.slot(start_s).grid_export_wh for start_s in SLOTS)
    assert given - taken == metered
