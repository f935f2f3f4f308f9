"""Whether the parts of a network fit together; the values of single rows are checked by `rows`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from gridpact.grid.rows import closest
from gridpact.grid.topology import topology_of
from gridpact.model.grid import SwitchKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridpact.grid.rows import Source
    from gridpact.model.grid import Line, Network, Transformer

IMPEDANCE_MIN_OHM = 1e-6
"""Smallest series impedance of a line that is one: about 5 mm of cable. Less is a slip or a switch,
and drowns in rounding: with every second of 300 lines at 1e-7 ohm the solver finds nothing."""
NOMINAL_TOLERANCE = 1e-9
"""Relative difference up to which two nominal voltages are the same number."""


def check_network(network: Network, source: Source) -> None:
    """Note everything that does not fit, and stop when there is anything.

    Raises:
        InputError: all problems so far, those of the rows included.
    """
    _check_ids(network, source)
    buses = {bus.bus_id for bus in network.buses}
    if not buses and source.buses_complete:
        source.add(source.reference, "has no bus; add at least one")
    if source.buses_complete:
        _check_buses_known(network, buses, source)
    for line in network.lines:
        _check_line(line, source)
    for transformer in network.transformers:
        _check_transformer(transformer, source)
    _check_switches(network, buses, source)
    if not any(grid.in_service for grid in network.external_grids):
        source.add(
            source.reference,
            "has no external grid in service, so nothing holds the voltage; add one",
        )
    source.stop()
    _check_voltages(network, source)
    source.stop()
    _check_busbars(network, source)
    source.stop()


def _check_ids(network: Network, source: Source) -> None:
    """No id twice; lines and transformers share one set of ids, as both are branches."""
    kinds: dict[str, Iterable[str]] = {
        "bus": (bus.bus_id for bus in network.buses),
        "branch": (
            *(line.line_id for line in network.lines),
            *(transformer.transformer_id for transformer in network.transformers),
        ),
        "external grid": (grid.external_grid_id for grid in network.external_grids),
        "switch": (switch.switch_id for switch in network.switches),
        "shunt": (shunt.shunt_id for shunt in network.shunts),
        "load or generator": (load.load_id for load in network.loads),
    }
    for kind, ids in kinds.items():
        for name, count in Counter(ids).items():
            if name and count > 1:
                source.add(
                    f"{source.reference}: {kind} {name}",
                    f"occurs {count} times; ids must be unique: rename all but one",
                )


def _check_buses_known(network: Network, buses: set[str], source: Source) -> None:
    """Every bus that an element names exists."""
    named = [
        *((f"line {line.line_id}", bus) for line in network.lines for bus in _ends(line)),
        *(
            (f"transformer {transformer.transformer_id}", bus)
            for transformer in network.transformers
            for bus in _ends(transformer)
        ),
        *((f"external grid {grid.external_grid_id}", grid.bus) for grid in network.external_grids),
        *((f"switch {switch.switch_id}", switch.bus) for switch in network.switches),
        *(
            (f"switch {switch.switch_id}", switch.element)
            for switch in network.switches
            if switch.kind == SwitchKind.BUS
        ),
        *((f"shunt {shunt.shunt_id}", shunt.bus) for shunt in network.shunts),
        *((f"load {load.load_id}", load.bus) for load in network.loads),
    ]
    for element, bus in named:
        if bus and bus not in buses:
            hint = closest(bus, buses) or "; correct it, or add the bus"
            source.add(f"{source.reference}: {element}", f"bus {bus!r} does not exist{hint}")


def _ends(branch: Line | Transformer) -> tuple[str, str]:
    return branch.from_bus, branch.to_bus


def _check_line(line: Line, source: Source) -> None:
    where = f"{source.reference}: line {line.line_id}"
    if line.from_bus == line.to_bus:
        source.add(where, f"begins and ends at bus {line.from_bus}; correct one end, or remove it")
    each_ohm = np.hypot(line.r_ohm_per_km, line.x_ohm_per_km)
    impedance_ohm = float(each_ohm * line.length_km / max(1, line.parallel))
    if line.in_service and 0 <= impedance_ohm < IMPEDANCE_MIN_OHM:
        source.add(
            where,
            f"has an impedance of {impedance_ohm:g} ohm; allowed: at least "
            f"{IMPEDANCE_MIN_OHM:g} ohm; give its length and its r and x per km, or replace it by "
            "a closed switch between the two buses",
        )


def _check_transformer(transformer: Transformer, source: Source) -> None:
    where = f"{source.reference}: transformer {transformer.transformer_id}"
    if transformer.from_bus == transformer.to_bus:
        source.add(where, f"has both windings at bus {transformer.from_bus}; correct one")
    if transformer.vkr_percent > transformer.vk_percent:
        source.add(
            where,
            f"vkr_percent = {transformer.vkr_percent:g} is the real part of vk_percent = "
            f"{transformer.vk_percent:g} and cannot be larger; correct one of them",
        )
    steps = transformer.tap_position - transformer.tap_neutral
    if 1 + steps * transformer.tap_step_percent / 100 <= 0:
        source.add(
            where,
            f"tap position {transformer.tap_position} at {transformer.tap_step_percent:g} % a step "
            "leaves no voltage; correct tap_pos, tap_neutral or tap_step_percent",
        )


def _check_switches(network: Network, buses: set[str], source: Source) -> None:
    ends = {
        SwitchKind.LINE: {line.line_id: _ends(line) for line in network.lines},
        SwitchKind.TRANSFORMER: {
            transformer.transformer_id: _ends(transformer) for transformer in network.transformers
        },
    }
    for switch in network.switches:
        where = f"{source.reference}: switch {switch.switch_id}"
        if switch.kind == SwitchKind.BUS:
            if switch.bus == switch.element and switch.bus in buses:
                source.add(where, f"joins bus {switch.bus} with itself; correct one, or remove it")
            continue
        kind, known = switch.kind.name.lower(), ends[switch.kind]
        if switch.element and switch.element not in known:
            hint = closest(switch.element, known) or "; correct it"
            source.add(where, f"{kind} {switch.element!r} does not exist{hint}")
        elif switch.bus in buses and switch.bus not in known.get(switch.element, buses):
            first, second = known[switch.element]
            source.add(
                where,
                f"bus {switch.bus} is no end of {kind} {switch.element}; allowed: {first} or "
                f"{second}; correct it",
            )


def _check_voltages(network: Network, source: Source) -> None:
    """Lines and closed switches join equal nominal voltages only."""
    nominal_kv = {bus.bus_id: bus.nominal_kv for bus in network.buses}
    joins = [
        *((f"line {line.line_id}", *_ends(line)) for line in network.lines),
        *(
            (f"switch {switch.switch_id}", switch.bus, switch.element)
            for switch in network.switches
            if switch.kind == SwitchKind.BUS and switch.closed
        ),
    ]
    for element, one, other in joins:
        if abs(nominal_kv[one] - nominal_kv[other]) > NOMINAL_TOLERANCE * nominal_kv[one]:
            source.add(
                f"{source.reference}: {element}",
                f"joins bus {one} of {nominal_kv[one]:g} kV with bus {other} of "
                f"{nominal_kv[other]:g} kV; only a transformer may; correct a bus or the voltage",
            )


def _check_busbars(network: Network, source: Source) -> None:
    """What closed switches must not bypass: transformers, and sources that disagree."""
    topology = topology_of(network)
    first = len(network.lines)
    for index, transformer in enumerate(network.transformers, start=first):
        ends = topology.busbar[[topology.from_bus[index], topology.to_bus[index]]]
        if topology.from_closed[index] and topology.to_closed[index] and ends[0] == ends[1]:
            source.add(
                f"{source.reference}: transformer {transformer.transformer_id}",
                "closed switches join both of its sides; open one of them",
            )
    if not topology.supplied.any():
        source.add(
            source.reference,
            "every external grid is at a bus out of service, so nothing holds the voltage; put "
            "one of these buses into service",
        )
    position = {bus.bus_id: index for index, bus in enumerate(network.buses)}
    held: dict[int, tuple[str, float, float]] = {}
    for grid in network.external_grids:
        if not grid.in_service or np.isfinite(grid.short_circuit_mva):
            continue
        busbar = int(topology.busbar[position[grid.bus]])
        other, *voltage = held.setdefault(
            busbar, (grid.external_grid_id, grid.vm_pu, grid.va_degree)
        )
        if voltage != [grid.vm_pu, grid.va_degree]:
            source.add(
                f"{source.reference}: external grid {grid.external_grid_id}",
                f"holds {grid.vm_pu:g} pu at {grid.va_degree:g} degrees where external grid "
                f"{other} holds {voltage[0]:g} pu at {voltage[1]:g} degrees; make them equal, or "
                "give their short-circuit power",
            )
