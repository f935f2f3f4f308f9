"""Voltages, flows, loadings and losses against pandapower on its own networks and on ours.

Method: each network is written by pandapower with `to_json`, read by gridpact without it, and
solved by both. pandapower runs to 1e-10 MVA, as its default of 1e-8 leaves 1.2e-7 pu in the longest
feeder. It comes with the dependency group `oracle`; where everything is meant to be installed a
missing one counts as a failure (`tests/conftest.py`).
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gridpact.errors import InputError
from gridpact.grid import GridModel, load_network, nominal_load, power_flow
from gridpact.inputs import builtin_scenario
from gridpact.model import Scenario
from gridpact.model.grid import Network
from gridpact.studies.bench_powerflow import load_of, pandapower_net

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own deprecations
    pandapower = pytest.importorskip("pandapower")
    networks = pytest.importorskip("pandapower.networks")

pytestmark = pytest.mark.filterwarnings("ignore")

VOLTAGE_PU = 1e-9
"""The project promises 1e-6; the differences found are at most 6.3e-11."""
NAMES = (
    "create_kerber_landnetz_freileitung_1",
    "create_kerber_landnetz_freileitung_2",
    "create_kerber_landnetz_kabel_1",
    "create_kerber_landnetz_kabel_2",
    "create_kerber_dorfnetz",
    "create_kerber_vorstadtnetz_kabel_1",
    "create_kerber_vorstadtnetz_kabel_2",
    "create_cigre_network_lv",
    "create_cigre_network_mv",
    "create_synthetic_voltage_control_lv_network",
    "create_dickert_lv_network",
    "simple_four_bus_system",
    "panda_four_load_branch",
    "four_loads_with_branches_out",
    "ieee_european_lv_asymmetric",
    "mv_oberrhein",
    "lv_schutterwald",
    "case33bw",
)
"""Networks whose voltages only external grids hold: no generators with voltage control."""


def solve(net: Any) -> None:
    pandapower.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-10, max_iteration=30)


def built_in_network(scenario: Scenario) -> Network:
    assert scenario.network is not None
    return load_network(scenario.network.reference, scenario.network.folder)


def assert_same(flow: Any, net: Any, row: int = 0) -> None:
    """One snapshot against pandapower's results."""
    theirs = net.res_bus.vm_pu.to_numpy()
    np.testing.assert_array_equal(np.isnan(flow.vm_pu[row]), np.isnan(theirs))
    assert np.nanmax(np.abs(flow.vm_pu[row] - theirs)) < VOLTAGE_PU
    angles = net.res_bus.va_degree.to_numpy()
    assert np.nanmax(np.abs(flow.va_degree[row] - angles)) < 1e-5
    for ours, tables, tolerance in (
        (flow.p_from_mw, (net.res_line.p_from_mw, net.res_trafo.p_hv_mw), 1e-6),
        (flow.p_to_mw, (net.res_line.p_to_mw, net.res_trafo.p_lv_mw), 1e-6),
        (flow.q_from_mvar, (net.res_line.q_from_mvar, net.res_trafo.q_hv_mvar), 1e-6),
        (
            flow.loading_percent,
            (net.res_line.loading_percent, net.res_trafo.loading_percent),
            1e-3,
        ),
    ):
        known = np.nan_to_num(np.concatenate([table.to_numpy() for table in tables]))
        np.testing.assert_allclose(np.nan_to_num(ours[row]), known, atol=tolerance)
    losses_w = 1e6 * (net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())
    assert flow.losses_w[row] == pytest.approx(losses_w, abs=0.5, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_pandapower(name: str, tmp_path: Path) -> None:
    made = getattr(networks, name)()
    net = made[0] if isinstance(made, tuple) else made
    pandapower.to_json(net, str(tmp_path / "net.json"))
    network = load_network("pandapower:net.json", tmp_path)
    flow = power_flow(network, *nominal_load(network))
    assert flow.converged.all()
    solve(net)
    assert_same(flow, net)


def test_every_switch_of_a_real_grid_opened_in_turn(tmp_path: Path) -> None:
    """Switches of mv_oberrhein, one at a time: what loses supply, and every voltage."""
    net = networks.mv_oberrhein()
    for switch in net.switch.index[::23]:
        net.switch.loc[switch, "closed"] = not net.switch.loc[switch, "closed"]
        pandapower.to_json(net, str(tmp_path / "net.json"))
        network = load_network("pandapower:net.json", tmp_path)
        solve(net)
        assert_same(power_flow(network, *nominal_load(network)), net)
        net.switch.loc[switch, "closed"] = not net.switch.loc[switch, "closed"]


def test_the_built_in_grid_through_its_day() -> None:
    """Every twelfth slot of the built-in day, built up in pandapower from our tables."""
    scenario = builtin_scenario()
    network = built_in_network(scenario)
    p_w, q_var = load_of(scenario, network)
    flow = GridModel(network).flow(p_w, q_var)
    net = pandapower_net(network)
    for row in range(0, len(p_w), 12):
        net.load["p_mw"], net.load["q_mvar"] = p_w[row] / 1e6, q_var[row] / 1e6
        solve(net)
        assert_same(flow, net, row)


def test_the_built_in_grid_at_its_nominal_load() -> None:
    """All loads at once, with the reactive power of the source: far beyond any real slot."""
    network = load_network("simbench:1-LV-rural2--0-sw", Path())
    p_w, q_var = nominal_load(network)
    flow = power_flow(network, p_w, q_var)
    net = pandapower_net(network)
    net.load["p_mw"], net.load["q_mvar"] = p_w[0] / 1e6, q_var[0] / 1e6
    solve(net)
    assert_same(flow, net)


def test_grids_of_the_simbench_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of pandapower in the place of one that the package would return; of 381 MB only
    the two functions matter that are called. Its transformer has a tap without a kind."""
    net = networks.mv_oberrhein()
    net.trafo["tap_changer_type"] = None
    package = ModuleType("simbench")
    package.collect_all_simbench_codes = lambda: ["1-MV-somewhere--0-sw"]
    package.get_simbench_net = {"1-MV-somewhere--0-sw": net}.__getitem__
    monkeypatch.setitem(sys.modules, "simbench", package)
    network = load_network("simbench:1-MV-somewhere--0-sw", Path())
    net.trafo["tap_changer_type"] = "Ratio"
    solve(net)
    assert_same(power_flow(network, *nominal_load(network)), net)
    with pytest.raises(InputError, match="did you mean '1-MV-somewhere--0-sw'"):
        load_network("simbench:1-MV-somewhere--9-sw", Path())


def test_both_fail_beyond_the_same_load() -> None:
    """At 87 % of forty times the evening both converge, at 110 % neither does."""
    scenario = builtin_scenario()
    network = built_in_network(scenario)
    p_w, q_var = (values[[30]] * 40 for values in load_of(scenario, network))
    model, net = GridModel(network), pandapower_net(network)
    for share, converges in ((0.86, True), (1.1, False)):
        net.load["p_mw"], net.load["q_mvar"] = share * p_w[0] / 1e6, share * q_var[0] / 1e6
        assert model.flow(share * p_w, share * q_var).converged[0] == converges
        if converges:
            solve(net)
        else:
            with pytest.raises(pandapower.LoadflowNotConverged):
                solve(net)
