"""Solved flows of many snapshots of one network: JSON lines, read one part at a time.

The first line has the elements, as the file of one snapshot has them but without powers. Each
other line is a snapshot: its start, and the powers in the order of the elements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gridpact.carbon.series import start_text
from gridpact.errors import InputError, Problem
from gridpact.inputs.instants import INSTANT_RULE, instant_s
from gridpact.inputs.solved_flow_elements import (
    POLICIES,
    POWER_MAX_MW,
    T_PER_MWH_MAX,
    TAKEN_AS,
    Elements,
    Powers,
    flow_of,
    known_bus,
    network_of,
    new_id,
    source_row,
)
from gridpact.inputs.tables import Findings, TableReader, shown
from gridpact.model.carbon import FlowToTrace

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray

FORMAT = "gridpact-solved-flows-1"
SUFFIX = ".jsonl"
SLOT_S_MAX = 86_400
VALUES_AT_ONCE = 2**18
"""Powers of a part: 2 MB, however many elements a snapshot has."""
PROBLEMS_MAX = 20


class _Snapshot(msgspec.Struct, forbid_unknown_fields=True):
    """One line."""

    start: str
    load_mw: list[float]
    p_mw: list[float]
    p_from_mw: list[float]
    p_to_mw: list[float]
    t_per_mwh: list[float | None] | None = None
    """By source, instead of what the first line says; null leaves it as it is."""


@dataclass(frozen=True, slots=True)
class SolvedFlowLines:
    """An open file of many snapshots: its elements, and how long each snapshot is."""

    path: Path
    elements: Elements
    slot_s: int

    def parts(self) -> Iterator[FlowToTrace]:
        """All snapshots, some at a time.

        Raises:
            InputError: what is wrong with a line, by line, start and key; a snapshot that does not
                start when the one before it ends; no snapshot at all.
        """
        elements = self.elements
        widths = len(elements.buses), len(elements.sources), 2 * len(elements.branches)
        at_once = max(1, VALUES_AT_ONCE // (sum(widths) + 1))
        taken: list[tuple[int, _Snapshot]] = []
        starts: list[int] = []
        before: int | None = None
        for line, snapshot in self._lines():
            start = self._start(line, snapshot.start, before)
            self._check_lengths(line, snapshot)
            taken.append((line, snapshot))
            starts.append(start)
            before = start
            if len(taken) == at_once:
                yield self._part(taken, starts)
                taken, starts = [], []
        if taken:
            yield self._part(taken, starts)
        elif before is None:
            message = "has no snapshot; add one line for each behind the first"
            raise InputError([Problem(self.path.name, message)])

    def _start(self, line: int, text: str, before: int | None) -> int:
        start = instant_s(text)
        if start is None:
            message = f"{shown(text)} is no time with a zone; {INSTANT_RULE}"
            raise InputError([Problem(f"{self.path.name}:{line}: start", message)])
        if before is not None and start != before + self.slot_s:
            message = (
                f"{text} is not {self.slot_s} s after the snapshot before, {start_text(before)}; "
                "sort the lines, add what is missing, or correct slot_s"
            )
            raise InputError([Problem(f"{self.path.name}:{line}: start", message)])
        return start

    def _lines(self) -> Iterator[tuple[int, _Snapshot]]:
        decoder = msgspec.json.Decoder(_Snapshot)
        with self.path.open("rb") as file:
            next(file)
            for line, text in enumerate(file, start=2):
                if not text.strip():
                    continue
                try:
                    yield line, decoder.decode(text)
                except (msgspec.DecodeError, RecursionError) as error:
                    message = f"is no snapshot: {error}; see docs/carbon.md"
                    raise InputError([Problem(f"{self.path.name}:{line}", message)]) from error

    def _check_lengths(self, line: int, snapshot: _Snapshot) -> None:
        elements = self.elements
        wanted = {
            "load_mw": ("buses", len(elements.buses)),
            "p_mw": ("sources", len(elements.sources)),
            "p_from_mw": ("branches", len(elements.branches)),
            "p_to_mw": ("branches", len(elements.branches)),
            "t_per_mwh": ("sources", len(elements.sources)),
        }
        problems = []
        for key, (kind, count) in wanted.items():
            values = getattr(snapshot, key)
            if values is not None and len(values) != count:
                message = f"has {len(values)} values; allowed: {count}, one for each of {kind}"
                problems.append(self._problem(line, snapshot.start, key, f"{message}; correct it"))
        if problems:
            raise InputError(problems)

    def _problem(self, line: int, start: str, key: str, message: str) -> Problem:
        return Problem(f"{self.path.name}:{line}: snapshot {start}: {key}", message)

    def _part(self, taken: list[tuple[int, _Snapshot]], starts: list[int]) -> FlowToTrace:
        elements = self.elements
        shapes = {
            "load_mw": len(elements.buses),
            "p_mw": len(elements.sources),
            "p_from_mw": len(elements.branches),
            "p_to_mw": len(elements.branches),
        }
        values = {
            key: np.array([getattr(each, key) for _, each in taken], dtype=np.float64).reshape(
                len(taken), count
            )
            for key, count in shapes.items()
        }
        self._refuse_values(taken, values)
        powers = Powers(
            values["load_mw"],
            values["p_mw"],
            values["p_from_mw"],
            values["p_to_mw"],
            np.array(starts, dtype=np.int64),
        )
        found = flow_of(elements, powers)
        self._take_intensities(taken, found)
        self._refuse_intensities(taken, found)
        return found

    def _refuse_values(
        self, taken: list[tuple[int, _Snapshot]], values: dict[str, FloatArray]
    ) -> None:
        ids = {
            "load_mw": self.elements.buses,
            "p_mw": tuple(source.source_id for source in self.elements.sources),
            "p_from_mw": tuple(branch[0] for branch in self.elements.branches),
            "p_to_mw": tuple(branch[0] for branch in self.elements.branches),
        }
        takes = np.array([source.kind in TAKEN_AS for source in self.elements.sources], np.bool_)
        problems = []
        for key, table in values.items():
            bad = ~(np.abs(table) <= POWER_MAX_MW)
            allowed = f"allowed: up to {POWER_MAX_MW:g} MW, either way; correct its unit"
            problems += self._problems(taken, bad, key, ids[key], table, allowed)
        allowed = "allowed: >= 0; a load that gives power is a source"
        bad = values["load_mw"] < 0.0
        problems += self._problems(
            taken, bad, "load_mw", ids["load_mw"], values["load_mw"], allowed
        )
        allowed = "allowed: >= 0, as only an import or a store takes power; name its kind"
        bad = (values["p_mw"] < 0.0) & ~takes
        problems += self._problems(taken, bad, "p_mw", ids["p_mw"], values["p_mw"], allowed)
        if problems:
            raise InputError(problems)

    def _problems(
        self,
        taken: list[tuple[int, _Snapshot]],
        bad: NDArray[np.bool_],
        key: str,
        ids: tuple[str, ...],
        values: FloatArray,
        allowed: str,
    ) -> list[Problem]:
        found = []
        for row, column in np.argwhere(bad)[:PROBLEMS_MAX].tolist():
            line, snapshot = taken[row]
            message = f"{values[row, column]:g} is not allowed; {allowed}"
            where = f"{key}[{column + 1}] of {ids[column]}"
            found.append(self._problem(line, snapshot.start, where, message))
        return found

    def _take_intensities(self, taken: list[tuple[int, _Snapshot]], found: FlowToTrace) -> None:
        """Values that lines give instead of the first one's."""
        problems = []
        for row, (line, snapshot) in enumerate(taken):
            for column, value in enumerate(snapshot.t_per_mwh or ()):
                if value is None:
                    continue
                source = self.elements.sources[column]
                if source.store is not None:
                    where = f"t_per_mwh[{column + 1}] of {source.source_id}"
                    message = "has no meaning: its store has its own; write null"
                    problems.append(self._problem(line, snapshot.start, where, message))
                found.low_t_per_mwh[row, column] = found.high_t_per_mwh[row, column] = value
        if problems:
            raise InputError(problems[:PROBLEMS_MAX])

    def _refuse_intensities(self, taken: list[tuple[int, _Snapshot]], found: FlowToTrace) -> None:
        """Curves that come to what cannot be, values out of range; what is missing may yet come."""
        ids = tuple(source.source_id for source in self.elements.sources)
        for values in (found.low_t_per_mwh, found.high_t_per_mwh):
            bad = ((values < 0.0) | (values > T_PER_MWH_MAX)) & (found.flow.p_source_mw > 0.0)
            allowed = f"allowed: 0 to {T_PER_MWH_MAX:g} t/MWh; 400 g/kWh is 0.4"
            problems = self._problems(taken, bad, "t_per_mwh", ids, values, allowed)
            if problems:
                raise InputError(problems)


