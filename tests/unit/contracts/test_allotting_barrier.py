"""Goal: what is wrong with parts and sums shows at the barrier, where the claim fails whole.

The numbers of the good day are those of `carbon_bench`, worked out by hand there.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.carbon_bench import (
    ANN,
    BOB,
    NEXT,
    SLOTS,
    allotment,
    barrier,
    carbon_of,
    event_of,
    fresh,
    held_ug,
    lines_of,
    part,
    settle,
    statement,
    sums,
    waiting_parts,
)
from tests.ledger_bench import (
    DAY,
    LENGTH_S,
    MARKET,
    OPERATOR,
    SLOT,
    TARIFF,
    Bench,
    Signed,
)

from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.carbon_balance import carbon_residuals
from gridpact.contracts.keys import closure_key, position_key
from gridpact.model import (
    CarbonRules,
    MemberCarbon,
    Phase,
    Verdict,
)

replace = msgspec.structs.replace


@pytest.fixture
def bench() -> Bench:
    """Both slots are settled."""
    bench = fresh()
    settle(bench)
    return bench


@pytest.fixture
def allotted(bench: Bench) -> Bench:
    """Both slots have their carbon and are not final yet."""
    bench.accept(*allotment(bench))
    barrier(bench)
    return bench


def fails(bench: Bench, asked: Signed, verdict: Verdict) -> None:
    """The claim comes to this at the barrier, and nothing of it is written."""
    before, parts = carbon_of(bench), waiting_parts(bench)
    barrier(bench)
    told = event_of(bench, asked)
    assert told == verdict, f"{told!r}, not {verdict.name}"
    assert carbon_of(bench) == before
    assert set(waiting_parts(bench)) >= set(parts)
    assert bench.result is not None
    assert bench.result.documents == []


# Refusals at the barrier


@pytest.mark.parametrize("missing", ["ann", "bob"])
def test_a_part_that_is_missing(bench: Bench, missing: str) -> None:
    """The others' parts wait on, and go with it when it comes."""
    parts = {"ann": ANN, "bob": BOB}
    late = parts.pop(missing)
    bench.accept(*(bench.member_carbon(owner, *mine) for owner, mine in parts.items()))
    asked = bench.slot_carbon(*SLOTS)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_MEMBERS_WRONG)
    assert set(waiting_parts(bench)) == set(parts)
    bench.accept(bench.member_carbon(missing, *late), bench.slot_carbon(*SLOTS))
    barrier(bench)
    assert statement(bench, "ann").load_ug == 576_978_022


def test_parts_that_begin_elsewhere_are_missing_here(bench: Bench) -> None:
    bench.accept(bench.member_carbon("ann", *ANN), bench.member_carbon("bob", BOB[1], first_s=NEXT))
    asked = bench.slot_carbon(*SLOTS)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_MEMBERS_WRONG)


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_a_part_of_another_length(bench: Bench, owner: str) -> None:
    """Shorter than the sums are, or longer."""
    parts = {"ann": ANN, "bob": BOB}
    for slots in (SLOTS, SLOTS[:1]):
        mine = {name: part[: len(slots)] for name, part in parts.items()}
        mine[owner] = parts[owner][: 3 - len(slots)]
        bench.accept(*(bench.member_carbon(name, *part) for name, part in mine.items()))
        asked = bench.slot_carbon(*slots)
        bench.accept(asked)
        fails(bench, asked, Verdict.CARBON_MEMBERS_WRONG)


def test_a_member_whose_meter_came_later_has_no_part(bench: Bench) -> None:
    """Told at once, so that its part cannot keep the others' from counting."""
    bench.join("cyd")
    barrier(bench)
    bench.refuse(bench.member_carbon("cyd", part(), part()), Verdict.CARBON_MEMBERS_WRONG)
    bench.accept(bench.register("dan"))
    barrier(bench)
    bench.refuse(bench.member_carbon("dan", part(), part()), Verdict.CARBON_MEMBERS_WRONG)
    bench.accept(*allotment(bench))
    barrier(bench)
    assert statement(bench, "ann").lines == 2


