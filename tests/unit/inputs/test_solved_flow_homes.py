"""Goal: homes behind meters are places of their own, and nothing else of the flow changes.

Three buses of 400 V in a row: the grid, `near` and `far`, the last two with homes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridpact.carbon import trace
from gridpact.errors import InputError
from gridpact.grid import load_network, power_flow
from gridpact.inputs.solved_flow_grid import flow_to_trace
from gridpact.inputs.solved_flow_homes import HomeFlow, HomePower, flow_with_homes
from gridpact.model.carbon import LoadKind, SourceKind
from gridpact.model.grid import Network, PowerFlow

HOMES = ("ann", "bob", "cyd")
BUSES = ("near", "far", "far")
TABLES = {
    "buses": "bus,vn_kv\nmain,0.4\nnear,0.4\nfar,0.4\n",
    "lines": "line,from_bus,to_bus,length_km,r_ohm_per_km,x_ohm_per_km\n"
    "trunk,main,near,0.1,0.2,0.08\nend,near,far,0.1,0.2,0.08\n",
    "external_grids": "external_grid,bus\ngrid,main\n",
    "shunts": "shunt,bus,p_w\niron,near,100\n",
}


@pytest.fixture
def network(tmp_path: Path) -> Network:
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return load_network(f"csv:{tmp_path}", Path())


def power(load: list[float], generated: list[float] | None = None) -> HomePower:
    """kW; without storages."""
    given = [np.array(kw) / 1000.0 for kw in (load, generated or [0.0] * 3)]
    return HomePower(*given, np.zeros(3), np.zeros(3))


def solved(network: Network, homes: HomePower) -> PowerFlow:
    """The power flow of what the homes' meters see."""
    p_w = np.zeros((1, 3))
    for bus, mw in zip(BUSES, homes.import_mw, strict=True):
        p_w[0, ("main", "near", "far").index(bus)] += mw * 1e6
    return power_flow(network, p_w)


def attached(network: Network, homes: HomePower) -> HomeFlow:
    return flow_with_homes(network, solved(network, homes), HOMES, BUSES, homes)


def intensities(found: HomeFlow, grid: float, sun: float, store: float = 0.0) -> np.ndarray:
    rho = np.zeros(len(found.flow.network.source_ids))
    rho[found.grids], rho[found.generation], rho[found.discharging] = grid, sun, store
    return rho


SUNNY = power([3.0, 2.0, 1.0], [0.0, 5.0, 0.4])
"""Ann has no sun, Bob more than he uses, Cyd less."""


def test_who_is_where(network: Network) -> None:
    found = attached(network, SUNNY)
    named = found.flow.network
    assert named.bus_ids == ("main", "near", "far", "home:ann", "home:bob", "home:cyd")
    assert named.branch_ids == ("trunk", "end", "meter:ann", "meter:bob", "meter:cyd")
    assert [named.bus_ids[i] for i in named.from_bus[2:]] == list(BUSES)
    assert [named.bus_ids[i] for i in named.to_bus[2:]] == [f"home:{home}" for home in HOMES]
    for part, ids, kind in (
        (found.grids, ["grid"], SourceKind.IMPORT),
        (found.generation, [f"generation:{home}" for home in HOMES], SourceKind.GENERATION),
        (found.discharging, [f"storage:{home}" for home in HOMES], SourceKind.STORE),
    ):
        assert list(named.source_ids[part]) == ids
        assert set(named.source_kind[part]) == {kind}
    for part, ids, kind in (
        (found.load, [f"load:{home}" for home in HOMES], LoadKind.CONSUMPTION),
        (found.charging, [f"storage:{home}" for home in HOMES], LoadKind.CHARGING),
        (found.export, ["export:grid"], LoadKind.EXPORT),
        (found.shunt, ["shunt:iron"], LoadKind.SHUNT),
    ):
        assert list(named.load_ids[part]) == ids
        assert set(named.load_kind[part]) == {kind}
    at_home = [named.bus_ids[i] for i in named.load_bus[found.charging]]
    assert at_home == ["home:ann", "home:bob", "home:cyd"]


