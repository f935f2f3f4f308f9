"""Whether the readings of each meter follow each other as its intervals do.

Here labels near a change of clocks become instants, told apart by the readings before, and gaps,
repetitions and clocks that go back are found, named by line or let pass by the scenario's policy.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.calendar import utc_text
from gridpact.inputs.labels import NOT_A_TIME
from gridpact.inputs.tables import shown
from gridpact.model import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from gridpact.inputs.batches import Batch
    from gridpact.inputs.complaints import Complaints
    from gridpact.inputs.labels import Clock
    from gridpact.model import DataPolicy
    from gridpact.quantize import IntArray

_NEVER = -1
"""The time of a reading before the first one."""
_SPAN = 2**34
"""Longer than all times: keeps the times of meters apart in one array."""


def by_meter(meters: IntArray) -> IntArray:
    """Indices of readings, meter by meter, each meter's in the order of the file."""
    if (meters[1:] >= meters[:-1]).all():
        return np.arange(len(meters))
    return np.argsort(meters, kind="stable")


def common_step_s(batches: Sequence[Batch]) -> int | None:
    """The most common time from one reading of a meter to its next; the shorter of equals."""
    meters = np.concatenate([batch.meters for batch in batches])
    order = by_meter(meters)
    times = np.concatenate([batch.times for batch in batches])[order]
    skipped = np.concatenate([batch.skipped for batch in batches])[order]
    step = np.diff(times)
    usable = (np.diff(meters[order]) == 0) & (np.diff(skipped) == 0) & (step > 0)
    found, counts = np.unique(step[usable & (times[:-1] >= 0)], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else None


class MeterOrder:
    """The time line of every meter of one file, while it is read.

    Args:
        meters: how many there are.
        interval_s: of the readings.
        clock: reads the file's labels.
        zone: of labels, for messages.
        start_of: from the time of a label to the start of its interval in seconds UTC.
        policy: what is let pass.
        complaints: what is not.
    """

    def __init__(
        self,
        meters: int,
        *,
        interval_s: int,
        clock: Clock,
        zone: tzinfo,
        start_of: Callable[[int], int],
        policy: DataPolicy,
        complaints: Complaints,
    ) -> None:
        self._interval_s, self._clock, self._zone = interval_s, clock, zone
        self._start_of, self._policy, self._complaints = start_of, policy, complaints
        self._seen = np.zeros(meters, dtype=np.int64)
        self._number = np.zeros(meters, dtype=np.int64)
        self._line = np.zeros(meters, dtype=np.int64)
        self._label = [""] * meters
        self._jumped: dict[int, tuple[int, str, int, int]] = {}
        """For meters whose latest label the clocks skip: line, label, time, index in the batch."""
        self.first = np.full(meters, _NEVER, dtype=np.int64)
        """For each meter the time of its first reading, -1 without any."""
        self.last = np.full(meters, _NEVER, dtype=np.int64)
        """For each meter the time of its last reading, -1 without any."""
        self.gaps = 0
        """Missing intervals that were let pass."""
        self.repeats = 0
        """Readings that gave way to another one of the same time."""

    def take(self, batch: Batch) -> tuple[IntArray, IntArray]:
        """Check the readings of a batch.

        Returns:
            the indices of those that count, meter by meter in the order of time, and their times.
        """
        order = by_meter(batch.meters)
        meters = batch.meters[order]
        times = self._resolved(batch, order, meters)
        firsts = np.flatnonzero(np.diff(meters, prepend=-1))
        lengths = np.diff(np.append(firsts, len(meters)))
        position = np.arange(len(meters)) - np.repeat(firsts, lengths)
        numbers = self._seen[meters] + position + batch.skipped[order]
        self._seen[meters[firsts]] += lengths
        usable = times >= 0
        rows = _Rows(batch, order[usable], meters[usable], times[usable], numbers[usable])
        if len(rows.times) == 0:
            return rows.order, rows.times
        kept = self._steps(rows)
        return rows.order[kept], rows.times[kept]

    def _resolved(self, batch: Batch, order: IntArray, meters: IntArray) -> IntArray:
        """The times in the order given, marks replaced."""
        times = batch.times[order]
        special = (times < 0) & (times != NOT_A_TIME)
        for index in np.flatnonzero(times == NOT_A_TIME).tolist():
            row = int(order[index])
            self._complaints.note(
                int(batch.lines[row]),
                f"{shown(batch.labels[row])} is not a time; write 2016-06-09 14:15, with seconds, "
                "Z or an offset such as +01:00 if you like",
            )
        if not special.any():
            return times
        normal = np.maximum.accumulate(np.where(times >= 0, np.arange(len(times)), -1))
        latest: dict[int, int] = {}
        self._jumped = {
            meter: (line, label, time, -1) for meter, (line, label, time, _) in self._jumped.items()
        }
        for index in np.flatnonzero(special).tolist():
            meter = int(meters[index])
            before = max(int(normal[index]), latest.get(meter, -1))
            same = before >= 0 and meters[before] == meter
            previous = int(times[before]) if same else int(self.last[meter])
            row = int(order[index])
            time = self._chosen(batch, row, meter, previous, times, index)
            times[index] = time
            if time >= 0:
                latest[meter] = index
        return times

    def _chosen(
        self, batch: Batch, row: int, meter: int, previous: int, times: IntArray, index: int
    ) -> int:
        """The instant of a marked label: what continues the reading before, else what follows."""
        label, line = batch.labels[row].strip(), int(batch.lines[row])
        found, skipped = self._clock.candidates(int(batch.times[row]), self._interval_s)
        if not found:
            self._complaints.note(line, self._nonexistent(label))
            return NOT_A_TIME
        expected = previous + self._interval_s
        later = [time for time in found if time > previous]
        time = expected if expected in found else (later or found)[0]
        jumped = self._jumped.pop(meter, None)
        if skipped:
            self._jumped[meter] = (line, label, time, index)
        elif jumped is not None and jumped[2] == time:
            # The label that the clocks skip was not the end of the interval before: the file does
            # not follow the zone's clocks at all.
            self._complaints.note(jumped[0], self._nonexistent(jumped[1]))
            if jumped[3] >= 0:
                times[jumped[3]] = NOT_A_TIME
        return time

    def _nonexistent(self, label: str) -> str:
        return (
            f"{label} does not exist in the time zone {self._zone}: clocks jump over it; write "
            "times with an offset, or set profiles.time_zone to the fixed offset that the file "
            "uses"
        )

    def _steps(self, rows: _Rows) -> IntArray:
        """Compare each reading with the one before; the indices of those that count."""
        meters, times = rows.meters, rows.times
        firsts = np.flatnonzero(np.diff(meters, prepend=-1))
        reached = times.copy()
        reached[firsts] = np.maximum(times[firsts], self.last[meters[firsts]])
        running = np.maximum.accumulate(reached + meters * _SPAN) - meters * _SPAN
        previous = np.empty_like(times)
        previous[1:] = running[:-1]
        previous[firsts] = self.last[meters[firsts]]
        before = np.empty_like(times)
        before[1:] = rows.numbers[:-1]
        before[firsts] = self._number[meters[firsts]]
        new = previous < 0
        step = times - previous
        room = np.maximum(1, rows.numbers - before) * self._interval_s
        advances = new | (step > 0)
        odd = ~new & (~advances | (step % self._interval_s != 0) | (step > room))
        latest = np.maximum.accumulate(np.where(advances, np.arange(len(times)), -1))
        kept = advances
        if odd.any():
            kept = advances.copy()
            starts = np.repeat(firsts, np.diff(np.append(firsts, len(times))))
            holders: dict[int, int] = {}
            for index in np.flatnonzero(odd).tolist():
                last = int(latest[index - 1]) if index > starts[index] else -1
                last = last if last >= starts[index] else -1
                if self._odd(rows, index, last, int(step[index]), int(room[index])) and last >= 0:
                    kept[holders.get(last, last)] = False
                    kept[index] = True
                    holders[last] = index
        self.first[meters[new]] = times[new]
        ends = np.append(firsts[1:], len(times)) - 1
        for start, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            meter, last = int(meters[end]), int(latest[end])
            self._number[meter] = rows.numbers[end]
            if last >= start:
                row = rows.order[last]
                self.last[meter], self._line[meter] = times[last], rows.batch.lines[row]
                self._label[meter] = rows.batch.labels[row].strip()
        return np.flatnonzero(kept)

    def _offset_s(self, instant_s: int) -> float:
        """The zone's offset from UTC."""
        offset = datetime.fromtimestamp(instant_s, self._zone).utcoffset()
        return offset.total_seconds() if offset else 0.0

    def _odd(self, rows: _Rows, index: int, last: int, step_s: int, room_s: int) -> bool:
        """A reading that does not follow the one before by one interval: name it or let it pass.

        Returns:
            whether it takes the place of the one before.
        """
        batch, row, meter = rows.batch, int(rows.order[index]), int(rows.meters[index])
        line, label = int(batch.lines[row]), batch.labels[row].strip()
        if last >= 0:
            before = int(rows.order[last])
            last_line, last_label = int(batch.lines[before]), batch.labels[before].strip()
        else:
            last_line, last_label = int(self._line[meter]), self._label[meter]
        place = f"{self._complaints.unit} {last_line}"
        if step_s == 0:
            if self._policy.repeats is Repeats.REFUSE:
                message = (
                    f"{label} is the time of {place} again; remove one of them, or set "
                    'profiles.duplicates = "first" or "last"'
                )
                self._complaints.note(line, message)
                return False
            self.repeats += 1
            return self._policy.repeats is Repeats.LAST
        if step_s < 0:
            self._complaints.note(
                line,
                f"{label} is before {place} ({last_label}); times must increase: sort the rows, "
                "and write offsets if clocks were set back",
            )
        elif step_s % self._interval_s:
            self._complaints.note(
                line,
                f"{label} is {step_s} s after {place} ({last_label}); allowed: steps of "
                f"{self._interval_s} s; correct the time",
            )
        else:
            missing = (step_s - room_s) // self._interval_s
            if self._policy.substitute_gaps:
                self.gaps += missing
                return False
            since = self._start_of(int(rows.times[index]) - step_s + room_s)
            hint = (
                "; clocks are set back here: if the file does not follow them, set "
                "profiles.time_zone to its fixed offset"
                if self._offset_s(since - 1) > self._offset_s(since + missing * self._interval_s)
                else ""
            )
            self._complaints.note(
                line,
                f"{missing} intervals are missing before {label}, from {utc_text(since)}{hint}; "
                'add them, or set profiles.gaps = "substitute"',
            )
        return False


class _Rows:
    """The readings of a batch that have a time, meter by meter."""

    def __init__(
        self,
        batch: Batch,
        order: IntArray,
        meters: IntArray,
        times: IntArray,
        numbers: IntArray,
    ) -> None:
        self.batch = batch
        self.order, self.meters, self.times = order, meters, times
        self.numbers = numbers
        """Which reading of its meter each is, rows that could not be read counted in."""
