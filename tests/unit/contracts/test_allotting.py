"""Goal: carbon is allotted whole or not at all, to the microgram, and every fault has its name.

The numbers of the good day are those of `carbon_bench`, worked out by hand there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import msgspec
import pytest
from tests.carbon_bench import (
    ANN,
    BOB,
    DSO,
    NEXT,
    SLOTS,
    allotment,
    barrier,
    carbon_of,
    deliver,
    documents_of,
    event_of,
    fresh,
    held_ug,
    lines_of,
    part,
    settle,
    slot_sums,
    statement,
    sums,
    waiting_parts,
    with_carbon,
)
from tests.ledger_bench import (
    AUDITOR,
    DAY,
    LENGTH_S,
    MARKET,
    METERING,
    OPERATOR,
    OTHER_LENGTH_S,
    OTHER_MARKET,
    PRICES,
    SLOT,
    UNIT,
    Bench,
    genesis_with,
)

from gridpact.codec import encode
from gridpact.contracts.carbon_balance import carbon_residuals
from gridpact.contracts.keys import carbon_key
from gridpact.contracts.statements import open_claim
from gridpact.ledger.proofs import ProofError, ProvedDocument, StateClaim
from gridpact.model import (
    CarbonLine,
    CarbonStatement,
    MemberCarbon,
    Phase,
    Verdict,
)
from gridpact.node import SimulatedKeys

NEXT_DAY = "2023-11-15"
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


# The good day


def test_nothing_happens_before_the_barrier(bench: Bench) -> None:
    before = {member: bench.account(member) for member in ("ann", "bob")}
    bench.accept(*allotment(bench))
    assert carbon_of(bench) == {}
    assert waiting_parts(bench) == {}
    barrier(bench)
    assert set(carbon_of(bench)) == {
        f"carbon/ann/{DAY}",
        f"carbon/bob/{DAY}",
        f"carbon-store/bob/{MARKET}",
        f"slot-carbon/{MARKET}/{SLOT}",
        f"slot-carbon/{MARKET}/{NEXT}",
    }
    assert waiting_parts(bench) == {}
    assert {member: bench.account(member) for member in before} == before


def test_who_only_draws_has_the_mix_of_the_line(allotted: Bench) -> None:
    """Physical: 194.3 and 382.7 g. Contractual: 600 Wh of Bob's sun, the rest of a supplier."""
    assert lines_of(allotted, "ann") == [
        CarbonLine(
            SLOT,
            MemberCarbon(1_000, 0, 0, 0, 194_285_714, 0, 0),
            bought_wh=600,
            bought_ug=24_000_000,
            supplied_wh=400,
            supplied_ug=200_000_000,
        ),
        CarbonLine(NEXT, MemberCarbon(1_000, 0, 0, 0, 382_692_308, 0, 0), 0, 0, 1_000, 500_000_000),
    ]
    stated = statement(allotted, "ann")
    assert (stated.load_wh, stated.load_ug) == (2_000, 576_978_022)
    assert (stated.bought_wh, stated.bought_ug) == (600, 24_000_000)
    assert (stated.supplied_wh, stated.supplied_ug) == (1_400, 700_000_000)
    assert (stated.generated_wh, stated.charged_wh, stated.discharged_wh) == (0, 0, 0)
    assert (stated.charged_ug, stated.discharged_ug, stated.lines) == (0, 0, 2)
    assert held_ug(allotted, "ann") == 0


def test_who_has_the_sun_and_a_storage_keeps_what_is_in_it(allotted: Bench) -> None:
    """8 g in, 6 g out, 2 g stay; nobody sold Bob anything and he drew nothing from outside."""
    assert lines_of(allotted, "bob") == [
        CarbonLine(SLOT, MemberCarbon(100, 900, 200, 0, 4_000_000, 8_000_000, 0), 0, 0, 0, 0),
        CarbonLine(NEXT, MemberCarbon(100, 0, 0, 150, 4_000_000, 0, 6_000_000), 0, 0, 0, 0),
    ]
    stated = statement(allotted, "bob")
    assert (stated.load_wh, stated.load_ug, stated.generated_wh) == (200, 8_000_000, 900)
    assert (stated.charged_wh, stated.charged_ug) == (200, 8_000_000)
    assert (stated.discharged_wh, stated.discharged_ug) == (150, 6_000_000)
    assert (
        (stated.bought_wh, stated.bought_ug) == (stated.supplied_wh, stated.supplied_ug) == (0, 0)
    )
    assert held_ug(allotted, "bob") == 2_000_000


