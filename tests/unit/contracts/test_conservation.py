"""Goal: the sums an auditor draws are zero on an honest chain, and tell of whatever is tampered.

The bench asks for all of them after every block of every test; here a twin changes one value.
"""

from __future__ import annotations

import msgspec
import pytest

from gridpact.codec import Wire
from gridpact.contracts.bodies import OrderPayload
from gridpact.contracts.conservation import (
    energy_residual_wh,
    escrow_residual_nano,
    money_residual_nano,
    unbalanced,
)
from gridpact.contracts.keys import claim_key, position_key, slot_key
from gridpact.ledger import Account, account_key, system_key
from gridpact.model import (
    Phase,
    Side,
    SlotContracts,
    SlotOrders,
    SlotReadings,
    SlotSeals,
    SlotState,
)
from gridpact.node import SimulatedKeys
from ledger_bench import LENGTH_S, MARKET, SLOT, UNIT, Bench, genesis_with

NEXT = SLOT + LENGTH_S


@pytest.fixture
def bench() -> Bench:
    """`SLOT` is settled with a trade and both directions of the grid; `NEXT` has an open order;
    Ann waits for a withdrawal."""
    bench = Bench()
    bench.join("ann", "bob", deposit_nano=10 * UNIT)
    bench.open(slots=2)
    bench.accept(bench.bid("ann", 200_000, 1_000), bench.offer("bob", 100_000, 600))
    bench.accept(bench.bid("ann", 200_000, 1_000, slot_s=NEXT))
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 1_000), bench.reading("bob", 0, 700))
    bench.walk(Phase.SETTLED)
    bench.accept(bench.withdraw("ann", 5))
    return bench


def tamper(bench: Bench, key: str, **changes: object) -> None:
    """Changes fields of one value behind everybody's back."""
    entry = bench.application.state.entries[key]
    value = msgspec.structs.replace(entry.value, **changes)
    bench.application.state.entries[key] = msgspec.structs.replace(entry, value=value)


def field(bench: Bench, key: str, kind: type[Wire], name: str) -> int:
    return getattr(bench.value(key, kind), name)


def residual_wh(bench: Bench, start_s: int = SLOT) -> int:
    slot = bench.slot(start_s)
    return energy_residual_wh(bench.application.state, MARKET, start_s, slot)


def test_an_honest_chain_balances(bench: Bench) -> None:
    state = bench.application.state
    assert money_residual_nano(state) == escrow_residual_nano(state) == 0
    assert residual_wh(bench) == residual_wh(bench, NEXT) == 0
    assert unbalanced(state) == []


@pytest.mark.parametrize("name", ["available_nano", "escrow_nano"])
@pytest.mark.parametrize(
    "key", [account_key("ann"), system_key("grid"), system_key("network.north")]
)
def test_money_that_appears_is_seen(bench: Bench, key: str, name: str) -> None:
    tamper(bench, key, **{name: field(bench, key, Account, name) + 3})
    assert money_residual_nano(bench.application.state) == 3
    assert unbalanced(bench.application.state)[0] == "money: accounts sum to 3 nano, not 0"


def test_money_that_changes_hands_unseen_is_not_seen_here(bench: Bench) -> None:
    """Sums cannot tell; re-execution does."""
    for owner, amount in (("ann", 3), ("bob", -3)):
        key = account_key(owner)
        tamper(bench, key, available_nano=bench.account(owner)[0] + amount)
    assert unbalanced(bench.application.state) == []


def test_escrow_that_nothing_asks_for_is_seen(bench: Bench) -> None:
    available, escrow = bench.account("bob")
    tamper(bench, account_key("bob"), available_nano=available - 4, escrow_nano=escrow + 4)
    assert escrow_residual_nano(bench.application.state) == 4
    assert unbalanced(bench.application.state) == [
        "escrow: accounts hold 4 nano more than orders and contracts ask"
    ]


def test_an_order_withdrawal_or_contract_that_loses_its_escrow_is_seen(bench: Bench) -> None:
    state = bench.application.state
    tamper(bench, position_key("orders", "ann", MARKET, NEXT), orders=[])
    assert escrow_residual_nano(state) == 220_000_000
    del state.entries[claim_key("ann", 3)]
    assert escrow_residual_nano(state) == 220_000_005


