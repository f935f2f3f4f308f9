"""Goal: only who may report is heard, versions of two senders stand side by side, a batch of slots
counts whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from gridpact.codec import Wire
from gridpact.contracts.bodies import (
    BatchPayload,
    Kind,
    ReadingPayload,
    ReportBatch,
    ReportReading,
    SlotReading,
)
from gridpact.contracts.genesis import DEFAULT_LIMITS
from gridpact.model import Phase, Quality, Reading, Role, SlotReadings, Verdict
from gridpact.node import SimulatedKeys
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    AUDITOR,
    LENGTH_S,
    MARKET,
    METERING,
    OPERATOR,
    SLOT,
    UNIT,
    Bench,
    genesis_with,
)

MEASURED, ESTIMATED = Quality.MEASURED, Quality.ESTIMATED
OTHER_METERING = "metering-2"
LIMIT = DEFAULT_LIMITS.slots_per_phase


@pytest.fixture
def bench() -> Bench:
    """Ann's meter names the metering operator, Bob's nobody; their slot has been delivered."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, parties=[(OTHER_METERING, Role.METERING_OPERATOR)]), keys)
    bench.accept(bench.register("ann"), bench.meter("ann", reporter=METERING))
    bench.join("bob", deposit_nano=UNIT)
    bench.open()
    bench.walk(Phase.DELIVERED)
    return bench


def by(sender: str, version: int = 1, import_wh: int = 0, export_wh: int = 0) -> Reading:
    return Reading("ann.meter", sender, version, MEASURED, import_wh, export_wh)


def test_a_reading_is_kept_as_it_was_sent(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 250, 0, version=3, quality=ESTIMATED))
    kept = Reading("ann.meter", "ann.meter", 3, ESTIMATED, 250, 0)
    assert bench.readings("ann") == SlotReadings([kept], [])


def test_gross_values_of_both_directions_are_kept(bench: Bench) -> None:
    bench.accept(bench.reading("ann", QUANTITY_MAX, QUANTITY_MAX))
    reading = bench.readings("ann").readings[0]
    assert (reading.import_wh, reading.export_wh) == (QUANTITY_MAX, QUANTITY_MAX)


def test_a_later_version_of_one_sender_replaces_the_earlier(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 250), bench.reading("ann", 260, version=2))
    assert bench.readings("ann").readings == [by("ann.meter", 2, 260)]


