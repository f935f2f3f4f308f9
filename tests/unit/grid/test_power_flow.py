"""Power flow: against closed forms, against stored results of others, and what it does not carry.

The oracle tests compare with pandapower itself; here are the cases that need nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from math import acos, sqrt, tan

import numpy as np
import pytest
from tests.unit.grid.small_grids import CASES, IDEAL, cable, chain, expected, load_at, network

from gridpact.errors import InputError, InvariantError
from gridpact.grid import (
    GridModel,
    SolveError,
    explain_collapse,
    lagging_q_var,
    load_at_buses,
    load_network,
    nominal_load,
    power_flow,
    require_converged,
    with_ideal_sources,
)
from gridpact.model.grid import (
    BranchEnd,
    Bus,
    EquivalentCircuit,
    Network,
    NominalLoad,
    Shunt,
    Switch,
    SwitchKind,
    Transformer,
)

FREE_LINE = {"c_nf_per_km": 0.0}
"""Without capacitance a line is one impedance, and two buses have a closed form."""


def voltage_behind(r_ohm: float, x_ohm: float, p_w: float, q_var: float, u_v: float = 400) -> float:
    """Voltage in pu at the end of one impedance: the upper root of
    V^4 + (2 (r p + x q) - E^2) V^2 + |z|^2 |s|^2 = 0."""
    half = u_v**2 / 2 - r_ohm * p_w - x_ohm * q_var
    product = (r_ohm**2 + x_ohm**2) * (p_w**2 + q_var**2)
    return sqrt(half + sqrt(half**2 - product)) / u_v


def transformer(**changes: object) -> Transformer:
    plain = Transformer(
        transformer_id="t",
        from_bus="b0",
        to_bus="b1",
        sn_mva=0.4,
        from_kv=10.0,
        to_kv=0.4,
        vk_percent=6.0,
        vkr_percent=1.2,
        pfe_kw=0.0,
        i0_percent=0.0,
        shift_degree=150.0,
        tap_end=BranchEnd.FROM,
        tap_position=0,
        tap_neutral=0,
        tap_step_percent=2.5,
        parallel=1,
        derating=1.0,
        circuit=EquivalentCircuit.PI,
        in_service=True,
    )
    return replace(plain, **changes)


def substation(unit: Transformer) -> Network:
    buses = (Bus("b0", "", 10.0, in_service=True), Bus("b1", "", 0.4, in_service=True))
    return network(2, (), buses=buses, transformers=(unit,))


@pytest.mark.parametrize(("p_w", "q_var"), [(20_000, 0), (60_000, 20_000), (-50_000, 5_000)])
def test_one_line_has_the_voltage_of_the_closed_form(p_w: int, q_var: int) -> None:
    net = chain(2, km=0.3, **FREE_LINE)
    flow = power_flow(net, load_at(net, b1=p_w), load_at(net, b1=q_var))
    r_ohm, x_ohm = 0.3 * 0.2067, 0.3 * 0.0804
    vm_pu = voltage_behind(r_ohm, x_ohm, p_w, q_var)
    assert flow.vm_pu[0, 1] == pytest.approx(vm_pu, abs=1e-12)
    current_a = abs(complex(p_w, q_var)) / (sqrt(3) * 400 * vm_pu)
    assert flow.current_a[0, 0] == pytest.approx(current_a, rel=1e-9)
    assert flow.loading_percent[0, 0] == pytest.approx(100 * current_a / 270, rel=1e-9)
    assert flow.losses_w[0] == pytest.approx(3 * r_ohm * current_a**2, rel=1e-7)
    assert flow.p_to_mw[0, 0] == pytest.approx(-p_w / 1e6, rel=1e-9)
    assert flow.p_external_mw[0, 0] == pytest.approx((p_w + flow.losses_w[0]) / 1e6, rel=1e-9)


def test_parallel_cables_share() -> None:
    """Two cables in parallel are one of half the impedance that may carry twice as much."""
    double, half = (
        chain(2, parallel=2, **FREE_LINE),
        network(2, (cable("l1", "b0", "b1", 0.05, max_i_a=540.0, **FREE_LINE),)),
    )
    ours, same = (power_flow(net, load_at(net, b1=90_000)) for net in (double, half))
    assert ours.vm_pu == pytest.approx(same.vm_pu, abs=1e-12)
    assert ours.loading_percent == pytest.approx(same.loading_percent, rel=1e-12)


def test_the_impedance_of_the_external_grid_counts() -> None:
    """A short-circuit power of 1 MVA at 0.4 kV is 0.16 ohm."""
    weak = replace(IDEAL, short_circuit_mva=1.0, rx_ratio=0.5)
    net = replace(chain(2, **FREE_LINE), external_grids=(weak,))
    x_ohm = 0.16 / sqrt(1.25)
    vm_pu = voltage_behind(x_ohm / 2 + 0.02067, x_ohm + 0.00804, 30_000, 10_000)
    flow = power_flow(net, load_at(net, b1=30_000), load_at(net, b1=10_000))
    assert flow.vm_pu[0, 1] == pytest.approx(vm_pu, abs=1e-9)
    assert flow.vm_pu[0, 0] < 0.99
    ideal = power_flow(with_ideal_sources(net), load_at(net, b1=30_000))
    assert ideal.vm_pu[0, 0] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 1.0),
        ({"tap_position": 2}, 1 / 1.05),
        ({"tap_position": -1, "tap_neutral": 1}, 1 / 0.95),
        ({"tap_position": 2, "tap_end": BranchEnd.TO}, 1.05),
        ({"from_kv": 10.5}, 10 / 10.5),
    ],
)
def test_tap_and_rated_voltage_set_the_open_circuit_voltage(
    changes: dict[str, object], ratio: float
) -> None:
    net = substation(transformer(**changes))
    flow = power_flow(net, load_at(net))
    assert flow.vm_pu[0, 1] == pytest.approx(ratio, abs=1e-12)
    assert flow.va_degree[0, 1] == pytest.approx(-150, abs=1e-9)


def test_transformer_impedance_and_loading() -> None:
    """Two units of 0.4 MVA and 6 %, derated to 80 %: 0.012 ohm seen from 0.4 kV."""
    net = substation(transformer(parallel=2, derating=0.8))
    flow = power_flow(net, load_at(net, b1=300_000))
    r_ohm, x_ohm = 0.0024, 0.012 * sqrt(1 - 0.2**2)
    vm_pu = voltage_behind(r_ohm, x_ohm, 300_000, 0)
    assert flow.vm_pu[0, 1] == pytest.approx(vm_pu, abs=1e-12)
    assert flow.loading_percent[0, 0] == pytest.approx(100 * 0.3 / vm_pu / (0.8 * 0.8), rel=1e-9)


def test_no_load_losses_are_where_the_circuit_puts_them() -> None:
    """At no load the T circuit drives its current through half the impedance, and so does pi."""
    for circuit in EquivalentCircuit:
        unit = transformer(pfe_kw=0.9, i0_percent=0.4, circuit=circuit)
        net = substation(unit)
        flow = power_flow(net, load_at(net))
        assert flow.losses_w[0] == pytest.approx(900, rel=1e-3)
        assert flow.vm_pu[0, 1] == pytest.approx(1 - 0.06 * 0.0033 / 2, abs=3e-5)


def test_shunts_take_what_their_voltage_says() -> None:
    shunts = (
        Shunt("s", "b1", 0.05, 0.02, in_service=True),
        Shunt("off", "b1", 5.0, 0.0, in_service=False),
    )
    net = replace(chain(2, **FREE_LINE), shunts=shunts)
    flow = power_flow(net, load_at(net))
    taken_w = 0.05 * (400 * flow.vm_pu[0, 1]) ** 2
    assert flow.p_to_mw[0, 0] == pytest.approx(-taken_w / 1e6, rel=1e-9)
    assert flow.q_to_mvar[0, 0] == pytest.approx(0.4 * taken_w / 1e6, rel=1e-9)
    branch_w = 1e6 * (flow.p_from_mw + flow.p_to_mw).sum()
    assert flow.losses_w[0] == pytest.approx(taken_w + branch_w, rel=1e-9)
    assert flow.p_external_mw[0, 0] * 1e6 == pytest.approx(flow.losses_w[0], rel=1e-9)


@pytest.mark.parametrize(
    ("case", "reference"),
    [
        ("pandapower_2", "pandapower:net.json"),
        ("pandapower_3", "pandapower:net.json"),
    ],
)
def test_stored_results_of_pandapower(case: str, reference: str) -> None:
    net = load_network(reference, CASES / case)
    flow, results = power_flow(net, *nominal_load(net)), expected(case)
    lines = len(net.lines)
    assert flow.converged.all()
    np.testing.assert_array_equal(np.isnan(flow.vm_pu[0]), np.isnan(results["vm_pu"]))
    ours = {
        "vm_pu": flow.vm_pu[0],
        "va_degree": flow.va_degree[0],
        "line_p_from_mw": flow.p_from_mw[0, :lines],
        "line_p_to_mw": flow.p_to_mw[0, :lines],
        "line_q_from_mvar": flow.q_from_mvar[0, :lines],
        "line_loading_percent": flow.loading_percent[0, :lines],
        "transformer_loading_percent": flow.loading_percent[0, lines:],
        "transformer_p_from_mw": flow.p_from_mw[0, lines:],
    }
    assert ours.keys() == results.keys()
    for name, values in ours.items():
        known = ~np.isnan(results[name])
        assert values[known] == pytest.approx(results[name][known], rel=1e-9, abs=1e-10), name


@pytest.mark.parametrize("file", ["input.json", "compact.json"])
def test_stored_results_of_power_grid_model(file: str) -> None:
    net = load_network(f"pgm:{file}", CASES / "power_grid_model")
    flow, results = power_flow(net, *nominal_load(net)), expected("power_grid_model")
    lines = len(net.lines)
    np.testing.assert_allclose(flow.vm_pu[0], results["u_pu"], atol=1e-8)
    np.testing.assert_allclose(np.radians(flow.va_degree[0]), results["u_angle"], atol=1e-8)
    np.testing.assert_allclose(flow.p_from_mw[0, :lines] * 1e6, results["line_p_from"], atol=1)
    np.testing.assert_allclose(
        flow.loading_percent[0, :lines] / 100, results["line_loading"], atol=1e-8
    )
    np.testing.assert_allclose(flow.p_to_mw[0, lines:] * 1e6, results["transformer_p_to"], atol=1)
    np.testing.assert_allclose(flow.p_external_mw[0] * 1e6, results["source_p"], atol=1)


def test_a_line_around_a_closed_switch_carries_its_charging_only() -> None:
    switch = Switch("s", "b1", SwitchKind.BUS, "b2", closed=True)
    lines = (cable("l1", "b0", "b1"), cable("around", "b1", "b2", 0.2))
    flow = power_flow(net := network(3, lines, (switch,)), load_at(net, b2=40_000))
    assert flow.busbar.tolist() == [0, 1, 1]
    assert flow.vm_pu[0, 1] == flow.vm_pu[0, 2]
    susceptance_s = 2 * np.pi * 50 * 830e-9 * 0.2
    charging_mvar = -susceptance_s / 2 * (400 * flow.vm_pu[0, 1]) ** 2 / 1e6
    assert flow.q_from_mvar[0, 1] == pytest.approx(charging_mvar, rel=1e-12)
    assert flow.p_from_mw[0, 1] == 0
    assert flow.p_to_mw[0, 0] == pytest.approx(-0.04, rel=1e-9)


def test_a_line_that_ends_open_at_its_own_busbar() -> None:
    joined = Switch("s", "b0", SwitchKind.BUS, "b1", closed=True)
    for end in ("b0", "b1"):
        opened = Switch("o", end, SwitchKind.LINE, "l1", closed=False)
        flow = power_flow(
            net := network(2, (cable("l1", "b0", "b1"),), (joined, opened)), load_at(net)
        )
        closed_end_mvar = (flow.q_to_mvar if end == "b0" else flow.q_from_mvar)[0, 0]
        assert closed_end_mvar == pytest.approx(-2 * np.pi * 50 * 83e-9 * 0.16, rel=1e-4)
        assert (flow.q_from_mvar if end == "b0" else flow.q_to_mvar)[0, 0] == 0


def test_buses_without_supply_are_nan_and_their_load_is_left_out() -> None:
    net = network(4, (cable("l1", "b0", "b1"), cable("l3", "b2", "b3")))
    flow = power_flow(net, load_at(net, b1=10_000, b3=99_000))
    assert flow.supplied.tolist() == [True, True, False, False]
    assert np.isnan(flow.vm_pu[0]).tolist() == [False, False, True, True]
    assert np.isnan(flow.va_degree[0]).tolist() == [False, False, True, True]
    assert flow.p_load_w[0].tolist() == [0, 10_000, 0, 0]
    assert flow.converged.all()
    assert flow.p_from_mw[0, 1] == flow.current_a[0, 1] == flow.loading_percent[0, 1] == 0
    assert flow.p_external_mw[0, 0] * 1e6 == pytest.approx(10_000 + flow.losses_w[0])


def test_unknown_rating_gives_a_current_but_no_loading() -> None:
    net = chain(3, max_i_a=float("inf"))
    flow = power_flow(net, load_at(net, b2=10_000))
    assert np.isnan(flow.loading_percent).all()
    assert flow.current_a[0] == pytest.approx([14.5, 14.5], abs=0.2)


def test_one_bus_and_no_branch() -> None:
    net = chain(1)
    flow = power_flow(net, load_at(net, b0=5_000))
    assert flow.vm_pu.tolist() == [[pytest.approx(1.0)]]
    assert flow.p_external_mw[0, 0] == pytest.approx(0.005)
    assert flow.loading_percent.shape == (1, 0)


def test_snapshots_do_not_depend_on_each_other() -> None:
    """A batch, with threads or without, gives each snapshot the bits it gets alone."""
    net = chain(8)
    model = GridModel(net)
    load_w = np.random.default_rng(1).uniform(-20_000, 20_000, (50, 8))
    batch, threads = model.flow(load_w, load_w / 3), model.flow(load_w, load_w / 3, threads=3)
    for row in (0, 17, 49):
        alone = model.flow(load_w[[row]], load_w[[row]] / 3)
        for name in ("vm_pu", "p_from_mw", "loading_percent", "losses_w"):
            assert np.array_equal(getattr(alone, name)[0], getattr(batch, name)[row])
            assert np.array_equal(getattr(alone, name)[0], getattr(threads, name)[row])


def test_no_snapshots_is_no_problem() -> None:
    flow = power_flow(chain(3), np.zeros((0, 3)))
    assert flow.vm_pu.shape == (0, 3)
    assert flow.losses_w.shape == (0,)


def test_large_batches_are_solved_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = GridModel(chain(3))
    load_w = np.linspace(0, 30_000, 21).reshape(7, 3)
    whole = model.flow(load_w)
    monkeypatch.setattr("gridpact.grid.grid_model.CHUNK_VALUES", 6)
    pieces = model.flow(load_w)
    assert np.array_equal(whole.vm_pu, pieces.vm_pu)
    assert np.array_equal(whole.losses_w, pieces.losses_w)


@pytest.mark.parametrize(
    ("p_w", "q_var", "words"),
    [
        (np.zeros(3), None, "has shape (3,); allowed: (snapshots, 3)"),
        (np.zeros((2, 4)), None, "has shape (2, 4)"),
        (np.zeros((2, 3)), np.zeros((1, 3)), "q_var: has shape (1, 3); allowed: (2, 3), as p_w"),
        (np.array([[0, np.nan, 0]]), None, "p_w: snapshot 0, bus b1: nan is not a number"),
        (np.zeros((1, 3)), np.array([[0, 0, np.inf]]), "q_var: snapshot 0, bus b2: inf"),
    ],
)
def test_bad_loads(p_w: object, q_var: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        power_flow(chain(3), p_w, q_var)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_the_caller_keeps_its_arrays() -> None:
    net = network(3, (cable("l1", "b0", "b1"),))
    load_w = load_at(net, b1=1_000, b2=2_000)
    flow = power_flow(net, load_w)
    assert load_w.tolist() == [[0, 1_000, 2_000]]
    assert flow.p_load_w is not load_w


def test_threads_are_at_least_one() -> None:
    with pytest.raises(InvariantError):
        GridModel(chain(2)).flow(np.zeros((1, 2)), threads=0)


# Collapse


def test_good_snapshots_survive_a_collapse() -> None:
    """The closed form has no root beyond 1.48 MW; snapshots before and after are as if alone."""
    net = chain(2, km=0.1, **FREE_LINE)
    load_w = np.array([[0, 20_000], [0, 5_000_000], [0, 40_000], [0, 1e12]])
    flow = power_flow(net, load_w)
    assert flow.converged.tolist() == [True, False, True, False]
    assert np.isnan(flow.vm_pu[[1, 3]]).all()
    assert np.isnan(flow.losses_w[[1, 3]]).all()
    assert np.isnan(flow.p_from_mw[[1, 3]]).all()
    for row in (0, 2):
        assert np.array_equal(power_flow(net, load_w[[row]]).vm_pu[0], flow.vm_pu[row])


def test_collapse_is_explained_by_snapshot_bus_and_share() -> None:
    """The most that one impedance carries at unity power factor is E^2 / (2 (|z| + r))."""
    net = chain(3, km=0.1, **FREE_LINE)
    model = GridModel(net)
    flow = model.flow(np.array([[0, 0, 1_000], [0, 0, 2_000_000]]))
    r_ohm, x_ohm = 0.04134, 0.01608
    most_w = 400**2 / (2 * (sqrt(r_ohm**2 + x_ohm**2) + r_ohm))
    error = explain_collapse(model, flow, 1)
    assert error.snapshot == 1
    assert error.bus == "b2"
    assert error.share_permille == int(1000 * most_w / 2_000_000)
    assert 0.4 < error.vm_pu < 0.6
    assert "snapshot 1: the power flow has no solution" in str(error)
    assert "at bus b2" in str(error)
    with pytest.raises(SolveError, match="snapshot 1"):
        require_converged(model, flow)
    require_converged(model, model.flow(np.array([[0, 0, 1_000]])))


def test_a_network_without_any_solution_says_so() -> None:
    """A capacitor in resonance with the line: without load no voltage fits."""
    tuned = Shunt("s", "b1", 0.0, 10.0, in_service=True)
    line = cable("l1", "b0", "b1", 1.0, r_ohm_per_km=0.0, x_ohm_per_km=0.1, **FREE_LINE)
    model = GridModel(network(2, (line,), shunts=(tuned,)))
    flow = model.flow(np.zeros((1, 2)))
    assert not flow.converged[0]
    error = explain_collapse(model, flow, 0)
    assert (error.share_permille, error.bus) == (0, "")
    assert "even without any load; check the network's impedances" in str(error)


def test_a_solved_snapshot_has_no_collapse_to_explain() -> None:
    model = GridModel(chain(2))
    with pytest.raises(InvariantError):
        explain_collapse(model, model.flow(np.zeros((1, 2))), 0)


# Loads


def test_load_is_summed_by_bus() -> None:
    load_w = load_at_buses(chain(3), ["b2", "b1", "b2"], np.array([[1, 2], [10, 20], [100, 200]]))
    assert load_w.tolist() == [[0, 10, 101], [0, 20, 202]]


def test_members_at_unknown_buses_are_all_named() -> None:
    with pytest.raises(InputError) as caught:
        load_at_buses(chain(2), ["b1", "b7", "b9", "b7"], np.zeros((4, 1)))
    assert [problem.where for problem in caught.value.problems] == [
        "small: bus b7",
        "small: bus b9",
    ]


def test_load_needs_one_row_per_customer() -> None:
    with pytest.raises(InputError, match="allowed: \\(2, snapshots\\)"):
        load_at_buses(chain(2), ["b1", "b1"], np.zeros((3, 5)))


def test_nominal_load_is_that_of_the_source() -> None:
    loads = (NominalLoad("a", "b1", 5.5, 1.0), NominalLoad("b", "b1", -2.0, 0.5))
    p_w, q_var = nominal_load(replace(chain(2), loads=loads))
    assert p_w.tolist() == [[0, 3.5]]
    assert q_var.tolist() == [[0, 1.5]]
    assert nominal_load(chain(2))[0].tolist() == [[0, 0]]


def test_lagging_consumers_draw_reactive_power() -> None:
    q_var = lagging_q_var(np.array([[1000, -1000]]), 0.93)
    assert q_var.tolist() == [[pytest.approx(1000 * tan(acos(0.93))), 0]]
    assert lagging_q_var(np.array([7]), 1.0).tolist() == [0]
    for bad in (0.0, -0.5, 1.01, float("nan")):
        with pytest.raises(InputError, match="power_factor"):
            lagging_q_var(np.array([1]), bad)