def test_a_seal_that_loses_its_deposit_is_seen() -> None:
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, sealed_deposit_nano=5), keys)
    bench.join("ann", deposit_nano=UNIT)
    bench.open()
    bench.accept(*(bench.seal("ann", OrderPayload(Side.BID, 1, 1, 1, 0)) for _ in "ab"))
    key = position_key("seals", "ann", MARKET, SLOT)
    seals = bench.value(key, SlotSeals).seals
    tamper(bench, key, seals=[seals[0], msgspec.structs.replace(seals[1], deposit_nano=2)])
    assert escrow_residual_nano(bench.application.state) == 3
    tamper(bench, key, seals=[])
    assert escrow_residual_nano(bench.application.state) == 10


def test_what_only_one_side_lost_to_the_grid_is_seen(bench: Bench) -> None:
    """From the two contracts and the public total, each against the other."""
    key = position_key("contracts", "bob", MARKET, SLOT)
    (contract,) = bench.value(key, SlotContracts).contracts
    tamper(bench, key, contracts=[msgspec.structs.replace(contract, curtailed_wh=4)])
    assert residual_wh(bench) == 4 + 4
    key = position_key("contracts", "ann", MARKET, SLOT)
    (contract,) = bench.value(key, SlotContracts).contracts
    tamper(bench, key, contracts=[msgspec.structs.replace(contract, curtailed_wh=4)])
    assert residual_wh(bench) == 4
    tamper(bench, slot_key(MARKET, SLOT), curtailed_wh=4)
    assert residual_wh(bench) == 0


def test_contracts_hold_escrow_from_clearing_to_settlement(bench: Bench) -> None:
    bench.accept(bench.offer("bob", 100_000, 600, slot_s=NEXT))
    bench.walk(Phase.CLEARED, first_s=NEXT)
    key = position_key("contracts", "bob", MARKET, NEXT)
    held = field(bench, key, SlotContracts, "escrow_nano")
    tamper(bench, key, escrow_nano=held - 7)
    assert escrow_residual_nano(bench.application.state) == 7
    bench.application.state.delete(key)
    assert escrow_residual_nano(bench.application.state) == held
    assert residual_wh(bench, NEXT) == 1_200  # sold 0, bought 600, traded 600


def test_energy_sold_but_not_bought_is_seen(bench: Bench) -> None:
    key = position_key("contracts", "bob", MARKET, SLOT)
    (contract,) = bench.value(key, SlotContracts).contracts
    more = msgspec.structs.replace(contract, energy_wh=601)
    tamper(bench, key, contracts=[more])
    assert residual_wh(bench) == 1 + 1  # against what was bought and against the public total


def test_a_public_total_that_is_wrong_is_seen(bench: Bench) -> None:
    for name, change in (("traded_wh", 2), ("grid_import_wh", 3), ("grid_export_wh", -4)):
        honest = bench.slot()
        key = slot_key(MARKET, SLOT)
        tamper(bench, key, **{name: field(bench, key, SlotState, name) + change})
        assert residual_wh(bench) == abs(change)
        tamper(bench, key, **{name: getattr(honest, name)})


@pytest.mark.parametrize("corrected", [False, True])
def test_a_reading_changed_after_its_settlement_is_seen(bench: Bench, corrected: bool) -> None:
    """With a later version on its way, those that were settled are kept apart."""
    if corrected:
        bench.accept(bench.reading("bob", 0, 650, version=2))
        assert residual_wh(bench) == 0
    key = position_key("readings", "bob", MARKET, SLOT)
    name = "settled" if corrected else "readings"
    (used,) = getattr(bench.value(key, SlotReadings), name)
    tamper(bench, key, **{name: [msgspec.structs.replace(used, export_wh=710)]})
    assert residual_wh(bench) == 10


def test_a_final_slot_has_nothing_left_to_compare(bench: Bench) -> None:
    bench.walk(Phase.FINAL)
    assert bench.slot().traded_wh == 600
    assert residual_wh(bench) == 0
    assert bench.orders("ann", NEXT) != []
    key = position_key("orders", "ann", MARKET, NEXT)
    assert sum(order.escrow_nano for order in bench.value(key, SlotOrders).orders) == 220_000_000