@pytest.mark.parametrize("swapped", [False, True])
def test_meter_and_metering_operator_stand_side_by_side(bench: Bench, swapped: bool) -> None:
    transactions = [
        bench.reading("ann", 250),
        bench.reading("ann", 300, sender=METERING),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    assert bench.readings("ann").readings == [by("ann.meter", 1, 250), by(METERING, 1, 300)]


def test_a_second_meter_has_a_reading_of_its_own(bench: Bench) -> None:
    bench.accept(bench.meter("ann", "ann.a-roof"))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.walk(Phase.DELIVERED, first_s=SLOT + LENGTH_S)
    late = SLOT + LENGTH_S
    bench.accept(
        bench.reading("ann", 5, slot_s=late),
        bench.reading("ann", 0, 7, meter="ann.a-roof", slot_s=late),
    )
    assert [(r.meter, r.import_wh, r.export_wh) for r in bench.readings("ann", late).readings] == [
        ("ann.a-roof", 0, 7),
        ("ann.meter", 5, 0),
    ]


def test_readings_are_taken_until_the_slot_is_final(bench: Bench) -> None:
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    for version, phase in ((2, Phase.METERED), (3, Phase.SETTLED)):
        bench.move(phase)
        bench.accept(bench.reading("bob", version=version))
    settled = bench.readings("bob").settled
    assert [reading.version for reading in settled] == [2]
    assert [reading.version for reading in bench.readings("bob").readings] == [3]
    bench.move(Phase.FINAL)
    bench.refuse(bench.reading("bob", version=4), Verdict.READING_CLOSED)
    bench.refuse(bench.reading("bob", version=1), Verdict.READING_CLOSED)


class Odd(Wire, frozen=True):
    version: int
    quality: int
    import_wh: int
    export_wh: int


@pytest.mark.parametrize(
    "payload",
    [
        Odd(0, 1, 0, 0),
        Odd(-1, 1, 0, 0),
        Odd(2**31, 1, 0, 0),
        Odd(1, 0, 0, 0),
        Odd(1, 4, 0, 0),
        Odd(1, 1, -1, 0),
        Odd(1, 1, 0, -1),
        Odd(1, 1, QUANTITY_MAX + 1, 0),
    ],
)
def test_malformed_payload(bench: Bench, payload: Odd) -> None:
    body = ReportReading(MARKET, SLOT, "ann", "ann.meter")
    bench.refuse(bench.write("ann.meter", Kind.READING, body, payload), Verdict.MALFORMED_PAYLOAD)


@pytest.mark.parametrize("sender", ["ann", OPERATOR, AUDITOR])
def test_role_missing(bench: Bench, sender: str) -> None:
    bench.refuse(bench.reading("ann", sender=sender), Verdict.ROLE_MISSING)


@pytest.mark.parametrize(
    ("market", "start_s"), [("lv9", SLOT), (MARKET, SLOT - LENGTH_S), (MARKET, SLOT + 1)]
)
def test_unknown_slot(bench: Bench, market: str, start_s: int) -> None:
    body = ReportReading(market, start_s, "ann", "ann.meter")
    payload = ReadingPayload(1, MEASURED, 0, 0)
    bench.refuse(bench.write("ann.meter", Kind.READING, body, payload), Verdict.UNKNOWN_SLOT)


def test_not_delivered(bench: Bench) -> None:
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    for phase in (Phase.CLOSED, Phase.CLEARED):
        bench.refuse(bench.reading("ann", slot_s=late), Verdict.NOT_DELIVERED)
        bench.move(phase, first_s=late)
    bench.refuse(bench.reading("ann", slot_s=late), Verdict.NOT_DELIVERED)
    bench.move(Phase.DELIVERED, first_s=late)
    bench.accept(bench.reading("ann", slot_s=late))


@pytest.mark.parametrize(
    ("owner", "meter", "sender"),
    [
        ("ann", "ann.meter", "bob.meter"),  # another's meter
        ("ann", "bob.meter", "bob.meter"),  # Ann has no such meter
        ("bob", "ann.meter", "ann.meter"),
        ("nobody", "ann.meter", "ann.meter"),
        ("ann", "nobody", "ann.meter"),
        ("bob", "bob.meter", METERING),  # the meter does not name it
        ("ann", "ann.meter", OTHER_METERING),  # the meter names another
    ],
)
def test_who_may_not_report(bench: Bench, owner: str, meter: str, sender: str) -> None:
    bench.refuse(bench.reading(owner, meter=meter, sender=sender), Verdict.METER_FOREIGN)


def test_a_named_reporter_needs_the_role(bench: Bench) -> None:
    """Bob's meter may report, but only for itself, even when another meter names it."""
    bench.accept(bench.meter("ann", "ann.roof", reporter="bob.meter"))
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    bench.walk(Phase.DELIVERED, first_s=late)
    foreign = bench.reading("ann", meter="ann.roof", sender="bob.meter", slot_s=late)
    bench.refuse(foreign, Verdict.METER_FOREIGN)
    bench.accept(bench.grant("bob.meter", Role.METERING_OPERATOR))
    bench.open(first_s=late + LENGTH_S)
    bench.accept(bench.reading("ann", meter="ann.roof", sender="bob.meter", slot_s=late))


def test_a_reporter_that_lost_its_role_is_not_heard(bench: Bench) -> None:
    bench.accept(bench.reading("ann", sender=METERING))
    bench.accept(bench.grant(METERING, Role.METERING_OPERATOR, granted=0))
    bench.accept(bench.reading("ann", sender=METERING, version=2))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.refuse(bench.reading("ann", sender=METERING, version=3), Verdict.ROLE_MISSING)


def test_a_meter_younger_than_the_slot_has_nothing_to_say(bench: Bench) -> None:
    bench.accept(bench.meter("ann", "ann.roof"))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.refuse(bench.reading("ann", meter="ann.roof"), Verdict.METER_FOREIGN)


def test_a_version_must_be_new(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 1, version=2))
    bench.refuse(bench.reading("ann", 2, version=2), Verdict.VERSION_STALE)
    bench.refuse(bench.reading("ann", 2, version=1), Verdict.VERSION_STALE)
    bench.accept(bench.reading("ann", 2, version=1, sender=METERING))  # each counts its own
    bench.refuse(bench.reading("ann", 3, version=1, sender=METERING), Verdict.VERSION_STALE)
    bench.accept(bench.reading("ann", 3, version=2**31 - 1))


