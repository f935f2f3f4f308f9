"""Power flows per second on the built-in grid: a batch, one call per snapshot, and pandapower.

The ratio is what travels between machines; seconds are those of the machine at hand.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Callable
from datetime import date
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import invariant
from gridpact.grid import (
    TOLERANCE_PU,
    GridModel,
    lagging_q_var,
    load_at_buses,
    load_network,
    violations,
)
from gridpact.inputs import builtin_scenario, load_profiles
from gridpact.model.grid import GridLimits, SwitchKind

if TYPE_CHECKING:
    from gridpact.model import Scenario
    from gridpact.model.grid import FloatArray, IntArray, Network, PowerFlow

POWER_FACTOR = 0.93
"""Of consumers: SimBench's households have 0.395 var for each W."""
YEAR_DAYS = 365
NAIVE_SNAPSHOTS = 960
"""Of the year, solved one by one; the time is scaled to the whole."""
PANDAPOWER_SNAPSHOTS = 10
REPEATS_MIN = 2
REPEAT_S = 0.5
"""About this long, and at least so often, each way is repeated; the least time counts."""
SAME_PU = 1e-9
"""Largest difference of a voltage between a batch and single calls."""
AGREED_PU = 1e-6
"""Largest difference of a voltage from pandapower."""
HOURS_PER_SLOT = 0.25


def bench_powerflow(
    days: int = YEAR_DAYS, pandapower_snapshots: int = PANDAPOWER_SNAPSHOTS
) -> dict[str, dict[str, float | int]]:
    """Time the built-in day and a year, each against one call per snapshot.

    Args:
        days: length of the year; fewer for a quick look.
        pandapower_snapshots: how many to time in pandapower, where it is installed; 0 for none.
    Returns:
        per case `snapshots`, `ours_s`, `flows_per_s`, `baseline_s`, `ratio`, with several threads
        `threads_s`, and of pandapower, where it is installed, `pandapower_s` for as many snapshots
        and the largest difference of a voltage; under `built-in day` what the grid went through.
    """
    day = builtin_scenario()
    members = tuple(
        dataclasses.replace(member, agent=dataclasses.replace(member.agent, season_days=1))
        for member in day.members
    )
    year = dataclasses.replace(day, first_day=date(2016, 1, 2), days=days, members=members)
    invariant(day.network is not None, "the built-in day has a network")
    network = load_network(day.network.reference, day.network.folder)  # type: ignore[union-attr]
    model = GridModel(network)
    day_load, year_load = load_of(day, network), load_of(year, network)
    flow = model.flow(*day_load)
    results = {"built-in day": _figures(flow)}
    for p_w, q_var in (day_load, year_load):
        figures = _timed(model, p_w, q_var)
        if pandapower_snapshots and importlib.util.find_spec("pandapower") is not None:
            rows = np.linspace(0, len(flow.converged) - 1, pandapower_snapshots).astype(int)
            theirs = _pandapower(network, flow, *day_load, rows)
            figures |= {**theirs, "pandapower_s": theirs["pandapower_s"] * len(p_w) / len(rows)}
        results[f"{len(p_w):,} snapshots"] = figures
    return results


def load_of(scenario: Scenario, network: Network) -> tuple[FloatArray, FloatArray]:
    """Net load of each bus in W and var, each of shape (slots, buses), as metered.

    Members draw reactive power for their gross load at `POWER_FACTOR`; plants feed in none.
    """
    profiles = load_profiles(scenario)
    slots = slice(profiles.history, None)
    load_w = profiles.load_wh[:, slots] / HOURS_PER_SLOT
    net_w = load_w - profiles.pv_wh[:, slots] / HOURS_PER_SLOT
    buses = [member.bus for member in scenario.members]
    return (
        load_at_buses(network, buses, net_w),
        load_at_buses(network, buses, lagging_q_var(load_w, POWER_FACTOR)),
    )


def _figures(flow: PowerFlow) -> dict[str, float | int]:
    """What the grid went through in a day."""
    highest = int(flow.loading_percent.max(axis=0).argmax())
    import_mw = flow.p_external_mw.sum(axis=1)
    return {
        "snapshots": len(flow.converged),
        "vm_min_pu": float(np.nanmin(flow.vm_pu)),
        "vm_max_pu": float(np.nanmax(flow.vm_pu)),
        f"loading_max_percent {flow.branch_ids[highest]}": float(flow.loading_percent.max()),
        "load_net_kwh": float(flow.p_load_w.sum()) * HOURS_PER_SLOT / 1000,
        "losses_kwh": float(flow.losses_w.sum()) * HOURS_PER_SLOT / 1000,
        "import_max_kw": float(import_mw.max()) * 1000,
        "export_max_kw": float(-import_mw.min()) * 1000,
        "violations": len(violations(flow, GridLimits())),
    }