def test_the_sums_are_public_and_balance(allotted: Bench) -> None:
    first, second = slot_sums(allotted), slot_sums(allotted, NEXT)
    assert (first, second) == SLOTS
    assert (first.imported_ug, first.generated_ug) == (180_000_000, 36_000_000)
    assert (first.load_ug, first.charged_ug, first.lost_ug) == (198_285_714, 8_000_000, 9_714_286)
    assert (second.imported_ug, second.discharged_ug) == (396_000_000, 6_000_000)
    for slot in (first, second):
        assert (slot.residual_wh, slot.residual_ug) == (0, 0)
    for start_s in (SLOT, NEXT):
        entry = allotted.entry(f"slot-carbon/{MARKET}/{start_s}")
        assert entry is not None
        assert entry.salt == b""
    assert carbon_residuals(allotted.application.state) == []


def test_a_slot_that_feeds_out_gives_carbon_away() -> None:
    """Bob's 1,000 Wh of sun leave the market but for 10 that are lost; Ann is not at home."""
    bench = fresh()
    bench.join("ann", "bob", deposit_nano=UNIT)
    bench.open()
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.batch("ann", [0], sender="ann.meter"))
    bench.accept(bench.batch("bob", [1_000], sender="bob.meter"))
    bench.walk(Phase.SETTLED)
    sun = part(generated_wh=1_000)
    slot = sums([sun], 0, lost=(10, 400_000), exported=(990, 39_600_000))
    bench.accept(
        bench.member_carbon("ann", part()),
        bench.member_carbon("bob", sun),
        bench.slot_carbon(slot),
    )
    barrier(bench)
    assert slot_sums(bench).exported_ug == 39_600_000
    assert statement(bench, "bob").load_ug == statement(bench, "ann").load_ug == 0
    assert statement(bench, "ann").lines == 1


def test_slots_of_two_billing_days_are_on_two_statements() -> None:
    bench = fresh()
    settle(bench, second_day=NEXT_DAY)
    bench.accept(*allotment(bench))
    barrier(bench)
    for day, start_s, load_ug in ((DAY, SLOT, 194_285_714), (NEXT_DAY, NEXT, 382_692_308)):
        (line,) = lines_of(bench, "ann", day)
        assert (line.slot_start_s, line.physical.load_ug) == (start_s, load_ug)
        assert (statement(bench, "ann", day).lines, statement(bench, "ann", day).load_ug) == (
            1,
            load_ug,
        )
    assert [document.index for document in documents_of(bench, "bob", NEXT_DAY)] == [0]
    assert held_ug(bench, "bob") == 2_000_000


@pytest.mark.parametrize("together", [False, True], ids=["two barriers", "one barrier"])
def test_slot_by_slot_comes_to_what_both_at_once_come_to(
    bench: Bench, allotted: Bench, together: bool
) -> None:
    other = fresh()
    settle(other)
    found: list[CarbonLine] = []
    proved: list[ProvedDocument] = []
    for place, start_s in enumerate((SLOT, NEXT)):
        other.accept(
            other.member_carbon("ann", ANN[place], first_s=start_s),
            other.member_carbon("bob", BOB[place], first_s=start_s),
            other.slot_carbon(SLOTS[place], first_s=start_s),
        )
        if not together or start_s == NEXT:
            barrier(other)
            found += lines_of(other, "ann")
            proved += [ProvedDocument(d.salt, d.data) for d in documents_of(other, "ann")]
            last = documents_of(other, "ann")[-1]
            assert last.index == place
    assert found == lines_of(allotted, "ann")
    claim = replace(proof_of(other, "ann"), documents=proved)
    assert list(open_claim(claim).carbon) == found
    for member in ("ann", "bob"):
        stated = replace(statement(other, member), frontier=[])
        assert stated == replace(statement(allotted, member), frontier=[])
    assert held_ug(other, "bob") == 2_000_000


