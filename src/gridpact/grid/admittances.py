"""Lines and transformers as one kind of branch: series impedance, admittance, ratio and shift.

Impedances and admittances are those seen from the to-side. Doing this here rather than leaving it
to the solver gives every format the same branch: power-grid-model knows transformers as a pi
circuit only, and the T circuit of pandapower moves voltages by up to 3e-6 pu.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.model.grid import BranchEnd, EquivalentCircuit

if TYPE_CHECKING:
    from gridpact.model.grid import FloatArray, Line, Network, Transformer

KV_A_PER_MVA = 1000 / math.sqrt(3)
"""Amperes of one MVA at one kV, three phases."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Electrical values of L branches, lines first, each of shape (L,)."""

    r_ohm: FloatArray
    x_ohm: FloatArray
    g_s: FloatArray
    """Shunt conductance, both ends together."""
    b_s: FloatArray
    """Shunt susceptance, both ends together."""
    ratio: FloatArray
    """Voltage of the from-side over that of the to-side, over the ratio of nominal voltages."""
    shift_radian: FloatArray
    """How far the to-side lags."""
    from_max_a: FloatArray
    """What may flow at the from-end for long; infinite when it is not known."""
    to_max_a: FloatArray


def branches_of(network: Network) -> Branches:
    """The electrical values of all lines and transformers."""
    nominal_kv = {bus.bus_id: bus.nominal_kv for bus in network.buses}
    rows = [
        *(_line(line, network.frequency_hz) for line in network.lines),
        *(_transformer(transformer, nominal_kv) for transformer in network.transformers),
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 8).T
    return Branches(*(np.ascontiguousarray(column) for column in table))


def _line(line: Line, frequency_hz: float) -> tuple[float, ...]:
    series = line.length_km / line.parallel
    shunt = line.length_km * line.parallel
    max_a = line.max_i_a * line.parallel
    return (
        line.r_ohm_per_km * series,
        line.x_ohm_per_km * series,
        line.g_us_per_km * shunt * 1e-6,
        2 * math.pi * frequency_hz * line.c_nf_per_km * shunt * 1e-9,
        1.0,
        0.0,
        max_a,
        max_a,
    )


def _transformer(unit: Transformer, nominal_kv: dict[str, float]) -> tuple[float, ...]:
    """Nameplate to branch.

    The tap changes the rated voltage of its winding, and with it what percentages refer to. In the
    T circuit, two halves of the series impedance z meet at the admittance y; its equivalent with
    the admittance at the ends has z (1 + z y / 4) and y / (1 + z y / 4).

    Source: pandapower, documentation of the transformer model, release 3.5.
    """
    factor = 1 + (unit.tap_position - unit.tap_neutral) * unit.tap_step_percent / 100
    from_kv = unit.from_kv * (factor if unit.tap_end == BranchEnd.FROM else 1)
    to_kv = unit.to_kv * (factor if unit.tap_end == BranchEnd.TO else 1)
    base_ohm = to_kv**2 / unit.sn_mva
    size, real = unit.vk_percent / 100, unit.vkr_percent / 100
    series = complex(real, math.sqrt(max(0.0, size**2 - real**2))) * base_ohm
    no_load, iron = unit.i0_percent / 100, unit.pfe_kw / 1000 / unit.sn_mva
    shunt = complex(iron, -math.sqrt(max(0.0, no_load**2 - iron**2))) / base_ohm
    if unit.circuit == EquivalentCircuit.T:
        wide = 1 + series * shunt / 4
        series, shunt = series * wide, shunt / wide
    series, shunt = series / unit.parallel, shunt * unit.parallel
    nominal_ratio = nominal_kv[unit.from_bus] / nominal_kv[unit.to_bus]
    max_ka_kv = unit.sn_mva * unit.parallel * unit.derating * KV_A_PER_MVA
    return (
        series.real,
        series.imag,
        shunt.real,
        shunt.imag,
        from_kv / to_kv / nominal_ratio,
        math.radians(unit.shift_degree),
        max_ka_kv / unit.from_kv,
        max_ka_kv / unit.to_kv,
    )