def test_slots_with_different_members_are_allotted_apart() -> None:
    """Cyd has a meter from the second slot on."""
    bench = fresh()
    bench.join("ann")
    bench.open()
    bench.join("cyd")
    bench.open(first_s=NEXT)
    for first_s in (SLOT, NEXT):
        bench.walk(Phase.DELIVERED, first_s=first_s)
    bench.accept(bench.batch("ann", [-100, -100], sender="ann.meter"))
    bench.accept(bench.batch("cyd", [-100], sender="cyd.meter", first_s=NEXT))
    for first_s in (SLOT, NEXT):
        bench.walk(Phase.SETTLED, first_s=first_s)
    mine = part(load=(100, 40_000_000))
    one, two = sums([mine], 100), sums([mine, mine], 200)
    bench.refuse(bench.member_carbon("cyd", mine, mine), Verdict.CARBON_MEMBERS_WRONG)
    bench.accept(
        bench.member_carbon("ann", mine, mine),
        bench.member_carbon("cyd", mine, first_s=NEXT),
    )
    asked = bench.slot_carbon(one, two)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_MEMBERS_WRONG)
    bench.accept(
        bench.member_carbon("ann", mine),
        bench.member_carbon("ann", mine, first_s=NEXT),
        bench.slot_carbon(one),
        bench.slot_carbon(two, first_s=NEXT),
    )
    barrier(bench)
    assert (statement(bench, "ann").lines, statement(bench, "cyd").lines) == (2, 1)


@pytest.mark.parametrize(
    ("member", "place", "changes"),
    [
        ("ann", 0, {"load_wh": 999}),
        ("ann", 1, {"load_wh": 1_001}),
        ("bob", 0, {"generated_wh": 901}),
        ("bob", 0, {"charged_wh": 199}),
        ("bob", 1, {"discharged_wh": 151}),
    ],
)
def test_energy_that_the_meter_did_not_see(
    bench: Bench, member: str, place: int, changes: dict[str, int]
) -> None:
    """The sums say the same as the parts, and the grid or the losses make up for it."""
    parts = {"ann": list(ANN), "bob": list(BOB)}
    parts[member][place] = replace(parts[member][place], **changes)
    of_slot = [mine[place] for mine in parts.values()]
    slots = list(SLOTS)
    told = sums(of_slot, slots[place].imported_wh)
    gap_ug = told.residual_ug
    slots[place] = replace(told, lost_wh=told.residual_wh, lost_ug=gap_ug)
    bench.accept(*(bench.member_carbon(name, *mine) for name, mine in parts.items()))
    asked = bench.slot_carbon(*slots)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_ENERGY_WRONG)


ENERGIES = ("load_wh", "generated_wh", "charged_wh", "discharged_wh")


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("more", "also"), [(0, 1), (0, 3), (2, 1), (2, 3)])
def test_parts_whose_energy_is_not_that_of_the_sums(
    bench: Bench, more: int, also: int, place: int
) -> None:
    """1 Wh more behind Bob's meter, in and out, which no meter sees."""
    hidden = {name: getattr(BOB[place], name) + 1 for name in (ENERGIES[more], ENERGIES[also])}
    bob = list(BOB)
    bob[place] = replace(BOB[place], **hidden)
    bench.accept(bench.member_carbon("ann", *ANN), bench.member_carbon("bob", *bob))
    asked = bench.slot_carbon(*SLOTS)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_ENERGY_WRONG)


@pytest.mark.parametrize(
    ("place", "field"), [(0, "load_ug"), (1, "load_ug"), (0, "charged_ug"), (1, "discharged_ug")]
)
@pytest.mark.parametrize("by_ug", [-1, 1])
def test_parts_whose_carbon_is_not_that_of_the_sums(
    bench: Bench, place: int, field: str, by_ug: int
) -> None:
    bob = list(BOB)
    bob[place] = replace(BOB[place], **{field: getattr(BOB[place], field) + by_ug})
    bench.accept(bench.member_carbon("ann", *ANN), bench.member_carbon("bob", *bob))
    asked = bench.slot_carbon(*SLOTS)
    bench.accept(asked)
    fails(bench, asked, Verdict.CARBON_UNBALANCED)


