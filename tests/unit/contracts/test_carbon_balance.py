"""Goal: the sums that an auditor draws over carbon are silent on an honest chain and tell of lies.

First one value is changed behind everybody's back, then the handler itself is made to lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
from tests.carbon_bench import (
    NEXT,
    SLOTS,
    allotment,
    barrier,
    fresh,
    settle,
    slot_sums,
)
from tests.ledger_bench import DAY, MARKET, OPERATOR, SLOT, Bench

from gridpact.contracts import allotting
from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.carbon_balance import SUMMED, carbon_residuals
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import carbon_key, carbon_store_key, slot_carbon_key
from gridpact.ledger import Draft
from gridpact.model import (
    CarbonLine,
    CarbonStatement,
    CarbonStore,
    MemberCarbon,
    Phase,
    SlotCarbon,
)
from gridpact.settlement.carbon import add_carbon

FIRST = slot_carbon_key(MARKET, SLOT)
STORE = carbon_store_key("bob", MARKET)
Patch = pytest.MonkeyPatch


def settled() -> Bench:
    bench = fresh()
    settle(bench)
    return bench


@pytest.fixture
def bench() -> Bench:
    """Both slots have their carbon."""
    bench = settled()
    bench.accept(*allotment(bench))
    barrier(bench)
    return bench


def tamper(bench: Bench, key: str, **changes: object) -> None:
    """Changes fields of one value behind everybody's back."""
    entry = bench.application.state.entries[key]
    value = msgspec.structs.replace(entry.value, **changes)
    bench.application.state.entries[key] = msgspec.structs.replace(entry, value=value)


def found(bench: Bench) -> list[str]:
    return carbon_residuals(bench.application.state)


def test_an_honest_chain_adds_up(bench: Bench) -> None:
    assert found(bench) == []
    assert found(fresh()) == []


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("field", SUMMED)
@pytest.mark.parametrize("member", ["ann", "bob"])
def test_a_statement_that_says_something_else(
    bench: Bench, member: str, field: str, by: int
) -> None:
    key = carbon_key(member, DAY)
    here = getattr(bench.value(key, CarbonStatement), field) + by
    tamper(bench, key, **{field: here})
    there = sum(getattr(slot, field) for slot in SLOTS)
    assert found(bench) == [
        f"carbon of {DAY}: statements say {field} {there + by}, slots {there}",
    ]


def test_a_statement_of_a_day_without_carbon(bench: Bench) -> None:
    state = bench.application.state
    state.put(carbon_key("ann", "2023-11-16"), state.entries[carbon_key("ann", DAY)])
    assert "carbon of 2023-11-16: statements say load_wh 2000, slots 0" in found(bench)


@pytest.mark.parametrize("field", SlotCarbon.__struct_fields__[1:])
def test_sums_that_do_not_balance(bench: Bench, field: str) -> None:
    tamper(bench, FIRST, **{field: getattr(slot_sums(bench), field) + 3})
    told = found(bench)[0]
    assert told.startswith(f"{FIRST}: ")
    assert told.endswith("3 Wh, 0 ug from balancing" if field.endswith("_wh") else "from balancing")
    assert slot_sums(bench).residual_wh in {0, 3, -3}


def test_sums_that_balance_and_say_something_else(bench: Bench) -> None:
    first = slot_sums(bench)
    tamper(bench, FIRST, load_ug=first.load_ug + 5, lost_ug=first.lost_ug - 5)
    assert found(bench) == [
        f"carbon of {DAY}: statements say load_ug 584978022, slots 584978027",
    ]
    tamper(bench, FIRST, load_ug=first.load_ug, charged_ug=first.charged_ug + 5)
    assert len(found(bench)) == 2  # statements and storages


def test_a_storage_that_holds_something_else(bench: Bench) -> None:
    tamper(bench, STORE, held_ug=2_000_001)
    told = f"carbon of {MARKET}: storages hold 2000001 ug, slots say 2000000 ug"
    assert found(bench) == [told]
    bench.application.state.delete(STORE)
    assert found(bench) == [told.replace("2000001", "0")]


def test_a_storage_in_a_market_without_carbon(bench: Bench) -> None:
    state = bench.application.state
    state.put(carbon_store_key("bob", "lv2"), state.entries[STORE])
    assert found(bench) == ["carbon of lv2: storages hold 2000000 ug, slots say 0 ug"]


