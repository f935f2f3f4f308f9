"""Whatever was traced, in floats, comes onto the ledger whole, and nobody can bend a unit of it.

Method: hypothesis draws homes with any energies behind their meters and any traced floats. They
become whole micrograms as the grid company makes them; the bench draws the auditor's sums after
every block. Before the honest allotment come some with one Wh or microgram more or less in one
place, of the sums or of a part: all must be refused, at the door or at the barrier.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon_bench import (
    IMPORT_MG_PER_KWH,
    RULES,
    barrier,
    event_of,
    fresh,
    held_ug,
    part,
    slot_sums,
    statement,
    sums,
)
from gridpact.carbon.allocation import allot
from gridpact.model import MemberCarbon, Phase, SlotCarbon, Verdict
from ledger_bench import LENGTH_S, SLOT, Bench

MEMBERS = ("ann", "bob", "cyd")
HOURS = 0.25
UG_PER_T = 1e12
replace = msgspec.structs.replace

energies = st.one_of(st.just(0), st.integers(1, 5), st.integers(1, 10**5))
weights = st.one_of(st.just(0.0), st.floats(0.0, 1.0), st.floats(1e-9, 1e9))


@dataclass(frozen=True)
class Home:
    """Energies of one home in one slot, and how much of its carbon a storage gives, in 1000."""

    load_wh: int
    generated_wh: int
    charged_wh: int
    discharged_wh: int
    given_permille: int


homes = st.builds(Home, energies, energies, energies, energies, st.integers(0, 1_000))
days = st.lists(
    st.tuples(
        st.tuples(*(homes for _ in MEMBERS)),
        st.integers(-3, 50),  # lost Wh
        st.integers(0, 100),  # Wh that pass through
        st.lists(weights, min_size=8, max_size=8),
    ),
    min_size=1,
    max_size=3,
)


@dataclass(frozen=True)
class Bend:
    """One unit more or less in one place."""

    slot: int
    field: int
    by: int
    member: int | None
    """Whose part; None for the sums."""


bends = st.builds(
    Bend,
    st.integers(0, 2),
    st.integers(0, 99),
    st.sampled_from([-1, 1]),
    st.one_of(st.none(), st.integers(0, 2)),
)

Slot = tuple[tuple[Home, ...], int, int, list[float]]


def traced(slot: Slot, held: list[int]) -> tuple[list[MemberCarbon], SlotCarbon]:
    """One slot in whole units; `held` is the carbon in everybody's storage, moved on here."""
    row, lost_wh, through_wh, floats = slot
    given = [
        held[i] * home.given_permille // 1_000 if home.discharged_wh else 0
        for i, home in enumerate(row)
    ]
    drawn_wh = sum(home.load_wh + home.charged_wh for home in row) + lost_wh
    needed_wh = drawn_wh - sum(home.generated_wh + home.discharged_wh for home in row)
    exported_wh = max(0, -needed_wh) + through_wh
    imported_wh = needed_wh + exported_wh
    generated_wh = sum(home.generated_wh for home in row)
    total_ug = imported_wh * IMPORT_MG_PER_KWH + generated_wh * RULES.generation_mg_per_kwh
    total_ug += sum(given)
    scale = total_ug / (sum(floats) or 1.0) / HOURS / UG_PER_T
    parts = allot(
        total_ug,
        [each * scale for each in floats] if any(floats) else [total_ug / HOURS / UG_PER_T / 8] * 8,
        [
            *(home.load_wh for home in row),
            *(home.charged_wh for home in row),
            exported_wh,
            lost_wh,
        ],
        HOURS,
        slack_ug=IMPORT_MG_PER_KWH,
    )
    assert sum(parts) == total_ug
    mine = [
        part((home.load_wh, parts[i]), home.generated_wh, (home.charged_wh, parts[3 + i]),
             (home.discharged_wh, given[i]))
        for i, home in enumerate(row)
    ]  # fmt: skip
    for i, each in enumerate(mine):
        held[i] += each.charged_ug - each.discharged_ug
    return mine, sums(mine, imported_wh, (lost_wh, parts[7]), (exported_wh, parts[6]))