def test_the_first_reason_wins(bench: Bench) -> None:
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    foreign = {"owner": "ann", "meter": "bob.meter", "sender": "bob.meter"}
    bench.refuse(bench.reading(**foreign, slot_s=late + 1), Verdict.UNKNOWN_SLOT)
    bench.refuse(bench.reading(**foreign, slot_s=late), Verdict.NOT_DELIVERED)
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    bench.refuse(bench.reading("ann"), Verdict.VERSION_STALE)
    bench.walk(Phase.FINAL)
    bench.refuse(bench.reading(**foreign), Verdict.METER_FOREIGN)  # before READING_CLOSED
    bench.refuse(bench.reading("ann"), Verdict.READING_CLOSED)


# Batches

DAY_LENGTHS = pytest.mark.parametrize("slots", [92, 96, 100])
"""A day of 23, 24 and 25 hours: clocks change, slots do not."""


def day(slots: int, last: Phase = Phase.DELIVERED) -> Bench:
    """Ann's meter names the metering operator; that many slots have been delivered."""
    bench = Bench()
    bench.accept(bench.register("ann"), bench.meter("ann", reporter=METERING))
    bench.open(slots=slots)
    bench.walk(last, slots=slots)
    return bench


def nth(slot: int) -> int:
    return SLOT + slot * LENGTH_S


@DAY_LENGTHS
def test_a_batch_is_a_day_however_long_it_is(slots: int) -> None:
    bench = day(slots)
    net_wh = [(-1) ** slot * slot for slot in range(slots)]
    bench.accept(bench.batch("ann", net_wh, version=3, quality=ESTIMATED))
    for slot, net in enumerate(net_wh):
        kept = Reading("ann.meter", METERING, 3, ESTIMATED, max(0, -net), max(0, net))
        assert bench.readings("ann", nth(slot)) == SlotReadings([kept], [])
    bench.move(Phase.METERED, slots=slots)
    bench.move(Phase.SETTLED, slots=slots)
    bill = bench.bill("ann")
    assert bill.lines == slots - 1  # in the first slot nothing flowed
    assert bill.grid_export_wh - bill.grid_import_wh == sum(net_wh)


def test_each_slot_of_a_batch_has_its_own_quality() -> None:
    bench = day(2)
    seen = [SlotReading(MEASURED, 1, 0), SlotReading(Quality.SUBSTITUTED, 2, 0)]
    body = ReportBatch(MARKET, SLOT, "ann", "ann.meter")
    bench.accept(bench.write(METERING, Kind.READING_BATCH, body, BatchPayload(1, seen)))
    kept = [bench.readings("ann", nth(slot)).readings[0] for slot in range(2)]
    assert [(r.quality, r.import_wh) for r in kept] == [(MEASURED, 1), (Quality.SUBSTITUTED, 2)]


def test_a_batch_says_what_single_readings_would() -> None:
    batch, single = day(3), day(3)
    batch.accept(batch.batch("ann", [-5, 0, 7]))
    for slot, (import_wh, export_wh) in enumerate(((5, 0), (0, 0), (0, 7))):
        reading = single.reading("ann", import_wh, export_wh, sender=METERING, slot_s=nth(slot))
        single.accept(reading)
    for slot in range(3):
        assert batch.readings("ann", nth(slot)) == single.readings("ann", nth(slot))


def test_the_meter_may_send_its_own_batch() -> None:
    bench = day(2)
    bench.accept(bench.batch("ann", [1, 2], sender="ann.meter"))
    assert bench.readings("ann", nth(1)).readings == [by("ann.meter", 1, 0, 2)]


