"""Small networks for the tests of the grid."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import InputError
from gridpact.grid import load_network
from gridpact.model.grid import (
    Bus,
    ExternalGrid,
    Line,
    Network,
    Switch,
)

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

CASES = Path(__file__).resolve().parents[3] / "cases" / "grid"
IDEAL = ExternalGrid("grid", "b0", 1.0, 0.0, float("inf"), 0.1, in_service=True)


def cable(line_id: str, from_bus: str, to_bus: str, km: float = 0.1, **changes: Any) -> Line:
    line = Line(
        line_id, from_bus, to_bus, km, 0.2067, 0.0804, 830.0, 0.0, 270.0, 1, in_service=True
    )
    return replace(line, **changes)


def network(
    count: int, lines: tuple[Line, ...], switches: tuple[Switch, ...] = (), **changes: Any
) -> Network:
    """Buses b0, b1, ... of 0.4 kV; an ideal external grid holds 1 pu at b0."""
    buses = tuple(Bus(f"b{number}", "", 0.4, in_service=True) for number in range(count))
    plain = Network("small", 50.0, buses, lines, (), (IDEAL,), switches, (), (), ())
    return replace(plain, **changes)


def chain(count: int, **changes: Any) -> Network:
    """Cables l1, l2, ... from b0 to b1 to b2 and so on."""
    lines = tuple(cable(f"l{end}", f"b{end - 1}", f"b{end}", **changes) for end in range(1, count))
    return network(count, lines)


def load_at(net: Network, **at: float) -> FloatArray:
    """One snapshot with these loads in W, by bus id with `_` for `-`."""
    row = np.zeros((1, len(net.buses)))
    ids = [bus.bus_id for bus in net.buses]
    for bus, p_w in at.items():
        row[0, ids.index(bus.replace("_", "-"))] = p_w
    return row


def problems(reference: str, base: Path) -> list[str]:
    """What loading complains about."""
    try:
        load_network(reference, base)
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


def expected(case: str) -> dict[str, FloatArray]:
    """The stored results of a case; null is NaN."""
    stored = json.loads((CASES / case / "expected.json").read_text())
    return {
        name: np.array([np.nan if value is None else value for value in values])
        for name, values in stored.items()
    }