def drained(given_ug: tuple[int, int]) -> list[MemberCarbon]:
    """Bob's storage gives 10 Wh in each slot behind his meter."""
    return [part(load=(10, ug), discharged=(10, ug)) for ug in given_ug]


def alone(bench: Bench, *parts: MemberCarbon) -> Signed:
    """A day of Bob alone whose meter saw nothing: his parts are in, and his sums are asked for."""
    bench.join("bob")
    bench.open(slots=len(parts))
    bench.walk(Phase.DELIVERED, slots=len(parts))
    bench.accept(bench.batch("bob", [0] * len(parts), sender="bob.meter"))
    bench.walk(Phase.SETTLED, slots=len(parts))
    bench.accept(bench.member_carbon("bob", *parts))
    asked = bench.slot_carbon(*(sums([each], 0) for each in parts))
    bench.accept(asked)
    return asked


SUN = part(generated_wh=10, charged=(10, 400_000))


@pytest.mark.parametrize(
    "parts",
    [
        drained((1, 0)),
        [SUN, *drained((400_001, 0))],
        [SUN, *drained((200_000, 200_001)), SUN],
        [*drained((1, 0)), SUN],
    ],
)
def test_a_storage_gives_no_more_than_it_holds_then(parts: list[MemberCarbon]) -> None:
    """What it takes in later is not there yet, and what another slot needs is gone."""
    bench = fresh()
    fails(bench, alone(bench, *parts), Verdict.CARBON_STORE_SHORT)


def test_a_storage_gives_all_that_it_holds() -> None:
    bench = fresh()
    asked = alone(bench, SUN, *drained((200_000, 200_000)), SUN)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert held_ug(bench, "bob") == 400_000


def test_what_a_storage_takes_in_a_slot_it_gives_back_later() -> None:
    both = part(
        load=(10, 400_000), generated_wh=10, charged=(10, 400_000), discharged=(10, 400_000)
    )
    bench = fresh()
    fails(bench, alone(bench, both), Verdict.CARBON_STORE_SHORT)
    bench = fresh()
    asked = alone(bench, SUN, both)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert held_ug(bench, "bob") == 400_000


def test_a_storage_of_an_earlier_range_goes_on(allotted: Bench) -> None:
    """2,000,000 ug are left of the first two slots, and no microgram more."""
    third_s = NEXT + LENGTH_S
    allotted.open(first_s=third_s)
    allotted.walk(Phase.DELIVERED, first_s=third_s)
    allotted.accept(allotted.batch("ann", [0], sender="ann.meter", first_s=third_s))
    allotted.accept(allotted.batch("bob", [0], sender="bob.meter", first_s=third_s))
    allotted.walk(Phase.SETTLED, first_s=third_s)
    allotted.accept(allotted.member_carbon("ann", part(), first_s=third_s))
    for ug in (2_000_001, 2_000_000):
        (mine,) = drained((ug, 0))[:1]
        allotted.accept(allotted.member_carbon("bob", mine, first_s=third_s))
        asked = allotted.slot_carbon(sums([mine], 0), first_s=third_s)
        allotted.accept(asked)
        if ug > 2_000_000:
            fails(allotted, asked, Verdict.CARBON_STORE_SHORT)
    barrier(allotted)
    assert held_ug(allotted, "bob") == 0
    assert statement(allotted, "bob").lines == 3


# Numbers beyond 64 bits

WIDE = 2**42
HEAVY = CarbonRules(generation_mg_per_kwh=2**20, supplier_mg_per_kwh=0)
"""A TWh of sun behind a meter emits 2^62 ug: all that one part may have."""