def test_a_later_batch_replaces_the_earlier_and_stands_beside_the_meters_word() -> None:
    bench = day(2)
    bench.accept(bench.batch("ann", [-1, -2]), bench.batch("ann", [-3, -4], version=2))
    bench.accept(bench.reading("ann", 9, slot_s=nth(1)))
    assert bench.readings("ann").readings == [by(METERING, 2, 3)]
    assert bench.readings("ann", nth(1)).readings == [by("ann.meter", 1, 9), by(METERING, 2, 4)]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_batch_and_the_meters_readings_commute(swapped: bool) -> None:
    bench = day(2)
    sent = [bench.batch("ann", [-1, -2]), bench.reading("ann", 9, slot_s=nth(1))]
    bench.accept(*(reversed(sent) if swapped else sent))
    assert bench.readings("ann", nth(1)).readings == [by("ann.meter", 1, 9), by(METERING, 1, 2)]


@pytest.mark.parametrize(
    ("ready", "batch_s", "slots", "verdict"),
    [
        (4, SLOT, 4, Verdict.ACCEPTED),
        (3, SLOT, 4, Verdict.NOT_DELIVERED),
        (4, SLOT + LENGTH_S, 4, Verdict.UNKNOWN_SLOT),
        (0, SLOT, 1, Verdict.NOT_DELIVERED),
    ],
)
def test_a_batch_counts_whole_or_not_at_all(
    ready: int, batch_s: int, slots: int, verdict: Verdict
) -> None:
    """Four slots are open, the first few delivered."""
    bench = day(4, Phase.OPEN)
    if ready:
        bench.walk(Phase.DELIVERED, slots=ready)
    sent = bench.batch("ann", [-1] * slots, first_s=batch_s)
    if verdict == Verdict.ACCEPTED:
        bench.accept(sent)
    else:
        bench.refuse(sent, verdict)


def test_of_several_reasons_the_smallest_number_is_told() -> None:
    """Whichever slot has it: the row is stale, stale, final, not delivered, never opened."""
    bench = day(4, Phase.OPEN)
    bench.walk(Phase.DELIVERED, slots=3)
    bench.accept(bench.batch("ann", [0, 0], version=2))
    bench.accept(bench.reading("ann", slot_s=nth(2)))
    bench.walk(Phase.FINAL, first_s=nth(2))
    foreign = {"sender": METERING, "owner": "bob", "net_wh": [0] * 4}
    for slots, version, verdict in (
        (5, 1, Verdict.UNKNOWN_SLOT),
        (4, 1, Verdict.NOT_DELIVERED),
        (3, 2, Verdict.VERSION_STALE),
        (3, 3, Verdict.READING_CLOSED),
    ):
        bench.refuse(bench.batch("ann", [0] * slots, version=version), verdict)
    bench.refuse(bench.batch(**foreign), Verdict.NOT_DELIVERED)
    bench.refuse(bench.batch(**{**foreign, "net_wh": [0] * 3}), Verdict.METER_FOREIGN)
    bench.accept(bench.batch("ann", [0, 0], version=3))


def test_a_batch_with_one_stale_slot_is_stale() -> None:
    bench = day(3)
    bench.accept(bench.reading("ann", 1, sender=METERING, version=2, slot_s=nth(1)))
    bench.refuse(bench.batch("ann", [0, 0, 0], version=2), Verdict.VERSION_STALE)
    bench.accept(bench.batch("ann", [0, 0, 0], version=3))
    bench.refuse(bench.reading("ann", sender=METERING, version=3), Verdict.VERSION_STALE)


class Wide(Wire, frozen=True):
    version: int
    readings: list[list[int]]


@pytest.mark.parametrize(
    "payload",
    [
        Wide(0, [[1, 0, 0]]),
        Wide(2**31, [[1, 0, 0]]),
        Wide(1, []),
        Wide(1, [[1, 0, 0], [4, 0, 0]]),
        Wide(1, [[1, 0, 0], [1, -1, 0]]),
        Wide(1, [[1, 0, QUANTITY_MAX + 1]]),
        Wide(1, [[1, 0]]),
    ],
)
def test_a_malformed_batch(payload: Wide) -> None:
    bench = day(2)
    body = ReportBatch(MARKET, SLOT, "ann", "ann.meter")
    sent = bench.write(METERING, Kind.READING_BATCH, body, payload)
    bench.refuse(sent, Verdict.MALFORMED_PAYLOAD)


@pytest.mark.parametrize("sender", ["ann", OPERATOR, AUDITOR])
def test_a_batch_of_somebody_without_the_role(sender: str) -> None:
    bench = day(2)
    bench.refuse(bench.batch("ann", [0, 0], sender=sender), Verdict.ROLE_MISSING)


