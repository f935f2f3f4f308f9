"""Goal: what the grid cannot carry is lost on both sides, named on both bills, paid by nobody.

Import 0.30, export 0.08, network fee 0.02 per kWh; every member starts with 10.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import msgspec
import pytest

from gridpact.codec import Wire, decode
from gridpact.contracts import curtailing
from gridpact.contracts.bodies import Curtail, CurtailedTrade, CurtailmentPayload, Kind
from gridpact.contracts.keys import position_group, position_key
from gridpact.ledger import Draft
from gridpact.model import (
    BillLine,
    Contract,
    LineKind,
    Phase,
    Role,
    Side,
    SlotContracts,
    Verdict,
)
from gridpact.node import SimulatedKeys
from ledger_bench import (
    DAY,
    LENGTH_S,
    MARKET,
    METERING,
    OPERATOR,
    OTHER_LENGTH_S,
    OTHER_MARKET,
    SLOT,
    UNIT,
    Bench,
    genesis_with,
)

TEN = 10 * UNIT
NEXT = SLOT + LENGTH_S
DSO = "dso"
FIRST, SECOND = f"{MARKET}.{SLOT}.0", f"{MARKET}.{SLOT}.1"
PURCHASE, SALE, FEE, IMPORT, EXPORT, UNDELIVERABLE = list(LineKind)[:6]


@pytest.fixture
def bench() -> Bench:
    """Ann buys 600 Wh of Bob at 0.15, then 301 of Dan at 0.1500005; `SLOT` is cleared."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, parties=[(DSO, Role.GRID_COMPANY)]), keys)
    bench.join("ann", "bob", "dan", deposit_nano=TEN)
    bench.open(slots=2)
    bench.accept(
        bench.bid("ann", 200_000, 1_000),
        bench.offer("bob", 100_000, 600),
        bench.offer("dan", 100_001, 301),
    )
    bench.walk(Phase.CLEARED)
    return bench


def cuts(bench: Bench, member: str) -> list[tuple[int, int, str]]:
    """(trade, Wh lost, where) of a member's contracts."""
    return [(c.trade, c.curtailed_wh, c.bound_by) for c in bench.contracts(member)]


def report(bench: Bench, **net_wh: int) -> None:
    """Net readings, + = injection."""
    for member, net in net_wh.items():
        bench.accept(bench.reading(member, max(0, -net), max(0, net)))


def settled(bench: Bench, ann: int, bob: int, dan: int) -> dict[str, list[BillLine]]:
    """The lines of everybody's bill when the meters have said this."""
    bench.walk(Phase.DELIVERED)
    report(bench, ann=ann, bob=bob, dan=dan)
    bench.walk(Phase.SETTLED)
    assert bench.result is not None
    lines: dict[str, list[BillLine]] = {"ann": [], "bob": [], "dan": []}
    for document in bench.result.documents:
        lines[document.owner].append(decode(BillLine, document.data))
    return lines


# Both sides


def test_it_waits_for_the_barrier_and_then_stands_on_both_contracts(bench: Bench) -> None:
    before = {member: bench.account(member) for member in ("ann", "bob", "dan")}
    bench.accept(bench.curtailment((0, 200, "line-7")))
    assert cuts(bench, "ann") == [(0, 0, ""), (1, 0, "")]
    assert bench.slot().curtailed_wh == 0
    bench.move(Phase.DELIVERED)
    assert bench.events[f"claim/{OPERATOR}/13"] == Verdict.ACCEPTED
    assert cuts(bench, "ann") == [(0, 200, "line-7"), (1, 0, "")]
    assert cuts(bench, "bob") == [(0, 200, "line-7")]
    assert cuts(bench, "dan") == [(1, 0, "")]
    assert (bench.slot().curtailed_wh, bench.slot().traded_wh) == (200, 901)
    assert {member: bench.account(member) for member in before} == before