def open_solved_flow_lines(path: Path) -> SolvedFlowLines:
    """Read the first line.

    Raises:
        InputError: everything that is wrong with it, by key.
    """
    findings = Findings(f"{path.name}:1")
    reader = TableReader(_first(path), findings)
    given = reader.text("format", f'"{FORMAT}"')
    if given and given != FORMAT:
        reader.problem("format", f"{shown(given)} is not allowed; allowed: {FORMAT!r}")
    policy = reader.choice("meter_policy", POLICIES, default="gross")
    slot_s = reader.integer("slot_s", 1, SLOT_S_MAX, remedy="an hour is 3600")
    buses: dict[str, float] = {}
    known: set[str] = set()
    for row in reader.tables("buses"):
        buses[new_id(row, known)] = 0.0
        row.finish()
    if not buses and not reader.faulty("buses"):
        reader.problem("buses", "has no bus; add one object per bus")
    sources = []
    known = set()
    for row in reader.tables("sources"):
        sources.append(source_row(row, known, buses))
        row.finish()
    branches = []
    known = set()
    for row in reader.tables("branches"):
        ends = known_bus(row, "from_bus", buses), known_bus(row, "to_bus", buses)
        branches.append((new_id(row, known), *ends))
        row.finish()
    reader.finish()
    if findings.problems:
        raise InputError(findings.problems)
    parts = tuple(buses), tuple(sources), tuple(branches)
    return SolvedFlowLines(path, Elements(*parts, policy, network_of(*parts)), slot_s)


def _first(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            values = json.loads(file.readline().decode("utf-8-sig"))
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(str(path), message)]) from error
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}; the first line has the elements, see docs/carbon.md"
        raise InputError([Problem(f"{path.name}:1", message)]) from error
    if not isinstance(values, dict):
        message = f"{shown(values)} is not an object; see docs/carbon.md"
        raise InputError([Problem(f"{path.name}:1", message)])
    return values