def test_a_batch_of_an_unknown_market_or_range() -> None:
    bench = day(2)
    payload = BatchPayload(1, [SlotReading(MEASURED, 0, 0)] * 2)
    longest = BatchPayload(1, [SlotReading(MEASURED, 0, 0)] * (LIMIT + 1))
    last_s = (2**63 - 1) // LENGTH_S * LENGTH_S
    for market, start_s, seen, verdict in (
        ("lv9", SLOT + 1, payload, Verdict.UNKNOWN_MARKET),
        (MARKET, SLOT + 1, payload, Verdict.RANGE_WRONG),
        (MARKET, last_s, payload, Verdict.RANGE_WRONG),
        (MARKET, SLOT, longest, Verdict.RANGE_WRONG),
        (MARKET, nth(1), payload, Verdict.UNKNOWN_SLOT),
    ):
        body = ReportBatch(market, start_s, "ann", "ann.meter")
        bench.refuse(bench.write(METERING, Kind.READING_BATCH, body, seen), verdict)


def test_who_may_not_send_a_batch_for_a_meter(bench: Bench) -> None:
    bench.refuse(bench.batch("ann", [0], sender=OTHER_METERING), Verdict.METER_FOREIGN)
    bench.refuse(bench.batch("ann", [0], sender="bob.meter"), Verdict.METER_FOREIGN)
    bench.refuse(bench.batch("bob", [0]), Verdict.METER_FOREIGN)


def test_a_batch_over_slots_before_the_meter_is_foreign() -> None:
    bench = day(1)
    bench.accept(bench.meter("ann", "ann.roof", reporter=METERING))
    bench.open(first_s=nth(1))
    bench.walk(Phase.DELIVERED, first_s=nth(1))
    body = ReportBatch(MARKET, SLOT, "ann", "ann.roof")
    payload = BatchPayload(1, [SlotReading(MEASURED, 0, 0)] * 2)
    bench.refuse(bench.write(METERING, Kind.READING_BATCH, body, payload), Verdict.METER_FOREIGN)
    late = msgspec.structs.replace(body, first_start_s=nth(1))
    short = BatchPayload(1, [SlotReading(MEASURED, 0, 0)])
    bench.accept(bench.write(METERING, Kind.READING_BATCH, late, short))


@pytest.mark.parametrize("version", [1, 2])
def test_a_dead_meter_is_substituted_and_its_own_word_counts_when_it_comes(
    version: int,
) -> None:
    """The slots cannot be metered without it; the operator puts 500 each in its place and they
    settle; the meter, back before `final`, measured 300: 200 at 0.30 come back for each. Under
    the same version number better evidence counts, a later version counts anyway."""
    bench = day(2)
    bench.refuse(bench.phase(Phase.METERED, slots=2), Verdict.READINGS_MISSING)
    bench.accept(bench.batch("ann", [-500, -500], quality=Quality.SUBSTITUTED))
    bench.move(Phase.METERED, slots=2)
    bench.move(Phase.SETTLED, slots=2)
    assert bench.bill("ann").total_nano == -2 * 500 * 300_000
    for slot in range(2):
        own = bench.reading("ann", 300, version=version, slot_s=nth(slot))
        bench.accept(own)
        substituted = Reading("ann.meter", METERING, 1, Quality.SUBSTITUTED, 500, 0)
        assert bench.readings("ann", nth(slot)).settled == [substituted]
    bench.move(Phase.FINAL, slots=2)
    assert bench.bill("ann").total_nano == -2 * 500 * 300_000
    assert bench.credit("ann").change.total_nano == 2 * 200 * 300_000
    assert bench.account("ann") == (-2 * 300 * 300_000, 0)


def test_a_later_batch_corrects_after_the_settlement_too() -> None:
    bench = day(2)
    bench.accept(bench.batch("ann", [-10, -10]))
    bench.move(Phase.METERED, slots=2)
    bench.move(Phase.SETTLED, slots=2)
    bench.accept(bench.batch("ann", [-10, -4], version=2))
    assert [r.version for r in bench.readings("ann").settled] == [1]
    bench.move(Phase.FINAL, slots=2)
    assert bench.credit("ann").change.total_nano == 6 * 300_000