def test_lines_are_proved_by_the_tree_in_the_statement(allotted: Bench) -> None:
    claim = proof_of(allotted, "ann")
    opened = open_claim(claim)
    assert opened.value == statement(allotted, "ann")
    assert list(opened.carbon) == lines_of(allotted, "ann")
    assert opened.lines == ()


def proof_of(bench: Bench, member: str) -> StateClaim:
    """A statement with its lines, as a host hands it out, its path left out."""
    entry = bench.entry(carbon_key(member, DAY))
    assert entry is not None
    proved = [ProvedDocument(d.salt, d.data) for d in documents_of(bench, member)]
    return StateClaim(carbon_key(member, DAY), entry.salt, encode(entry.value), b"", proved)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[::-1],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0], ProvedDocument(bytes(32), lines[1].data)],
        lambda lines: [lines[0], ProvedDocument(lines[1].salt, lines[0].data)],
    ],
)
def test_other_lines_do_not_belong_to_the_statement(
    allotted: Bench, tamper: Callable[[list[ProvedDocument]], list[ProvedDocument]]
) -> None:
    claim = proof_of(allotted, "ann")
    with pytest.raises(ProofError, match=f"lines are not the 2 of 'carbon/ann/{DAY}'"):
        open_claim(replace(claim, documents=tamper(claim.documents)))


@pytest.mark.parametrize("field", CarbonStatement.__struct_fields__[:11])
def test_a_statement_whose_lines_sum_to_something_else_is_refused(
    allotted: Bench, field: str
) -> None:
    claim = proof_of(allotted, "bob")
    stated = statement(allotted, "bob")
    other = replace(stated, **{field: getattr(stated, field) + 1})
    with pytest.raises(ProofError, match="do not sum to the statement"):
        open_claim(replace(claim, value=encode(other)))


def test_a_line_that_is_none_is_refused(allotted: Bench) -> None:
    claim = proof_of(allotted, "ann")
    with pytest.raises(ProofError, match="not a CarbonLine"):
        open_claim(replace(claim, documents=[ProvedDocument(bytes(32), b"\x90")]))


# Who sends what, in which order


@pytest.mark.parametrize("sender", [OPERATOR, DSO])
def test_who_may(bench: Bench, sender: str) -> None:
    sent = [
        bench.member_carbon("ann", *ANN, sender=sender),
        bench.member_carbon("bob", *BOB, sender=sender),
        bench.slot_carbon(*SLOTS, sender=sender),
    ]
    bench.accept(*sent)
    barrier(bench)
    assert [event_of(bench, one) for one in sent] == [Verdict.ACCEPTED] * 3


@pytest.mark.parametrize("sender", ["ann", "ann.meter", METERING, PRICES, AUDITOR])
def test_who_may_not(bench: Bench, sender: str) -> None:
    bench.refuse(bench.member_carbon("ann", *ANN, sender=sender), Verdict.ROLE_MISSING)
    bench.refuse(bench.slot_carbon(*SLOTS, sender=sender), Verdict.ROLE_MISSING)


def test_the_order_inside_a_phase_does_not_matter() -> None:
    """Sums before their parts, a reading in between: the barrier sorts them."""
    roots = set()
    for order in permutations(range(3)):
        bench = fresh()
        settle(bench)
        sent = [
            [bench.member_carbon("ann", *ANN), bench.member_carbon("bob", *BOB)],
            [bench.slot_carbon(*SLOTS, sender=DSO)],
            [bench.batch("bob", [600, 50], version=2, sender="bob.meter")],
        ]
        bench.accept(*(one for place in order for one in sent[place]))
        barrier(bench)
        assert statement(bench, "ann").load_ug == 576_978_022
        roots.add(bench.market_root)
    assert len(roots) == 1