def test_power_is_what_was_given_and_what_was_solved(network: Network) -> None:
    found = attached(network, SUNNY)
    base = flow_to_trace(network, solved(network, SUNNY))
    flow = found.flow
    assert flow.p_load_mw[0, found.load].tolist() == [0.003, 0.002, 0.001]
    assert flow.p_source_mw[0, found.generation].tolist() == [0.0, 0.005, 0.0004]
    assert flow.p_from_mw[0, :2].tolist() == base.p_from_mw[0].tolist()
    assert flow.p_to_mw[0, :2].tolist() == base.p_to_mw[0].tolist()
    assert flow.p_source_mw[0, found.grids] == base.p_source_mw[0, :1]
    assert flow.p_load_mw[0, found.shunt] == base.p_load_mw[0, -1:]
    assert flow.p_from_mw[0, 2:] == pytest.approx([0.003, -0.003, 0.0006])
    assert (flow.p_to_mw[0, 2:] == -flow.p_from_mw[0, 2:]).all(), "meters lose nothing"


def test_what_is_emitted_is_used_lost_or_exported(network: Network) -> None:
    """With and without homes the grid gives the same, and nothing of it is lost on the way."""
    found = attached(network, SUNNY)
    result = trace(found.flow, intensities(found, 0.4, 0.04))
    gone = result.load_t_per_h.sum() + result.loss_t_per_h.sum()
    assert gone == pytest.approx(result.source_t_per_h.sum(), rel=1e-9)
    assert result.residual_t_per_h[0] == pytest.approx(0.0, abs=1e-15)


def test_a_home_that_feeds_in_uses_its_own_sun_alone(network: Network) -> None:
    """Nothing enters Bob's meter, so what he draws has his sun's intensity to the last digit."""
    found = attached(network, SUNNY)
    result = trace(found.flow, intensities(found, 0.4, 0.04))
    ann, bob, cyd = result.load_t_per_h[0, found.load] / found.flow.p_load_mw[0, found.load]
    assert bob == pytest.approx(0.04, rel=1e-12)
    far = result.bus_t_per_mwh[0, 2]
    assert far == pytest.approx(0.04, rel=1e-12), "all that comes to the far bus is Bob's"
    assert cyd == pytest.approx(0.04, rel=1e-12)
    assert 0.04 < ann < 0.4


def test_a_home_that_draws_mixes_its_sun_with_what_comes_in(network: Network) -> None:
    homes = power([3.0, 2.0, 1.0], [0.0, 0.5, 0.0])
    found = attached(network, homes)
    result = trace(found.flow, intensities(found, 0.4, 0.0))
    ann, bob, cyd = result.load_t_per_h[0, found.load] / found.flow.p_load_mw[0, found.load]
    assert ann == pytest.approx(0.4, rel=1e-12)
    assert bob == pytest.approx(0.4 * 1.5 / 2.0, rel=1e-9)
    assert cyd == pytest.approx(0.4, rel=1e-12)


def test_a_market_that_exports(network: Network) -> None:
    found = attached(network, power([0.0, 1.0, 0.0], [0.0, 9.0, 2.0]))
    flow = found.flow
    assert flow.p_source_mw[0, found.grids] == 0.0
    assert 0.009 < flow.p_load_mw[0, found.export][0] < 0.010
    result = trace(flow, intensities(found, 9.9, 0.05))
    exported = result.load_t_per_h[0, found.export] / flow.p_load_mw[0, found.export]
    assert exported == pytest.approx(0.05, rel=1e-12), "not a gram of the grid's"


def test_storages_take_the_mix_and_give_their_own(network: Network) -> None:
    """Ann charges beside her load, Cyd discharges for hers."""
    homes = HomePower(
        np.array([0.003, 0.002, 0.001]),
        np.array([0.001, 0.0, 0.0]),
        np.array([0.002, 0.0, 0.0]),
        np.array([0.0, 0.0, 0.001]),
    )
    assert homes.import_mw == pytest.approx([0.004, 0.002, 0.0])
    found = attached(network, homes)
    result = trace(found.flow, intensities(found, 0.4, 0.0, store=0.7))
    mix = 0.4 * 4.0 / 5.0
    assert result.load_t_per_h[0, found.load][0] == pytest.approx(0.003 * mix, rel=1e-9)
    assert result.load_t_per_h[0, found.charging][0] == pytest.approx(0.002 * mix, rel=1e-9)
    assert result.load_t_per_h[0, found.load][2] == pytest.approx(0.001 * 0.7, rel=1e-9)


def test_a_flow_that_did_not_converge_is_refused(network: Network) -> None:
    homes = power([9_000_000.0, 0.0, 0.0])
    with pytest.raises(InputError, match="did not converge"):
        attached(network, homes)