def test_nothing_else_of_a_contract_changes(bench: Bench) -> None:
    (agreed,) = bench.contracts("bob")
    assert agreed == Contract(0, Side.OFFER, 1, "ann", 1, 600, 300_000, 90_000_000, 0, 0, "")
    bench.accept(bench.curtailment((0, 200, "line-7")))
    bench.move(Phase.DELIVERED)
    changed = msgspec.structs.replace(agreed, curtailed_wh=200, bound_by="line-7")
    assert bench.contracts("bob") == [changed]


def test_several_trades_lose_at_several_places(bench: Bench) -> None:
    bench.accept(bench.curtailment((1, 300, "bus-2"), (0, 200, "line-7")))
    bench.move(Phase.DELIVERED)
    assert cuts(bench, "ann") == [(0, 200, "line-7"), (1, 300, "bus-2")]
    assert cuts(bench, "bob") == [(0, 200, "line-7")]
    assert cuts(bench, "dan") == [(1, 300, "bus-2")]
    assert bench.slot().curtailed_wh == 500


def test_two_claims_on_different_trades_add_up(bench: Bench) -> None:
    bench.accept(bench.curtailment((0, 200, "line-7")))
    bench.accept(bench.curtailment((1, 301, "bus-2"), sender=DSO))
    bench.move(Phase.DELIVERED)
    assert cuts(bench, "ann") == [(0, 200, "line-7"), (1, 301, "bus-2")]
    assert bench.slot().curtailed_wh == 501


def test_a_trade_with_oneself_loses_on_both_of_its_contracts() -> None:
    bench = Bench()
    bench.join("ann", deposit_nano=TEN)
    bench.open()
    bench.accept(bench.bid("ann", 200_000, 100), bench.offer("ann", 200_000, 100))
    bench.walk(Phase.CLEARED)
    bench.accept(bench.curtailment((0, 30, "line-7")))
    bench.move(Phase.DELIVERED)
    assert cuts(bench, "ann") == [(0, 30, "line-7"), (0, 30, "line-7")]
    assert bench.slot().curtailed_wh == 30


def test_any_barrier_puts_it_in_force(bench: Bench) -> None:
    """Also one of another slot or market: the trade is still there to be curtailed."""
    bench.accept(bench.curtailment((0, 200, "line-7")))
    bench.move(Phase.CLOSED, first_s=NEXT)
    assert cuts(bench, "bob") == [(0, 200, "line-7")]
    assert bench.slot().phase == Phase.CLEARED


# Money


def test_what_is_carried_is_paid_and_what_is_not_is_named(bench: Bench) -> None:
    """Of the 600 sold, 200 stay with Bob: he feeds in 400; Ann has to take 200 from the grid."""
    bench.accept(bench.curtailment((0, 200, "line-7")))
    lines = settled(bench, -901, 400, 301)
    assert lines["ann"] == [
        BillLine(SLOT, PURCHASE, 0, FIRST, 400, 300_000, -60_000_000),
        BillLine(SLOT, FEE, 0, FIRST, 400, 40_000, -8_000_000),
        BillLine(SLOT, UNDELIVERABLE, 0, f"{FIRST}@line-7", 200, 300_000, 0),
        BillLine(SLOT, PURCHASE, 0, SECOND, 301, 300_001, -45_150_151),  # 45,150,150.5
        BillLine(SLOT, FEE, 0, SECOND, 301, 40_000, -6_020_000),
        BillLine(SLOT, IMPORT, 0, "ann.meter/v1", 200, 600_000, -60_000_000),
    ]
    assert lines["bob"] == [
        BillLine(SLOT, SALE, 0, FIRST, 400, 300_000, 60_000_000),
        BillLine(SLOT, UNDELIVERABLE, 0, f"{FIRST}@line-7", 200, 300_000, 0),
    ]
    assert lines["dan"] == [BillLine(SLOT, SALE, 0, SECOND, 301, 300_001, 45_150_150)]
    assert bench.account("ann") == (TEN - 179_170_151, 0)
    assert bench.account("bob") == (TEN + 60_000_000, 0)
    assert bench.account("dan") == (TEN + 45_150_150, 0)
    assert bench.system("fund") == 1
    assert bench.system("grid") == 60_000_000
    assert bench.system("network.north") == 14_020_000


