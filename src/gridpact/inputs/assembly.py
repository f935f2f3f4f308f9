"""Readings of any layout to energies of slots: exact sums, faults found, refused or mended.

Memory follows the slots that are wanted and not the file: its readings are added up as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.inputs.calendar import SECONDS_PER_DAY, utc_text
from gridpact.inputs.fixed_point import Amounts, parse_odd, parse_plain, whole_wh
from gridpact.inputs.labels import NOT_A_TIME, Clock, constant_offset_s, wall_instants
from gridpact.inputs.mending import LOOK_BACK_S, mend
from gridpact.inputs.meter_order import MeterOrder, common_step_s
from gridpact.inputs.slot_sums import SlotSums
from gridpact.inputs.tables import shown
from gridpact.model import IntervalLabel, ProfileLayout, ProfileUnit, Quality, Repeats
from gridpact.units import QUANTITY_MAX, WH_PER_KWH

if TYPE_CHECKING:
    from datetime import tzinfo

    from numpy.typing import NDArray

    from gridpact.inputs.batches import Batch, ByteArray, Layout
    from gridpact.inputs.calendar import Window
    from gridpact.inputs.complaints import Complaints
    from gridpact.model import ProfileSource
    from gridpact.quantize import IntArray

INTERVAL_MIN_S = 60
INTERVAL_MAX_S = 3600
LOCAL_DAYS = (ProfileLayout.UCI, ProfileLayout.AUSGRID)
"""Layouts whose days have 24 hours whatever the clocks do."""
_WAITING_MAX = 50
"""Batches that are looked at for two readings of one meter, to see the interval."""
_UNITS = {
    ProfileUnit.WH: "Wh",
    ProfileUnit.KWH: "kWh",
    ProfileUnit.W: "W",
    ProfileUnit.KW: "kW",
}


@dataclass(frozen=True, slots=True)
class Readings:
    """Energies of the meters of a file in the slots of a window."""

    start_s: int
    """Start of the first interval in the file."""
    end_s: int
    """End of the last one."""
    interval_s: int
    wh: IntArray
    """Shape (meters, slots, values)."""
    quality: ByteArray
    """The same shape: `Quality`."""
    remarks: tuple[str, ...]
    """What was mended."""


class Assembler:
    """Adds up one file.

    Args:
        layout: its readings.
        source: what the scenario says about it.
        zone: of its labels.
        window: the slots wanted.
        complaints: takes what is wrong.
    """

    def __init__(
        self,
        layout: Layout,
        source: ProfileSource,
        zone: tzinfo,
        clock: Clock,
        window: Window,
        complaints: Complaints,
    ) -> None:
        self._layout, self._source, self._zone, self._clock = layout, source, zone, clock
        self._window, self._complaints = window, complaints
        self._local = source.layout in LOCAL_DAYS
        self._waiting: list[Batch] = []
        self._held: Batch | None = None
        self._sums: SlotSums | None = None
        self._interval_s = 0
        self._absurd = 0
        self._empty = 0

    def run(self) -> Readings | None:
        """Read the file.

        Returns:
            the energies, which mean something only if nothing was complained about; None when
            there is no reading at all.
        Raises:
            InputError: nothing can be made of the file, or its interval does not fit the slots.
        """
        for batch in self._layout.batches(self._complaints):
            if len(batch.lines):
                self._waiting.append(batch)
                if self._sums is not None or self._begin(last=False):
                    self._work_off(last=False)
        if self._sums is None and not (self._waiting and self._begin(last=True)):
            return None
        self._work_off(last=True)
        return self._finished()

    def seen(self, meter: int) -> bool:
        """Whether the file has readings of a meter that could be placed in time."""
        return self._sums is not None and bool(self._order.first[meter] >= 0)

    def _begin(self, *, last: bool) -> bool:
        """Find the interval and make room; whether that was possible."""
        step_s = common_step_s(self._waiting)
        if step_s is None and not last and len(self._waiting) < _WAITING_MAX:
            return False
        slot_s = self._window.slot_s
        self._interval_s = slot_s if step_s is None else step_s
        problem = _interval_problem(self._interval_s, slot_s, self._source.policy.split_evenly)
        if problem:
            raise InputError(
                [*self._complaints.problems(), Problem(self._complaints.file, problem)]
            )
        times = np.concatenate([batch.times for batch in self._waiting])
        some_time = int(times[times >= 0][0]) if (times >= 0).any() else self._window.start_s
        self._order = MeterOrder(
            len(self._layout.meters),
            interval_s=self._interval_s,
            clock=self._clock,
            zone=self._zone,
            start_of=self._start_of,
            policy=self._source.policy,
            complaints=self._complaints,
        )
        look_back_s = LOOK_BACK_S if self._may_mend() else 0
        cell_s = max(slot_s, self._interval_s)
        first_s = self._window.start_s - look_back_s
        if self._interval_s > slot_s:
            first_s -= (first_s - self._start_of(some_time)) % self._interval_s
        cells = -(-(self._window.end_s - first_s) // cell_s)
        self._sums = SlotSums(
            first_s=first_s,
            cell_s=cell_s,
            interval_s=self._interval_s,
            cells=cells,
            meters=len(self._layout.meters),
            values=len(self._layout.values),
        )
        per_unit = {
            ProfileUnit.WH: Fraction(1),
            ProfileUnit.KWH: Fraction(WH_PER_KWH),
            ProfileUnit.W: Fraction(self._interval_s, 3600),
            ProfileUnit.KW: Fraction(WH_PER_KWH * self._interval_s, 3600),
        }
        self._factor = per_unit[self._source.unit]
        self._limit_wh, self._allowed = Fraction(QUANTITY_MAX), f"{QUANTITY_MAX} Wh in one interval"
        highest_w = self._source.policy.highest_w
        if highest_w is not None and highest_w * self._interval_s < QUANTITY_MAX * 3600:
            self._limit_wh = Fraction(highest_w * self._interval_s, 3600)
            self._allowed = f"{highest_w} W on average, which is profiles.highest_w"
        return True

    def _may_mend(self) -> bool:
        policy = self._source.policy
        return policy.substitute_gaps or policy.substitute_absurd

    def _start_of(self, time: int) -> int:
        """Start of the interval with a label, seconds UTC."""
        if self._local:
            time = next(iter(wall_instants(time, self._zone)), time)
        return time - self._interval_s if self._source.label is IntervalLabel.END else time

    def _work_off(self, *, last: bool) -> None:
        """Add up the waiting batches."""
        waiting, self._waiting = self._waiting, []
        if self._source.policy.repeats is not Repeats.LAST:
            for batch in waiting:
                self._add(batch)
            return
        # A reading can give way to one of the same time in the next batch.
        for batch in waiting:
            whole = batch if self._held is None else self._held.followed_by(batch)
            held = _newest(whole)
            self._held = whole.part(held)
            self._add(whole.part(~held))
        if last and self._held is not None:
            self._add(self._held)

    def _add(self, batch: Batch) -> None:
        """Check a batch and add its readings to the sums."""
        if len(batch.lines) == 0:
            return
        rows, times = self._order.take(batch)
        amounts, absent = self._amounts(batch)
        sums = self._sums
        if sums is None or len(rows) == 0:
            return
        label_s = self._interval_s if self._source.label is IntervalLabel.END else 0
        starts = times - label_s
        if self._local:
            offsets, twice = self._offsets(times)
            for index in np.flatnonzero(twice).tolist():
                row = int(rows[index])
                one = Amounts(amounts.whole[row], amounts.first[row], amounts.second[row])
                instants = wall_instants(int(times[index]), self._zone)
                sums.add_halves(
                    [instant - label_s for instant in instants],
                    int(batch.meters[row]),
                    whole_wh(one, self._factor),
                    absent[row],
                )
            rows, starts = rows[~twice], (starts - offsets)[~twice]
        quality = None if batch.quality is None else batch.quality[rows]
        sums.add(starts, batch.meters[rows], rows, amounts, absent, quality)

    def _offsets(self, times: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """For times of a wall clock the offset from UTC, and which times occur twice."""
        days, place = np.unique(times // SECONDS_PER_DAY, return_inverse=True)
        by_day = [constant_offset_s(int(day), self._zone, 0) for day in days]
        offsets = np.array([offset or 0 for offset in by_day], dtype=np.int64)[place]
        twice = np.zeros(len(times), dtype=np.bool_)
        changing = np.array([offset is None for offset in by_day])[place]
        for index in np.flatnonzero(changing).tolist():
            instants = wall_instants(int(times[index]), self._zone)
            offsets[index] = int(times[index]) - instants[0]
            twice[index] = len(instants) > 1
        return offsets, twice

    def _amounts(self, batch: Batch) -> tuple[Amounts, NDArray[np.bool_]]:
        """The values as numbers, and which of them are none that count; shapes (N, V)."""
        texts = list(chain.from_iterable(batch.values))
        limit = self._limit_wh / self._factor
        amounts, odd = parse_plain(texts, self._source.decimal)
        absent = np.zeros(len(texts), dtype=np.bool_)
        for index in odd.tolist():
            absent[index] = not self._odd_value(batch, index, texts[index], amounts, limit)
        for index in amounts.above(limit).tolist():
            if not absent[index]:
                absent[index] = True
                self._refuse(batch, index, self._too_much(texts[index]))
        columns = len(batch.values)
        return amounts.transposed(columns), absent.reshape(columns, -1).T

    def _odd_value(
        self, batch: Batch, index: int, text: str, amounts: Amounts, limit: Fraction
    ) -> bool:
        """Read a value that is not plain digits; whether it is a number that counts."""
        amounts.whole[index] = amounts.first[index] = amounts.second[index] = 0
        if not text.strip():
            if self._source.policy.substitute_gaps:
                self._empty += 1
            else:
                message = "has no value; fill it in, 0 is not assumed"
                self._note(batch, index, f'{message}; or set profiles.gaps = "substitute"')
            return False
        number = parse_odd(text, self._source.decimal)
        if number is None:
            point = "comma" if self._source.decimal == "," else "point"
            message = f"{shown(text)} is not a number; write digits with a decimal {point}"
            self._refuse(batch, index, message)
        elif number < 0:
            message = (
                f"{text.strip()} {_UNITS[self._source.unit]} is negative; load and generation "
                "are gross and never below 0; correct the value or its sign"
            )
            self._refuse(batch, index, message)
        elif number > limit:
            self._refuse(batch, index, self._too_much(text))
        else:
            amounts.put(index, number)
            return True
        return False

    def _too_much(self, text: str) -> str:
        return (
            f"{text.strip()} {_UNITS[self._source.unit]} is absurd; allowed: 0 to {self._allowed}; "
            "correct the value or profiles.unit"
        )

    def _refuse(self, batch: Batch, index: int, message: str) -> None:
        """An absurd value: named, or left out by policy."""
        if self._source.policy.substitute_absurd:
            self._absurd += 1
        else:
            self._note(batch, index, message)

    def _note(self, batch: Batch, index: int, message: str) -> None:
        value, row = divmod(index, len(batch.lines))
        name = self._layout.name(int(batch.meters[row]), value)
        self._complaints.note(int(batch.lines[row]), f"{name}: {message}")

    def _finished(self) -> Readings | None:
        """Round, divide or mend, and cut out what is wanted."""
        sums, order = self._sums, self._order
        if sums is None or not (order.first >= 0).any():
            return None
        wh, missing, quality = sums.energies(self._factor), sums.missing(), sums.quality()
        present = order.first >= 0
        start_s = self._start_of(int(order.first[present].min()))
        end_s = self._start_of(int(order.last.max())) + self._interval_s
        slot_s = self._window.slot_s
        self._note_sums(wh, sums)
        if sums.cell_s > slot_s:
            parts = sums.cell_s // slot_s
            wh = divide_evenly(wh, parts)
            missing, quality = np.repeat(missing, parts, axis=1), np.repeat(quality, parts, axis=1)
            quality = np.maximum(quality, np.uint8(Quality.ESTIMATED))
        known = np.zeros(wh.shape[1], dtype=np.bool_)
        known[max(0, -(-(start_s - sums.first_s) // slot_s)) :] = True
        known[max(0, (end_s - sums.first_s) // slot_s) :] = False
        if missing[:, known].any() and self._complaints.count == 0:
            self._mend(wh, quality, missing, known)
        lead = (self._window.start_s - sums.first_s) // slot_s
        wanted = slice(lead, lead + self._window.slots)
        return Readings(
            start_s=start_s,
            end_s=end_s,
            interval_s=self._interval_s,
            wh=wh[:, wanted],
            quality=quality[:, wanted],
            remarks=self._remarks(),
        )

    def _note_sums(self, wh: IntArray, sums: SlotSums) -> None:
        """Slots whose readings are fine one by one and too much together."""
        for meter, cell, value in np.argwhere(wh > QUANTITY_MAX).tolist():
            since = utc_text(sums.first_s + cell * sums.cell_s)
            self._complaints.note_file(
                f"{self._layout.name(meter, value)}: {int(wh[meter, cell, value])} Wh from {since} "
                f"on are absurd; allowed: 0 to {QUANTITY_MAX} Wh in one slot; correct the values "
                "or profiles.unit"
            )

    def _mend(
        self,
        wh: IntArray,
        quality: ByteArray,
        missing: NDArray[np.bool_],
        known: NDArray[np.bool_],
    ) -> None:
        """Substitute what may be substituted, and name what remains.

        Gaps between the readings of a meter have been named by now; left are values that were left
        out, and meters whose readings begin later or end earlier than those of others.
        """
        sums, slot_s = self._sums, self._window.slot_s
        first_s = sums.first_s if sums is not None else 0
        moments = first_s + slot_s * np.arange(wh.shape[1])
        wanted = known & (moments >= self._window.start_s)
        left = missing
        if self._may_mend():
            refused = np.zeros_like(missing)
            if not self._source.policy.substitute_gaps:
                for meter in range(len(missing)):
                    begin = self._start_of(int(self._order.first[meter]))
                    end = self._start_of(int(self._order.last[meter])) + self._interval_s
                    refused[meter, (moments < begin) | (moments + slot_s > end)] = True
            left = mend(wh, quality, missing & ~refused, SECONDS_PER_DAY // slot_s)
            left |= missing & refused
        for meter, value in np.argwhere((left & wanted[:, np.newaxis]).any(axis=1)).tolist():
            if not self.seen(meter):
                continue  # it will be said that the file knows no such meter
            gaps = np.flatnonzero(left[meter, :, value] & wanted)
            remedy = (
                "there is no week or day before to substitute them from: add them"
                if self._source.policy.substitute_gaps
                else 'add them, or set profiles.gaps = "substitute"'
            )
            self._complaints.note_file(
                f"{self._layout.name(meter, value)}: {len(gaps)} slots from "
                f"{utc_text(int(moments[gaps[0]]))} to {utc_text(int(moments[gaps[-1]]) + slot_s)} "
                f"have no reading; {remedy}"
            )

    def _remarks(self) -> tuple[str, ...]:
        counts = (
            (self._order.gaps, "missing intervals"),
            (self._empty, "values without a number"),
            (self._absurd, "absurd values"),
            (self._order.repeats, "readings given twice"),
        )
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return (f"{self._complaints.file}: {said}",) if said else ()


def _newest(batch: Batch) -> NDArray[np.bool_]:
    """The readings of each meter that have the time of its last one, or may turn out to have it."""
    newest = np.full(int(batch.meters.max(initial=0)) + 1, NOT_A_TIME, dtype=np.int64)
    timed = batch.times != NOT_A_TIME
    newest[batch.meters[timed]] = batch.times[timed]  # of several the last one stays
    last = newest[batch.meters]
    held: NDArray[np.bool_] = timed & ((batch.times == last) | ((batch.times < 0) & (last < 0)))
    return held


def divide_evenly(wh: IntArray, parts: int) -> IntArray:
    """Each energy as equal whole parts, what is left over going to the first ones.

    This is `units.split_by_largest_remainder` with equal weights, for arrays.

    Args:
        wh: shape (M, C, V).
        parts: into how many.
    Returns:
        shape (M, C x parts, V); parts of one energy sum to it.
    """
    share, over = np.divmod(wh, parts)
    place = np.arange(parts)[np.newaxis, np.newaxis, :, np.newaxis]
    divided = share[:, :, np.newaxis] + (place < over[:, :, np.newaxis])
    result: IntArray = divided.reshape(wh.shape[0], wh.shape[1] * parts, wh.shape[2])
    return result


def _interval_problem(interval_s: int, slot_s: int, split_evenly: bool) -> str:
    """Why readings of this interval cannot become slots; empty when they can."""
    found = f"its rows are {interval_s} s apart, but slot_length_s is {slot_s}; allowed: "
    if interval_s == slot_s:
        return ""
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        return (
            f"{found}the same, or {INTERVAL_MIN_S} to {INTERVAL_MAX_S} s; set slot_length_s = "
            f"{interval_s}, or give the file in another interval"
        )
    if slot_s % interval_s == 0:
        return ""
    if interval_s % slot_s:
        return f"{found}lengths of which one divides the other; change slot_length_s"
    if split_evenly:
        return ""
    return (
        f"{found}the same or shorter; set slot_length_s = {interval_s}, give the file in intervals "
        f'of {slot_s} s, or have each interval divided evenly with profiles.split = "even"'
    )
