"""Readings on their way to the ledger: in time, in day batches, or late and substituted first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.codec import tagged_hash
from gridpact.contracts.bodies import (
    BatchPayload,
    Kind,
    ReadingPayload,
    ReportBatch,
    ReportReading,
    SlotReading,
)
from gridpact.model import METERING_OPERATOR, Member, Profiles, Quality, Reporting, Scenario
from gridpact.pipeline.desk import Desk, Signed

if TYPE_CHECKING:
    from gridpact.pipeline.population import Population

_TAG = b"gridpact/late/v1"
DRAW_BITS = 64
EXPIRY_S = 7 * 86_400
"""How long after its slot a reading may still be on its way."""


class Metering:
    """Writes readings for all members."""

    def __init__(
        self, scenario: Scenario, profiles: Profiles, population: Population, desk: Desk
    ) -> None:
        self._scenario, self._profiles = scenario, profiles
        self._population, self._desk = population, desk
        self.by_day = scenario.metering.reporting is Reporting.METERING_OPERATOR
        """Whether a day of readings comes in one transaction of each meter, after the day."""

    def of_slot(self, index: int) -> list[Signed]:
        """What is sent right after a slot: meters' own readings, substitutes for those not there.

        Nothing is ever taken as zero: what a meter does not send in time, the metering operator
        substitutes by the member's profile.
        """
        sent = []
        for row, member in enumerate(self._scenario.members):
            seen = self._in_time(row, index)
            substituted = seen.quality is Quality.SUBSTITUTED
            sender = METERING_OPERATOR if substituted else member.meter_id
            sent.append(self._reading(sender, member, index, seen))
        return sent

    def of_day(self, first: int, end: int) -> list[Signed]:
        """What the metering operator sends after a day: one batch for each meter."""
        return [
            self._batch(member, first, [self._in_time(row, i) for i in range(first, end)], 1)
            for row, member in enumerate(self._scenario.members)
        ]

    def late_of_day(self, first: int, end: int) -> list[Signed]:
        """What came too late for the settlement and still counts before the slots are final."""
        sent = []
        for row, member in enumerate(self._scenario.members):
            late = [index for index in range(first, end) if self._is_late(row, index)]
            if late and self.by_day:
                seen = [self._true(row, index) for index in range(first, end)]
                sent.append(self._batch(member, first, seen, 2))
            elif late:
                sent.extend(
                    self._reading(member.meter_id, member, index, self._true(row, index))
                    for index in late
                )
        return sent

    def _reading(self, sender: str, member: Member, index: int, seen: SlotReading) -> Signed:
        start_s = self._profiles.slots[index].start_s
        body = ReportReading(self._desk.market, start_s, member.participant_id, member.meter_id)
        payload = ReadingPayload(1, seen.quality, seen.import_wh, seen.export_wh)
        return self._desk.by(sender, Kind.READING, body, payload, expiry_s=start_s + EXPIRY_S)

    def _batch(self, member: Member, first: int, seen: list[SlotReading], version: int) -> Signed:
        start_s = self._profiles.slots[first].start_s
        body = ReportBatch(self._desk.market, start_s, member.participant_id, member.meter_id)
        payload = BatchPayload(version, seen)
        return self._desk.by(
            METERING_OPERATOR, Kind.READING_BATCH, body, payload, expiry_s=start_s + EXPIRY_S
        )

    def _in_time(self, row: int, index: int) -> SlotReading:
        if self._is_late(row, index):
            return _net(int(self._population.naive_wh[row, index]), Quality.SUBSTITUTED)
        return self._true(row, index)

    def _true(self, row: int, index: int) -> SlotReading:
        how = Quality(int(self._profiles.quality[row, self._profiles.history + index]))
        return _net(int(self._population.metered_wh[row, index]), how)

    def _is_late(self, row: int, index: int) -> bool:
        """Drawn by (seed, slot, member); what is a substitute in the data has nothing to follow."""
        permille = self._scenario.metering.late_permille
        if not permille:
            return False
        if self._profiles.quality[row, self._profiles.history + index] == Quality.SUBSTITUTED:
            return False
        moment = self._scenario.seed.to_bytes(8, "big")
        moment += self._profiles.slots[index].start_s.to_bytes(8, "big")
        name = self._scenario.members[row].participant_id.encode()
        draw = int.from_bytes(tagged_hash(_TAG, moment + name)[:8], "big")
        return draw * 1000 >> DRAW_BITS < permille


def _net(net_wh: int, quality: Quality) -> SlotReading:
    return SlotReading(quality, max(0, -net_wh), max(0, net_wh))
