"""[SUN23], carbon-flow tracing: two published networks to all digits.

The paper prints no table of its own for the tracing; its source [WANG22] and the four-bus network
of Bialek do, and the figures below were computed from their data with other programs.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.carbon.flows import solved

from gridpact.carbon import CoalCurve, Tracer, dense_shares, trace
from gridpact.model.carbon import SolvedFlow

HALF_DIGIT = 0.6e-6
"""The figures have six decimals."""


def shares_of(flow: SolvedFlow) -> np.ndarray:
    network = flow.network
    x = dense_shares(Tracer(network).shares(flow), len(network.source_ids), len(network.bus_ids))
    return x / x.sum(axis=1, keepdims=True)


def bialek() -> SolvedFlow:
    return solved(
        [
            ("1", "2", 60.0, -59.0),
            ("1", "3", 225.0, -218.0),
            ("1", "4", 115.0, -112.0),
            ("2", "4", 173.0, -171.0),
            ("4", "3", 83.0, -82.0),
        ],
        [("G1", "1", 400.0), ("G2", "2", 114.0)],
        [("L3", "3", 300.0), ("L4", "4", 200.0)],
        buses=("1", "2", "3", "4"),
    )


def test_shares_of_four_buses() -> None:
    """Shares of G1 at buses, loads and losses. Source: section 3.1, eq. (8)-(9)."""
    flow = bialek()
    share = shares_of(flow)
    assert share[:, 0] == pytest.approx([1.0, 0.341040, 0.891167, 0.601830], abs=HALF_DIGIT)
    loads = flow.p_load_mw[0][:, None] * share[flow.network.load_bus]
    assert loads[0] == pytest.approx([267.350068, 32.649932], abs=HALF_DIGIT)
    assert loads[1] == pytest.approx([120.366021, 79.633979], abs=HALF_DIGIT)
    of_g1 = trace(flow, np.array([1.0, 0.0]))
    losses = [1.0, 7.0, 3.0, 0.682081, 0.601830]
    assert of_g1.loss_t_per_h[0] == pytest.approx(losses, abs=HALF_DIGIT)


def test_carbon_of_four_buses() -> None:
    """With 0.9 and 0.4 t/MWh. Source: section 3.3, eq. (37)-(39)."""
    result = trace(bialek(), np.array([0.9, 0.4]))
    rho = [0.9, 0.570520, 0.845583, 0.700915]
    assert result.bus_t_per_mwh[0] == pytest.approx(rho, abs=HALF_DIGIT)
    assert result.load_t_per_h[0] == pytest.approx([253.675034, 140.183010], abs=HALF_DIGIT)
    assert result.loss_t_per_h.sum() == pytest.approx(11.741956, abs=HALF_DIGIT)
    assert result.source_t_per_h.sum() == pytest.approx(405.6, rel=1e-15)
    assert abs(result.residual_t_per_h[0]) < 1e-12


def wang() -> SolvedFlow:
    """The solved flow of the four-node case with five equal branches."""
    return solved(
        [
            ("1", "2", 19.152468, -18.831612),
            ("1", "3", 155.103833, -149.271676),
            ("1", "4", 236.698467, -223.313406),
            ("2", "3", 132.831612, -128.962947),
            ("3", "4", 78.234624, -76.686594),
        ],
        [("G1", "1", 410.954768), ("G2", "2", 114.0)],
        [("L3", "3", 200.0), ("L4", "4", 300.0)],
        buses=("1", "2", "3", "4"),
    )


CURVES = (
    CoalCurve(a=0.0004, b=0.12, c=2.5, zeta=1.01, eta=0.80, xi=0.98, mu=0.8),
    CoalCurve(a=0.0010, b=0.14, c=4.0, zeta=1.00, eta=0.80, xi=0.98, mu=0.0),
)


def intensities(flow: SolvedFlow) -> np.ndarray:
    p = flow.p_source_mw[0]
    return np.array([float(curve.t_per_mwh(p[i])) for i, curve in enumerate(CURVES)])


def test_coal_curves() -> None:
    """Coal and carbon per energy. Source: section 3.2, eq. (20)-(21)."""
    p = wang().p_source_mw[0]
    coal = [float(curve.coal_t_per_mwh(p[i])) for i, curve in enumerate(CURVES)]
    assert coal == pytest.approx([0.293370, 0.289088], abs=HALF_DIGIT)
    assert intensities(wang()) == pytest.approx([0.168668, 0.831031], abs=HALF_DIGIT)


def test_shares_of_four_nodes() -> None:
    """Source: section 3.1, eq. (8)-(9)."""
    flow = wang()
    share = shares_of(flow)
    assert share[1:, 0] == pytest.approx([0.141771, 0.602207, 0.898315], abs=HALF_DIGIT)
    loads = flow.p_load_mw[0][:, None] * share[flow.network.load_bus]
    expected = [[120.441391, 79.558609], [269.494606, 30.505394]]
    assert loads == pytest.approx(np.array(expected), abs=2 * HALF_DIGIT)


def test_carbon_of_four_nodes() -> None:
    """Carbon of loads, branches and losses. Source: section 3.3, eq. (37)-(39).

    The flows are given to 1e-6 MW, so sums of many carry a few units of the sixth decimal.
    """
    flow = wang()
    result = trace(flow, intensities(flow))
    rho = [0.168668, 0.737127, 0.432151, 0.236020]
    assert result.bus_t_per_mwh[0] == pytest.approx(rho, abs=HALF_DIGIT)
    assert result.source_t_per_h.sum() == pytest.approx(164.052501789, abs=HALF_DIGIT)
    loads = [86.430285, 70.806084]
    assert result.load_t_per_h[0] == pytest.approx(loads, abs=2 * HALF_DIGIT)
    losses = [0.054118, 0.983699, 2.257634, 2.851699, 0.668983]
    assert result.loss_t_per_h[0] == pytest.approx(losses, abs=2 * HALF_DIGIT)
    assert result.loss_t_per_h.sum() == pytest.approx(6.816133, abs=2 * HALF_DIGIT)
    branches = [3.230412, 26.161079, 39.923496, 97.913808, 33.809204]
    assert result.branch_t_per_h[0] == pytest.approx(branches, abs=2 * HALF_DIGIT)
    assert abs(result.residual_t_per_h[0]) < 2e-6