def test_parts_may_come_a_barrier_before_their_sums(bench: Bench) -> None:
    bench.accept(bench.member_carbon("ann", *ANN), bench.member_carbon("bob", *BOB))
    barrier(bench)
    assert waiting_parts(bench) == {"ann": 2, "bob": 2}
    assert carbon_of(bench) == {}
    bench.accept(bench.slot_carbon(*SLOTS))
    barrier(bench)
    assert waiting_parts(bench) == {}
    assert statement(bench, "ann").load_ug == 576_978_022


def test_a_later_part_takes_the_place_of_an_earlier_one(bench: Bench) -> None:
    """Signed later, not sent later."""
    wrong = [replace(each, load_ug=1) for each in ANN]
    bench.accept(
        bench.member_carbon("ann", *ANN, submitted_ms=2),
        bench.member_carbon("ann", *wrong, submitted_ms=1),
        bench.member_carbon("bob", BOB[0]),
    )
    barrier(bench)
    assert waiting_parts(bench) == {"ann": 2, "bob": 1}
    bench.accept(bench.member_carbon("bob", *BOB), bench.slot_carbon(*SLOTS))
    barrier(bench)
    assert statement(bench, "ann").load_ug == 576_978_022


def test_the_sums_that_were_signed_first_stand(bench: Bench) -> None:
    bench.accept(bench.member_carbon("ann", *ANN), bench.member_carbon("bob", *BOB))
    first = bench.slot_carbon(*SLOTS, submitted_ms=1)
    second = bench.slot_carbon(*SLOTS, sender=DSO)
    overlapping = bench.slot_carbon(SLOTS[1], first_s=NEXT, submitted_ms=3)
    bench.accept(first, second, overlapping)
    barrier(bench)
    assert event_of(bench, second) == Verdict.ACCEPTED
    assert event_of(bench, first) == event_of(bench, overlapping) == Verdict.CARBON_ALLOTTED
    assert statement(bench, "ann").lines == 2


# Refusals before the barrier, by number; each leaves everything as it was


def test_an_unknown_market(bench: Bench) -> None:
    """Before a misaligned range and an unknown member."""
    part_of_nobody = bench.member_carbon("nobody", *ANN, market="lv9", first_s=1)
    bench.refuse(part_of_nobody, Verdict.UNKNOWN_MARKET)
    bench.refuse(bench.slot_carbon(*SLOTS, market="lv9", first_s=1), Verdict.UNKNOWN_MARKET)


@pytest.mark.parametrize("first_s", [SLOT - LENGTH_S, NEXT, 0])
def test_a_range_with_a_slot_that_is_not_there(bench: Bench, first_s: int) -> None:
    bench.refuse(bench.member_carbon("nobody", *ANN, first_s=first_s), Verdict.UNKNOWN_SLOT)
    bench.refuse(bench.slot_carbon(*SLOTS, first_s=first_s), Verdict.UNKNOWN_SLOT)


@pytest.mark.parametrize("participant", ["nobody", OPERATOR, "ann.meter"])
def test_who_has_no_account(bench: Bench, participant: str) -> None:
    """Before anything that is wrong with the slots or the part."""
    odd = [replace(each, load_wh=0) for each in ANN]
    bench.refuse(bench.member_carbon(participant, *odd), Verdict.UNKNOWN_PARTY)


@pytest.mark.parametrize("first_s", [SLOT + 1, SLOT - 1, 2**63 - LENGTH_S])
def test_a_range_off_the_grid(bench: Bench, first_s: int) -> None:
    bench.refuse(bench.member_carbon("ann", *ANN, first_s=first_s), Verdict.RANGE_WRONG)
    bench.refuse(bench.slot_carbon(*SLOTS, first_s=first_s), Verdict.RANGE_WRONG)