def _timed(model: GridModel, p_w: FloatArray, q_var: FloatArray) -> dict[str, float | int]:
    """One batch against one call of power-grid-model per snapshot, on a model made before."""
    count = len(p_w)
    sample = min(count, NAIVE_SNAPSHOTS)
    started = perf_counter()
    single = [
        model.solver.calculate_power_flow(
            update_data={
                "sym_load": {"p_specified": p_w[[row]], "q_specified": q_var[[row]]},
            },
            error_tolerance=TOLERANCE_PU,
        )["node"]["u_pu"][0, : p_w.shape[1]]
        for row in range(sample)
    ]
    baseline_s = (perf_counter() - started) * count / sample
    ours_s, voltages = _best(lambda: model.flow(p_w, q_var))
    cores = os.cpu_count() or 1
    threads_s, same = _best(lambda: model.flow(p_w, q_var, threads=cores))
    invariant(bool(np.array_equal(voltages, same)), "voltages depend on the number of threads")
    apart = float(np.abs(np.array(single) - voltages[:sample]).max())
    invariant(apart <= SAME_PU, f"a batch and single calls differ by {apart} pu")
    return {
        "snapshots": count,
        "ours_s": ours_s,
        "flows_per_s": count / ours_s,
        "threads": cores,
        "threads_s": threads_s,
        "threads_flows_per_s": count / threads_s,
        "baseline_s": baseline_s,
        "baseline_snapshots_timed": sample,
        "ratio": baseline_s / ours_s,
    }


def _pandapower(
    network: Network, flow: PowerFlow, p_w: FloatArray, q_var: FloatArray, rows: IntArray
) -> dict[str, float | int]:
    """Some snapshots in pandapower with its own settings, and how far its voltages are off."""
    pandapower: Any = importlib.import_module("pandapower")
    net = pandapower_net(network)
    apart = seconds = 0.0
    for number, row in enumerate((rows[0], *rows)):
        net.load["p_mw"], net.load["q_mvar"] = p_w[row] / 1e6, q_var[row] / 1e6
        started = perf_counter()
        pandapower.runpp(net)
        if number:  # the first call compiles
            seconds += perf_counter() - started
        apart = max(apart, float(np.nanmax(np.abs(net.res_bus.vm_pu - flow.vm_pu[row]))))
    invariant(apart <= AGREED_PU, f"voltages differ from pandapower's by {apart} pu")
    return {
        "pandapower_s": seconds,
        "pandapower_snapshots_timed": len(rows),
        "pandapower_apart_pu": apart,
    }


def pandapower_net(network: Network) -> Any:
    """The same network in pandapower, with one load of zero at each bus, in the order of buses.

    Networks without shunts, with transformers in the T circuit; what the built-in grid has.
    """
    pandapower: Any = importlib.import_module("pandapower")
    net = pandapower.create_empty_network(f_hz=network.frequency_hz)
    at = {
        bus.bus_id: pandapower.create_bus(net, bus.nominal_kv, in_service=bus.in_service)
        for bus in network.buses
    }
    for bus in network.buses:
        pandapower.create_load(net, at[bus.bus_id], 0.0)
    branches = {
        line.line_id: pandapower.create_line_from_parameters(
            net,
            at[line.from_bus],
            at[line.to_bus],
            line.length_km,
            line.r_ohm_per_km,
            line.x_ohm_per_km,
            line.c_nf_per_km,
            line.max_i_a / 1000,
            g_us_per_km=line.g_us_per_km,
            parallel=line.parallel,
            in_service=line.in_service,
        )
        for line in network.lines
    }
    for unit in network.transformers:
        branches[unit.transformer_id] = pandapower.create_transformer_from_parameters(
            net,
            at[unit.from_bus],
            at[unit.to_bus],
            unit.sn_mva,
            unit.from_kv,
            unit.to_kv,
            unit.vkr_percent,
            unit.vk_percent,
            unit.pfe_kw,
            unit.i0_percent,
            shift_degree=unit.shift_degree,
            tap_side="hv" if unit.tap_end == 1 else "lv",
            tap_neutral=unit.tap_neutral,
            tap_pos=unit.tap_position,
            tap_step_percent=unit.tap_step_percent,
            tap_changer_type="Ratio",
            parallel=unit.parallel,
            in_service=unit.in_service,
        )
    for grid in network.external_grids:
        pandapower.create_ext_grid(net, at[grid.bus], grid.vm_pu, grid.va_degree)
    kinds = {SwitchKind.BUS: "b", SwitchKind.LINE: "l", SwitchKind.TRANSFORMER: "t"}
    for switch in network.switches:
        of = at if switch.kind == SwitchKind.BUS else branches
        pandapower.create_switch(
            net, at[switch.bus], of[switch.element], kinds[switch.kind], closed=switch.closed
        )
    return net


def _best(solve: Callable[[], PowerFlow]) -> tuple[float, FloatArray]:
    """The least time of several solutions in seconds, and their voltages."""
    times: list[float] = []
    voltages = np.empty((0, 0))
    while len(times) < REPEATS_MIN or sum(times) < REPEAT_S:
        started = perf_counter()
        flow = solve()
        times.append(perf_counter() - started)
        voltages = flow.vm_pu
        del flow
    return min(times), voltages