def test_who_feeds_in_all_the_same_gets_the_tariff_for_it(bench: Bench) -> None:
    """The line has no money; what the meter saw beyond the rest is a surplus like any other."""
    bench.accept(bench.curtailment((0, 200, "line-7")))
    lines = settled(bench, -901, 600, 301)
    assert lines["bob"][2:] == [BillLine(SLOT, EXPORT, 0, "bob.meter/v1", 200, 160_000, 16_000_000)]


def test_of_a_trade_that_is_curtailed_whole_only_that_is_left(bench: Bench) -> None:
    bench.accept(bench.curtailment((0, 600, "line-7"), (1, 301, "bus-2")))
    held = [bench.account(member)[1] for member in ("ann", "bob", "dan")]
    assert all(held)
    lines = settled(bench, 0, 0, 0)
    assert lines["ann"] == [
        BillLine(SLOT, UNDELIVERABLE, 0, f"{FIRST}@line-7", 600, 300_000, 0),
        BillLine(SLOT, UNDELIVERABLE, 0, f"{SECOND}@bus-2", 301, 300_001, 0),
    ]
    for member in ("ann", "bob", "dan"):
        assert bench.account(member) == (TEN, 0)
        assert bench.bill(member).total_nano == 0
    assert (bench.system("fund"), bench.system("grid"), bench.system("network.north")) == (0, 0, 0)
    assert (bench.slot().curtailed_wh, bench.slot().traded_wh) == (901, 901)


def test_a_rest_with_half_a_unit_leaves_it_in_the_fund(bench: Bench) -> None:
    """1 Wh at 0.1500005: Ann pays the ceiling, Dan gets the floor."""
    bench.accept(bench.curtailment((1, 300, "bus-2")))
    settled(bench, -601, 600, 1)
    assert bench.bill("ann").purchases_nano == -90_000_000 - 150_001
    assert bench.bill("dan").sales_nano == 150_000
    assert bench.system("fund") == 1


def test_bills_count_what_was_carried(bench: Bench) -> None:
    bench.accept(bench.curtailment((0, 200, "line-7")))
    settled(bench, -701, 400, 301)
    assert (bench.bill("ann").bought_wh, bench.bill("bob").sold_wh) == (701, 400)
    assert bench.bill("ann").grid_import_wh == 0
    assert bench.bill("bob", DAY).lines == 2


def test_a_correction_knows_of_it(bench: Bench) -> None:
    bench.accept(bench.curtailment((0, 200, "line-7")))
    settled(bench, -701, 400, 301)
    bench.accept(bench.reading("bob", 0, 390, version=2))
    bench.move(Phase.FINAL)
    assert bench.credit("bob").change.total_nano == -10 * 300_000
    assert bench.slot().curtailed_wh == 200


# Refusals, by number


class Odd(Wire, frozen=True):
    trades: list[tuple[object, ...]]


@pytest.mark.parametrize(
    "trades",
    [
        [],
        [(0, 0, "line-7")],
        [(-1, 1, "line-7")],
        [(0, 1, "")],
        [(0, 1, "x" * 101)],
        [(0, 1, "l\u00efne")],
        [(0, 1)],
    ],
)
def test_a_malformed_payload(bench: Bench, trades: list[tuple[object, ...]]) -> None:
    sent = bench.write(OPERATOR, Kind.CURTAILMENT, Curtail(MARKET, SLOT, 0), Odd(trades))
    bench.refuse(sent, Verdict.MALFORMED_PAYLOAD)


@pytest.mark.parametrize("sender", ["ann", "ann.meter", METERING])
def test_who_may_not(bench: Bench, sender: str) -> None:
    bench.refuse(bench.curtailment((0, 1, "line-7"), sender=sender), Verdict.ROLE_MISSING)


@pytest.mark.parametrize("sender", [OPERATOR, DSO])
def test_who_may(bench: Bench, sender: str) -> None:
    bench.accept(bench.curtailment((0, 1, "line-7"), sender=sender))