def two_slots(second_day: str = DAY) -> Bench:
    """Ann and Bob, whose meters saw nothing in either slot."""
    bench = fresh(HEAVY)
    bench.join("ann", "bob")
    bench.accept(
        bench.tariff(), bench.tariff(replace(TARIFF, billing_day=second_day), first_s=NEXT)
    )
    bench.move(Phase.OPEN, slots=2)
    bench.walk(Phase.DELIVERED, slots=2)
    for member in ("ann", "bob"):
        bench.accept(bench.batch(member, [0, 0], sender=f"{member}.meter"))
    bench.walk(Phase.SETTLED, slots=2)
    return bench


USED, STORED = (
    part(load=(WIDE, 2**62), generated_wh=WIDE),
    part(generated_wh=WIDE, charged=(WIDE, 2**62)),
)
HERS = part(generated_wh=1, charged=(1, 2**20))


@pytest.mark.parametrize(
    ("mine", "second_day"),
    [(USED, DAY), (STORED, DAY), (STORED, "2023-11-15")],
    ids=["a statement", "a statement and a storage", "a storage"],
)
def test_what_leaves_64_bits_is_refused_whole(mine: MemberCarbon, second_day: str) -> None:
    """Ann comes before Bob, and hers would fit."""
    bench = two_slots(second_day)
    slot = sums([HERS, mine], 0, rules=HEAVY)
    bench.accept(bench.member_carbon("ann", HERS, HERS), bench.member_carbon("bob", mine, mine))
    asked = bench.slot_carbon(slot, slot)
    bench.accept(asked)
    fails(bench, asked, Verdict.OVERFLOW)
    assert waiting_parts(bench) == {"ann": 2, "bob": 2}
    for first_s, verdict in ((SLOT, Verdict.ACCEPTED), (NEXT, Verdict.OVERFLOW)):
        bench.accept(
            bench.member_carbon("ann", HERS, first_s=first_s),
            bench.member_carbon("bob", mine, first_s=first_s),
        )
        asked = bench.slot_carbon(slot, first_s=first_s)
        bench.accept(asked)
        barrier(bench)
        assert event_of(bench, asked) == verdict
        assert statement(bench, "ann").lines == 1


# Readings


def test_a_late_reading_before_the_barrier_undoes_it(bench: Bench) -> None:
    """The parts are kept; with the meter's new value the same slots can be allotted."""
    *parts, asked = allotment(bench)
    bench.accept(*parts, asked)
    bench.accept(bench.reading("ann", 1_001, version=2))
    fails(bench, asked, Verdict.CARBON_ENERGY_WRONG)
    mine = (replace(ANN[0], load_wh=1_001), ANN[1])
    first = sums([mine[0], BOB[0]], 451, lost=(50, 9_714_286 + 400_000))
    bench.accept(bench.member_carbon("ann", *mine), bench.slot_carbon(first, SLOTS[1]))
    barrier(bench)
    assert lines_of(bench, "ann")[0].supplied_wh == 401
    bench.walk(Phase.FINAL, slots=2)
    assert bench.credit("ann").change.grid_import_wh == 1


def test_readings_are_over_with_the_allotment(allotted: Bench) -> None:
    for start_s in (SLOT, NEXT):
        late = allotted.reading("ann", 1_001, version=2, slot_s=start_s)
        allotted.refuse(late, Verdict.READING_CLOSED)
    batch = allotted.batch("bob", [600, 50], version=2, sender="bob.meter")
    allotted.refuse(batch, Verdict.READING_CLOSED)
    stale = allotted.reading("ann", 1_001)
    allotted.refuse(stale, Verdict.VERSION_STALE)
    third_s = NEXT + LENGTH_S
    allotted.open(first_s=third_s)
    allotted.walk(Phase.DELIVERED, first_s=third_s)
    mixed = allotted.batch("bob", [50, 0], version=3, sender="bob.meter", first_s=NEXT)
    allotted.refuse(mixed, Verdict.READING_CLOSED)
    allotted.accept(allotted.reading("bob", slot_s=third_s))