def test_a_range_longer_than_the_limits_allow() -> None:
    keys = SimulatedKeys(7)
    genesis = with_carbon(genesis_with(keys))
    limits = replace(genesis.limits, slots_per_phase=2)
    bench = Bench(replace(genesis, limits=limits), keys)
    settle(bench)
    bench.refuse(bench.member_carbon("ann", *ANN, ANN[0]), Verdict.RANGE_WRONG)
    bench.refuse(bench.slot_carbon(*SLOTS, SLOTS[0]), Verdict.RANGE_WRONG)
    bench.accept(*allotment(bench))


def test_no_carbon_without_rules() -> None:
    bench = fresh(rules=None)
    settle(bench)
    bench.refuse(bench.member_carbon("ann", *ANN), Verdict.CARBON_UNRULED)
    bench.refuse(bench.slot_carbon(*SLOTS), Verdict.CARBON_UNRULED)


def test_the_rules_of_one_market_are_not_those_of_another(bench: Bench) -> None:
    first_s = SLOT // OTHER_LENGTH_S * OTHER_LENGTH_S
    bench.accept(bench.tariff(first_s=first_s, market=OTHER_MARKET))
    bench.accept(bench.phase(Phase.OPEN, first_s=first_s, market=OTHER_MARKET))
    sent = bench.member_carbon("ann", ANN[0], first_s=first_s, market=OTHER_MARKET)
    bench.refuse(sent, Verdict.CARBON_UNRULED)
    sent = bench.slot_carbon(SLOTS[0], first_s=first_s, market=OTHER_MARKET)
    bench.refuse(sent, Verdict.CARBON_UNRULED)


def test_between_settlement_and_the_end_only() -> None:
    """Before anything that is wrong with the numbers."""
    bench = fresh()
    deliver(bench)
    odd = [replace(each, load_wh=0) for each in ANN]
    wrong = [replace(each, lost_ug=0) for each in SLOTS]
    for phase in (Phase.METERED, Phase.SETTLED):
        bench.refuse(bench.member_carbon("ann", *odd), Verdict.NOT_SETTLED)
        bench.refuse(bench.slot_carbon(*wrong), Verdict.NOT_SETTLED)
        bench.move(phase, first_s=NEXT)
    bench.refuse(bench.slot_carbon(*SLOTS), Verdict.NOT_SETTLED)  # one is, one is not
    bench.walk(Phase.SETTLED)
    bench.accept(bench.member_carbon("ann", *ANN))
    bench.walk(Phase.FINAL)
    bench.refuse(bench.member_carbon("ann", *odd), Verdict.NOT_SETTLED)
    bench.refuse(bench.slot_carbon(*wrong), Verdict.NOT_SETTLED)


def test_nothing_is_allotted_twice(allotted: Bench) -> None:
    odd = [replace(each, load_wh=0) for each in ANN]
    for first_s, places in ((SLOT, slice(2)), (SLOT, slice(1)), (NEXT, slice(1, 2))):
        again = allotted.member_carbon("ann", *odd[places], first_s=first_s)
        allotted.refuse(again, Verdict.CARBON_ALLOTTED)
        wrong = [replace(each, lost_wh=0) for each in SLOTS[places]]
        allotted.refuse(allotted.slot_carbon(*wrong, first_s=first_s), Verdict.CARBON_ALLOTTED)


def test_a_range_in_which_one_slot_has_its_carbon(bench: Bench) -> None:
    sun = part(generated_wh=50)
    mine = part(load=(1_000, 382_000_000))
    bench.accept(
        bench.member_carbon("ann", mine, first_s=NEXT),
        bench.member_carbon("bob", sun, first_s=NEXT),
        bench.slot_carbon(sums([mine, sun], 950), first_s=NEXT),
    )
    barrier(bench)
    bench.refuse(bench.member_carbon("ann", *ANN), Verdict.CARBON_ALLOTTED)
    bench.refuse(bench.slot_carbon(*SLOTS), Verdict.CARBON_ALLOTTED)
    bench.accept(bench.member_carbon("ann", ANN[0]), bench.slot_carbon(SLOTS[0]))