@pytest.mark.parametrize("start_s", [SLOT - LENGTH_S, SLOT + 1, 0])
def test_an_unknown_slot(bench: Bench, start_s: int) -> None:
    bench.refuse(bench.curtailment((9, 1, "line-7"), slot_s=start_s), Verdict.UNKNOWN_SLOT)


def test_an_unknown_market(bench: Bench) -> None:
    payload = CurtailmentPayload([CurtailedTrade(0, 1, "x")])
    sent = bench.write(OPERATOR, Kind.CURTAILMENT, Curtail("lv9", SLOT, 0), payload)
    bench.refuse(sent, Verdict.UNKNOWN_SLOT)


def test_between_clearing_and_delivery_only(bench: Bench) -> None:
    bench.refuse(bench.curtailment((0, 1, "x"), slot_s=NEXT), Verdict.NOT_CLEARED)
    bench.move(Phase.CLOSED, first_s=NEXT)
    bench.refuse(bench.curtailment((0, 1, "x"), slot_s=NEXT), Verdict.NOT_CLEARED)
    bench.move(Phase.DELIVERED)
    report(bench, ann=0, bob=0, dan=0)
    for phase in (Phase.METERED, Phase.SETTLED, Phase.FINAL):
        bench.refuse(bench.curtailment((0, 1, "x")), Verdict.NOT_CLEARED)
        bench.move(phase)
    bench.refuse(bench.curtailment((0, 1, "x")), Verdict.NOT_CLEARED)


@pytest.mark.parametrize("trade", [2, 2**31 - 1, 2**62])
def test_an_unknown_trade(bench: Bench, trade: int) -> None:
    bench.refuse(bench.curtailment((trade, 1, "x")), Verdict.UNKNOWN_TRADE)
    # before anything that is wrong with the trades that are there
    bench.refuse(bench.curtailment((0, 601, "x"), (trade, 1, "x")), Verdict.UNKNOWN_TRADE)


def test_a_trade_of_another_slot_is_unknown_here(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 10, slot_s=NEXT))
    bench.walk(Phase.CLEARED, first_s=NEXT)
    bench.refuse(bench.curtailment((0, 1, "x"), slot_s=NEXT), Verdict.UNKNOWN_TRADE)


@pytest.mark.parametrize(
    "wrong",
    [
        [(0, 601, "x")],
        [(1, 302, "x")],
        [(0, 1, "x"), (1, 302, "x")],
        [(0, 1, "x"), (0, 1, "y")],
        [(1, 1, "x"), (0, 1, "x"), (1, 1, "x")],
    ],
)
def test_a_curtailment_that_is_wrong(bench: Bench, wrong: list[tuple[int, int, str]]) -> None:
    bench.refuse(bench.curtailment(*wrong), Verdict.CURTAILMENT_WRONG)


def test_nothing_is_curtailed_twice(bench: Bench) -> None:
    bench.accept(bench.curtailment((0, 1, "line-7")))
    bench.move(Phase.CLOSED, first_s=NEXT)
    for again in ((0, 1, "line-7"), (0, 599, "line-8")):
        bench.refuse(bench.curtailment((1, 1, "x"), again), Verdict.CURTAILMENT_WRONG)
    bench.accept(bench.curtailment((1, 1, "line-7")))
    bench.move(Phase.DELIVERED)
    assert bench.slot().curtailed_wh == 2


# Claims that compete


def test_of_two_on_one_trade_the_one_signed_first_stands_and_the_other_fails_whole(
    bench: Bench,
) -> None:
    bench.accept(bench.curtailment((1, 5, "late"), (0, 6, "late"), sender=DSO, submitted_ms=2))
    bench.accept(bench.curtailment((0, 200, "early"), submitted_ms=1))
    bench.move(Phase.DELIVERED)
    assert cuts(bench, "ann") == [(0, 200, "early"), (1, 0, "")]
    assert cuts(bench, "dan") == [(1, 0, "")]
    assert bench.slot().curtailed_wh == 200
    assert bench.events[f"claim/{OPERATOR}/13"] == Verdict.ACCEPTED
    assert bench.events[f"claim/{DSO}/1"] == Verdict.CURTAILMENT_WRONG