def test_readings_of_another_slot_stay_open(bench: Bench) -> None:
    bench.accept(bench.member_carbon("ann", ANN[0]), bench.member_carbon("bob", BOB[0]))
    bench.accept(bench.slot_carbon(SLOTS[0]))
    barrier(bench)
    bench.refuse(bench.reading("ann", 1_001, version=2), Verdict.READING_CLOSED)
    bench.accept(bench.reading("ann", 1_001, version=2, slot_s=NEXT))


# The end of a slot and of a membership


def test_parts_left_over_are_archived_with_their_slot(bench: Bench) -> None:
    """A second chain without them ends with another root over what its members held."""
    other = fresh()
    settle(other)
    for each in (bench, other):
        each.accept(*allotment(each))
        barrier(each)
    roots = []
    for each in (bench, other):
        each.walk(Phase.FINAL, slots=2)
        roots.append([each.slot(start_s).archive for start_s in (SLOT, NEXT)])
    assert roots[0] == roots[1]
    third = fresh()
    settle(third)
    third.accept(third.member_carbon("bob", BOB[1], first_s=NEXT), *allotment(third))
    barrier(third)
    assert waiting_parts(third) == {"bob": 1}
    third.walk(Phase.FINAL, slots=2)
    assert waiting_parts(third) == {}
    assert third.slot().archive == roots[0][0]
    assert third.slot(NEXT).archive != roots[0][1]


def test_parts_and_the_end_at_one_barrier(bench: Bench) -> None:
    """What waits takes effect first: the slots still are settled."""
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    assert statement(bench, "ann").load_ug == 576_978_022
    assert waiting_parts(bench) == {}


def test_carbon_is_too_late_when_the_slots_have_ended(bench: Bench) -> None:
    bench.accept(bench.member_carbon("ann", *ANN))
    bench.move(Phase.FINAL, slots=2)
    assert waiting_parts(bench) == {}
    assert carbon_of(bench) == {}


def close(bench: Bench, member: str) -> Signed:
    return bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount(member, 0))


def test_who_has_a_part_waiting_cannot_leave(bench: Bench) -> None:
    """Also when no slot awaits its meter any more."""
    bench.accept(bench.member_carbon("bob", BOB[0]))
    barrier(bench)
    asked = close(bench, "bob")
    bench.accept(asked)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCOUNT_IN_USE
    assert bench.entry(position_key("parts", "bob", MARKET, SLOT)) is not None


def test_who_leaves_takes_statements_and_storage_along(bench: Bench) -> None:
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    assert held_ug(bench, "bob") == 2_000_000
    asked = close(bench, "bob")
    bench.accept(asked)
    bench.move(Phase.FINAL, slots=2)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    assert bench.entry(closure_key("bob")) is not None
    assert not [key for key in carbon_of(bench) if "/bob" in key]
    assert statement(bench, "ann").lines == 2
    assert carbon_residuals(bench.application.state) == []


def test_carbon_goes_on_when_somebody_has_left(bench: Bench) -> None:
    """Ann alone, on the day on which Bob's share of the first slots is missing."""
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    bench.accept(close(bench, "bob"))
    third_s = NEXT + LENGTH_S
    bench.accept(bench.tariff(TARIFF, first_s=third_s))
    bench.move(Phase.FINAL, slots=2)
    bench.move(Phase.OPEN, first_s=third_s)
    bench.walk(Phase.DELIVERED, first_s=third_s)
    bench.accept(bench.batch("ann", [-10], sender="ann.meter", first_s=third_s))
    bench.walk(Phase.SETTLED, first_s=third_s)
    mine = part(load=(10, 4_000_000))
    bench.accept(
        bench.member_carbon("ann", mine, first_s=third_s),
        bench.slot_carbon(sums([mine], 10), first_s=third_s),
    )
    barrier(bench)
    assert statement(bench, "ann").load_ug == 580_978_022
    assert carbon_residuals(bench.application.state) == []
