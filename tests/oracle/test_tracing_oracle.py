"""Tracing on AC power flows of pandapower: carbon is kept, and a dense solve agrees.

What is left over is what the power flow left at each bus, so it is solved to 1e-12 MVA.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.carbon.flows import dense

from gridpact.carbon import Tracer, allocate, dense_shares, trace
from gridpact.inputs.solved_flow import read_solved_flow
from gridpact.model.carbon import SolvedFlow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own deprecations
    pandapower = pytest.importorskip("pandapower")
    networks = pytest.importorskip("pandapower.networks")

pytestmark = pytest.mark.filterwarnings("ignore")

LOSSES_MW = {
    "case9": 4.954702,
    "case14": 13.393272,
    "case30": 2.443803,
    "case118": 133.169694,
}
"""Of the published cases."""


def solved_file(net: Any, path: Path) -> Path:
    """The results of pandapower as a solved-flow file; intensities differ from source to source."""
    chance = np.random.default_rng(7)
    load = dict.fromkeys(net.bus.index.tolist(), 0.0)
    for table, results in ((net.load, net.res_load), (net.shunt, net.res_shunt)):
        for bus, p in zip(table.bus, results.p_mw, strict=True):
            load[bus] += float(p)
    sources = []
    for kind in ("ext_grid", "gen", "sgen"):
        for index, bus in net[kind].bus.items():
            p = float(net[f"res_{kind}"].p_mw[index])
            source = {"id": f"{kind}-{index}", "bus": str(bus), "p_mw": p}
            source["t_per_mwh"] = float(chance.uniform(0.0, 1.0))
            sources.append(source | ({"kind": "import"} if kind == "ext_grid" else {}))
    for bus in [bus for bus, p in load.items() if p < 0.0]:  # negative loads are plants
        p = -load[bus]
        sources.append({"id": f"load-{bus}", "bus": str(bus), "p_mw": p, "t_per_mwh": 0.2})
        load[bus] = 0.0
    branches = []
    for kind, ends in (("line", ("from", "to")), ("trafo", ("hv", "lv"))):
        for index, row in net[kind].iterrows():
            first, second = (float(net[f"res_{kind}"][f"p_{end}_mw"][index]) for end in ends)
            branch = {"id": f"{kind}-{index}", "p_from_mw": first, "p_to_mw": second}
            branch["from_bus"], branch["to_bus"] = (str(row[f"{end}_bus"]) for end in ends)
            branches.append(branch)
    file = {
        "format": "gridpact-solved-flow-1",
        "converged": bool(net.converged),
        "buses": [{"id": str(bus), "load_mw": p} for bus, p in load.items()],
        "sources": sources,
        "branches": branches,
    }
    path.write_text(json.dumps(file), encoding="utf-8")
    return path


def solve(net: Any) -> None:
    pandapower.runpp(net, tolerance_mva=1e-11, max_iteration=30)


def assert_traced(flow: SolvedFlow, t_per_mwh: np.ndarray, losses_mw: float | None) -> None:
    result = trace(flow, t_per_mwh)
    losses = (flow.p_from_mw + flow.p_to_mw).sum()
    if losses_mw is not None:
        assert losses == pytest.approx(losses_mw, abs=0.6e-6)
    total = result.source_t_per_h.sum()
    assert abs(result.residual_t_per_h[0]) < 1e-11 * total
    network = flow.network
    through, x = dense(flow)
    buses = len(network.bus_ids)
    rho = np.divide(x @ t_per_mwh[0], through, where=through > 1e-9, out=np.full(len(x), np.nan))
    np.testing.assert_allclose(result.bus_t_per_mwh[0], rho[:buses], rtol=1e-9)
    np.testing.assert_allclose(result.branch_t_per_mwh[0], rho[buses:], rtol=1e-9)
    shares = dense_shares(Tracer(network).shares(flow), len(network.source_ids), buses)
    np.testing.assert_allclose(shares, x[:buses], rtol=1e-9, atol=1e-9)
    assert allocate(result, 1.0).residual_ug == 0


@pytest.mark.parametrize("name", LOSSES_MW)
def test_published_cases(name: str, tmp_path: Path) -> None:
    net = getattr(networks, name)()
    solve(net)
    found = read_solved_flow(solved_file(net, tmp_path / "flow.json"))
    assert_traced(found.flow, found.low_t_per_mwh, LOSSES_MW[name])


@pytest.mark.parametrize("sun_mw", [(0.0, 0.0), (1.5, 1.0), (4.0, 3.0)])
def test_a_radial_feeder_with_sun(sun_mw: tuple[float, float], tmp_path: Path) -> None:
    """With 1.5 and 1.0 MW lines turn; with 4 and 3 MW the feeder exports."""
    net = networks.case33bw()
    for bus, p_mw in zip((17, 32), sun_mw, strict=True):
        pandapower.create_sgen(net, bus, p_mw)
    # The tie lines are open, and pandapower keeps their results at 0.
    solve(net)
    found = read_solved_flow(solved_file(net, tmp_path / "flow.json"))
    known = 0.145746 if sun_mw == (1.5, 1.0) else None
    assert_traced(found.flow, found.low_t_per_mwh, known)
    exported = found.flow.p_load_mw[0, -1]
    assert (exported > 0.1) == (sun_mw == (4.0, 3.0))