def test_claims_of_different_senders_commute(bench: Bench) -> None:
    other = "dso-2"
    roots = set()
    for order in permutations(range(3)):
        keys = SimulatedKeys(7)
        parties = [(DSO, Role.GRID_COMPANY), (other, Role.GRID_COMPANY)]
        bench = Bench(genesis_with(keys, parties=parties), keys)
        bench.join("ann", "bob", deposit_nano=TEN)
        bench.open()
        bench.accept(bench.bid("ann", 200_000, 10), bench.offer("bob", 100_000, 10))
        bench.walk(Phase.CLEARED)
        claims = [
            bench.curtailment((0, 3, "a"), sender=DSO, submitted_ms=5),
            bench.curtailment((0, 4, "b"), sender=other, submitted_ms=5),
            bench.curtailment((0, 5, "c"), sender=OPERATOR, submitted_ms=6),
        ]
        bench.accept(*(claims[i] for i in order))
        bench.move(Phase.DELIVERED)
        assert cuts(bench, "bob") == [(0, 3, "a")]
        roots.add(bench.market_root)
    assert len(roots) == 1


def test_the_same_numbers_in_another_market_are_another_slot(bench: Bench) -> None:
    """Trade 0 of the other market's slot is not this one's."""
    first_s = SLOT // OTHER_LENGTH_S * OTHER_LENGTH_S
    bench.accept(bench.tariff(first_s=first_s, market=OTHER_MARKET))
    bench.accept(bench.phase(Phase.OPEN, first_s=first_s, market=OTHER_MARKET))
    for phase in (Phase.CLOSED, Phase.CLEARED):
        bench.accept(bench.phase(phase, first_s=first_s, market=OTHER_MARKET))
    payload = CurtailmentPayload([CurtailedTrade(0, 1, "x")])
    sent = bench.write(OPERATOR, Kind.CURTAILMENT, Curtail(OTHER_MARKET, first_s, 0), payload)
    bench.refuse(sent, Verdict.UNKNOWN_TRADE)


# Broken twins: the sums that every block is asked for would notice


def one_side_only(patch: pytest.MonkeyPatch) -> None:
    honest = curtailing._copies

    def copies(draft: Draft, body: Curtail) -> dict[int, list[curtailing._Copy]]:
        return {trade: sides[:1] for trade, sides in honest(draft, body).items()}

    patch.setattr(curtailing, "_copies", copies)


def not_in_the_total(patch: pytest.MonkeyPatch) -> None:
    honest = Draft.put

    def put(self: Draft, key: str, value: Wire, salt: bytes = b"") -> None:
        if hasattr(value, "grid_import_wh") and key.startswith("slot/"):
            value = msgspec.structs.replace(value, curtailed_wh=0)
        honest(self, key, value, salt)

    patch.setattr(Draft, "put", put)


@pytest.mark.parametrize(
    ("twin", "said"),
    [
        (one_side_only, "Wh from balancing"),
        (not_in_the_total, "Wh from balancing"),
    ],
)
def test_a_broken_twin_is_caught(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    twin: Callable[[pytest.MonkeyPatch], None],
    said: str,
) -> None:
    twin(monkeypatch)
    bench.accept(bench.curtailment((0, 200, "line-7")))
    with pytest.raises(AssertionError, match=said):
        bench.move(Phase.DELIVERED)


def test_the_archive_holds_what_was_curtailed(bench: Bench) -> None:
    """The contracts that leave the state at `final` are those with the cut on them."""
    bench.accept(bench.curtailment((0, 200, "line-7")))
    bench.walk(Phase.DELIVERED)
    report(bench, ann=0, bob=0, dan=0)
    bench.walk(Phase.SETTLED)
    for key in bench.application.state.group(position_group("contracts", MARKET, SLOT)):
        held = bench.value(key, SlotContracts)
        lost = sum(contract.curtailed_wh for contract in held.contracts)
        dan = key == position_key("contracts", "dan", MARKET, SLOT)
        assert lost == (0 if dan else 200)
    bench.walk(Phase.FINAL)
    assert (bench.slot().curtailed_wh, len(bench.slot().archive)) == (200, 32)