def settled(net_wh: list[list[int]]) -> Bench:
    bench = fresh()
    bench.join(*MEMBERS)
    slots = len(net_wh[0])
    bench.open(slots=slots)
    bench.walk(Phase.DELIVERED, slots=slots)
    for member, seen in zip(MEMBERS, net_wh, strict=True):
        bench.accept(bench.batch(member, seen, sender=f"{member}.meter"))
    bench.walk(Phase.SETTLED, slots=slots)
    return bench


def bent(value: MemberCarbon | SlotCarbon, bend: Bend) -> MemberCarbon | SlotCarbon | None:
    """None where a number would go below zero, or where nobody could care."""
    fields = type(value).__struct_fields__
    name = fields[bend.field % len(fields)]
    if name == "import_mg_per_kwh" and not value.imported_wh:
        return None  # what nothing would have emitted
    number = getattr(value, name) + bend.by
    return replace(value, **{name: number}) if number >= 0 or name == "lost_wh" else None


@settings(max_examples=60)
@given(days, st.lists(bends, max_size=4))
def test_what_is_traced_adds_up_and_no_unit_can_be_moved(
    day: list[Slot], tampered: list[Bend]
) -> None:
    held = [0] * len(MEMBERS)
    told = [traced(slot, held) for slot in day]
    parts = [[mine[i] for mine, _ in told] for i in range(len(MEMBERS))]
    slots = [slot for _, slot in told]
    bench = settled(
        [
            [p.generated_wh + p.discharged_wh - p.load_wh - p.charged_wh for p in mine]
            for mine in parts
        ]
    )
    for time, bend in enumerate(tampered):
        refused(bench, parts, slots, bend, 1 + time)
    asked = send(bench, parts, slots, 99)
    barrier(bench)
    assert event_of(bench, asked) == Verdict.ACCEPTED
    for i, member in enumerate(MEMBERS):
        assert held_ug(bench, member) == held[i]
        assert statement(bench, member).load_ug == sum(each.load_ug for each in parts[i])
    for place, slot in enumerate(slots):
        assert slot_sums(bench, SLOT + place * LENGTH_S) == slot
        assert (slot.residual_wh, slot.residual_ug) == (0, 0)


def send(
    bench: Bench, parts: list[list[MemberCarbon]], slots: list[SlotCarbon], time: int
) -> tuple[bytes, bytes]:
    """Everything of an allotment; the sums, which may be refused."""
    for member, mine in zip(MEMBERS, parts, strict=True):
        bench.decide(bench.member_carbon(member, *mine, submitted_ms=time))
    asked = bench.slot_carbon(*slots, submitted_ms=time)
    bench.decide(asked)
    return asked


def refused(
    bench: Bench, parts: list[list[MemberCarbon]], slots: list[SlotCarbon], bend: Bend, time: int
) -> None:
    """With one unit bent nothing of the allotment is written."""
    place = bend.slot % len(slots)
    wrong_parts, wrong_slots = [list(mine) for mine in parts], list(slots)
    row = wrong_slots if bend.member is None else wrong_parts[bend.member]
    other = bent(row[place], bend)
    if other is None:
        return
    row[place] = other
    if bend.member is not None:
        mine = wrong_parts[bend.member]
        first = bench.member_carbon(MEMBERS[bend.member], *mine, submitted_ms=time)
        if bench.decide(first).receipts[0].verdict != Verdict.ACCEPTED:
            return  # at the door
    asked = send(bench, wrong_parts, wrong_slots, time)
    barrier(bench)
    assert event_of(bench, asked) != Verdict.ACCEPTED
    assert not list(bench.application.state.group("slot-carbon"))