def test_who_left_may_be_missing_and_nobody_may_have_more() -> None:
    bench = settled()
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    bench.accept(bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount("bob", 0)))
    bench.move(Phase.FINAL, slots=2)
    assert found(bench) == []
    tamper(bench, carbon_key("ann", DAY), load_ug=584_978_022)
    assert found(bench) == []  # all that the slots say: nobody can tell any more
    tamper(bench, carbon_key("ann", DAY), load_ug=584_978_023)
    assert found(bench) == [
        f"carbon of {DAY}: statements say load_ug 584978023, slots 584978022",
    ]
    tamper(bench, carbon_key("ann", DAY), load_ug=0)
    state = bench.application.state
    entry = msgspec.structs.replace(state.entries[FIRST], value=CarbonStore(2_000_001))
    state.put(carbon_store_key("ann", MARKET), entry)
    assert len(found(bench)) == 1


# Broken twins: the bench, as an auditor, asks for these sums after every block


def booked_twice(patch: Patch) -> None:
    def twice(
        statement: CarbonStatement, lines: Sequence[CarbonLine], frontier: list[bytes]
    ) -> CarbonStatement:
        return add_carbon(add_carbon(statement, lines, frontier), lines, frontier)

    patch.setattr(allotting, "add_carbon", twice)


def only_the_last_line(patch: Patch) -> None:
    patch.setattr(allotting, "add_carbon", lambda s, lines, f: add_carbon(s, lines[-1:], f))


def a_storage_that_does_not_give(patch: Patch) -> None:
    honest = allotting._held_after

    def held_after(
        draft: Draft, market: Market, owner: str, slots: Sequence[MemberCarbon]
    ) -> CarbonStore | None:
        taken = [msgspec.structs.replace(part, discharged_ug=0) for part in slots]
        return honest(draft, market, owner, taken)

    patch.setattr(allotting, "_held_after", held_after)


def a_storage_that_forgets(patch: Patch) -> None:
    patch.setattr(allotting, "_held_after", lambda *_: None)


def sums_nobody_checks(patch: Patch) -> None:
    patch.setattr(allotting, "_judge_slots", lambda *_: 0)


def parts_nobody_checks(patch: Patch) -> None:
    patch.setattr(allotting, "_judge_parts", lambda *_: 0)


def keeps_an_honest_day(bench: Bench) -> None:
    bench.accept(*allotment(bench))
    barrier(bench)


def keeps_sums_off_by_one(bench: Bench) -> None:
    slots = (SLOTS[0], msgspec.structs.replace(SLOTS[1], lost_ug=SLOTS[1].lost_ug + 1))
    *parts, _ = allotment(bench)
    bench.wallet._nonces[OPERATOR] -= 1
    bench.accept(*parts, bench.slot_carbon(*slots))
    barrier(bench)


def keeps_shifted_sums(bench: Bench) -> None:
    """A microgram of a load is a loss."""
    last = SLOTS[1]
    shifted = msgspec.structs.replace(last, load_ug=last.load_ug - 1, lost_ug=last.lost_ug + 1)
    *parts, _ = allotment(bench)
    bench.wallet._nonces[OPERATOR] -= 1
    bench.accept(*parts, bench.slot_carbon(SLOTS[0], shifted))
    barrier(bench)


@pytest.mark.parametrize(
    ("twin", "play", "said"),
    [
        (booked_twice, keeps_an_honest_day, "statements say load_wh 4400, slots 2200"),
        (only_the_last_line, keeps_an_honest_day, "statements say load_wh 1100, slots 2200"),
        (a_storage_that_does_not_give, keeps_an_honest_day, "storages hold 8000000 ug"),
        (a_storage_that_forgets, keeps_an_honest_day, "storages hold 0 ug"),
        (sums_nobody_checks, keeps_sums_off_by_one, f"slot-carbon/{MARKET}/{NEXT}: 0 Wh, -1 ug"),
        (parts_nobody_checks, keeps_shifted_sums, "slots 584978021"),
    ],
)
def test_a_handler_that_lies_is_found_out(
    monkeypatch: Patch,
    twin: Callable[[Patch], None],
    play: Callable[[Bench], None],
    said: str,
) -> None:
    bench = settled()
    twin(monkeypatch)
    with pytest.raises(AssertionError, match=said):
        play(bench)