@pytest.mark.parametrize("field", ["load_wh", "charged_wh", "discharged_wh"])
def test_a_part_with_carbon_where_no_energy_is(bench: Bench, field: str) -> None:
    carbon = field.replace("_wh", "_ug")
    empty = replace(BOB[0], **{field: 0, carbon: 1})
    bench.refuse(bench.member_carbon("bob", BOB[0], empty), Verdict.CARBON_WITHOUT_ENERGY)
    bench.accept(bench.member_carbon("bob", BOB[0], replace(empty, **{field: 1})))
    bench.accept(bench.member_carbon("bob", BOB[0], replace(empty, **{carbon: 0})))


@pytest.mark.parametrize(("lost_wh", "exported_wh"), [(0, 50), (-10, 60), (50, 0)])
def test_sums_with_carbon_where_no_energy_is(bench: Bench, lost_wh: int, exported_wh: int) -> None:
    """Also where lines gain energy by the rounding of a power flow."""
    slot = replace(SLOTS[0], lost_wh=lost_wh, exported_wh=exported_wh, lost_ug=714_286)
    slot = replace(slot, exported_ug=9_000_000)
    bench.refuse(bench.slot_carbon(slot, SLOTS[1]), Verdict.CARBON_WITHOUT_ENERGY)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "field",
    [
        "imported_wh",
        "generated_wh",
        "discharged_wh",
        "load_wh",
        "charged_wh",
        "lost_wh",
        "exported_wh",
    ],
)
def test_energy_that_does_not_add_up(bench: Bench, field: str, place: int) -> None:
    """Before carbon that does not."""
    slots = list(SLOTS)
    slots[place] = replace(SLOTS[place], **{field: getattr(SLOTS[place], field) + 1}, lost_ug=0)
    bench.refuse(bench.slot_carbon(*slots), Verdict.CARBON_ENERGY_WRONG)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "field",
    [
        "imported_ug",
        "generated_ug",
        "discharged_ug",
        "load_ug",
        "charged_ug",
        "lost_ug",
        "exported_ug",
    ],
)
def test_carbon_that_does_not_add_up(bench: Bench, field: str, place: int) -> None:
    slots = list(SLOTS)
    slots[place] = replace(SLOTS[place], **{field: getattr(SLOTS[place], field) + 1})
    bench.refuse(bench.slot_carbon(*slots), Verdict.CARBON_UNBALANCED)


@pytest.mark.parametrize(
    ("source", "other"), [("imported_ug", "generated_ug"), ("generated_ug", "imported_ug")]
)
def test_emissions_are_factor_times_energy(bench: Bench, source: str, other: str) -> None:
    """What balances all the same: one source a microgram more, the other or the losses less."""
    slot = SLOTS[0]
    for balanced in (
        replace(slot, **{source: getattr(slot, source) + 1, other: getattr(slot, other) - 1}),
        replace(slot, **{source: getattr(slot, source) + 1}, lost_ug=slot.lost_ug + 1),
        replace(slot, import_mg_per_kwh=slot.import_mg_per_kwh + 1),
    ):
        assert balanced.residual_ug == 0
        bench.refuse(bench.slot_carbon(balanced, SLOTS[1]), Verdict.CARBON_UNBALANCED)


def test_malformed_bodies(bench: Bench) -> None:
    bench.refuse(bench.member_carbon("ann"), Verdict.MALFORMED_PAYLOAD)
    too_much = replace(ANN[0], load_ug=2**62 + 1)
    bench.refuse(bench.member_carbon("ann", too_much), Verdict.MALFORMED_PAYLOAD)
    below = replace(ANN[0], load_wh=-1)
    bench.refuse(bench.member_carbon("ann", below), Verdict.MALFORMED_PAYLOAD)
    for body in (bench.slot_carbon(), bench.slot_carbon(replace(SLOTS[0], load_wh=-1))):
        assert bench.application.readable(body[0]) == Verdict.MALFORMED_BODY
