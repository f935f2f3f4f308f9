"""A small file of many solved flows: a feeder with sun and a battery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BATTERY = {
    "capacity_mwh": 4.0,
    "energy_mwh": 1.0,
    "carbon_t": 0.2,
    "charge_efficiency": 0.9,
    "discharge_efficiency": 0.8,
}


def header() -> dict[str, Any]:
    return {
        "format": "gridpact-solved-flows-1",
        "slot_s": 1800,
        "buses": [{"id": "a"}, {"id": "b"}],
        "sources": [
            {"id": "grid", "bus": "a", "kind": "import", "t_per_mwh": 0.5},
            {"id": "pv", "bus": "b", "technology": "pv-rooftop"},
            {"id": "battery", "bus": "b", "kind": "store", "store": dict(BATTERY)},
        ],
        "branches": [{"id": "ab", "from_bus": "a", "to_bus": "b"}],
    }


def snapshot(half_hour: int, pv: float, battery: float, **more: Any) -> dict[str, Any]:
    """2 MW of load at b; the line loses 1 % of what arrives."""
    needed = 2.0 - pv - battery
    return {
        "start": f"2024-06-01T{12 + half_hour // 2:02d}:{30 * (half_hour % 2):02d}:00Z",
        "load_mw": [0.0, 2.0],
        "p_mw": [needed + 0.01 * abs(needed), pv, battery],
        "p_from_mw": [needed + 0.01 * abs(needed)],
        "p_to_mw": [-needed],
        **more,
    }


def charged_and_given() -> list[dict[str, Any]]:
    """The battery takes 1 MW twice, then gives 1 MW; then rests while the sun is exported."""
    return [
        snapshot(0, 0.0, -1.0),
        snapshot(1, 1.0, -1.0),
        snapshot(2, 0.0, 1.0),
        snapshot(3, 3.0, 0.0),
    ]


def lines(folder: Path, rows: list[dict[str, Any]], first: dict[str, Any] | None = None) -> Path:
    path = folder / "flows.jsonl"
    given = [header() if first is None else first, *rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return path
