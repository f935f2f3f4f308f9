"""What substations know of a flow, packaged and encrypted to the grid company.

A substation packages what lies at its own buses and the branches that begin there; the grid company
puts all packages together again. Nobody else can read them, and the ledger has their hashes.

Source: [SUN23], section 3.1: functional nodes package load, P and Q, topology, r and x of their own
part, security nodes encrypt the exchange. Ours: sealed boxes of libsodium; what is packaged is a
solved flow, so it has the active power at both ends of each branch in place of Q, r and x.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from nacl.bindings import (
    crypto_box_seal,
    crypto_box_seal_open,
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
)

from gridpact.errors import InputError, Problem
from gridpact.model.carbon import FlowNetwork, SolvedFlow

if TYPE_CHECKING:
    from collections.abc import Sequence


class BusPackage(msgspec.Struct, frozen=True):
    """One bus with what is connected there; powers in MW."""

    bus: str
    sources: list[tuple[str, int, float, float]]
    """(id, `SourceKind`, MW, t/MWh)."""
    loads: list[tuple[str, int, float]]
    """(id, `LoadKind`, MW)."""
    branches: list[tuple[str, str, float, float]]
    """(id, bus at the other end, MW into the branch here, MW into it there)."""


class Package(msgspec.Struct, frozen=True):
    """Everything that one substation knows."""

    substation: str
    buses: list[BusPackage]


def parts_of(network: FlowNetwork, count: int) -> list[list[int]]:
    """A network in parts of about the same size, as positions of buses.

    Parts grow breadth first from the first bus that is left, so each is connected as long as what
    is left is.

    Raises:
        InputError: fewer buses than parts.
    """
    buses = len(network.bus_ids)
    if not 1 <= count <= buses:
        message = f"{count} is not allowed for {buses} buses; allowed: 1 to {buses}"
        raise InputError([Problem("--substations", message)])
    neighbours: list[list[int]] = [[] for _ in range(buses)]
    for one, other in zip(network.from_bus.tolist(), network.to_bus.tolist(), strict=True):
        neighbours[one].append(other)
        neighbours[other].append(one)
    left = dict.fromkeys(range(buses))
    parts: list[list[int]] = []
    for number in range(count):
        size = -(-len(left) // (count - number))
        part: list[int] = []
        queue: deque[int] = deque()
        while len(part) < size:
            if not queue:
                queue.append(next(iter(left)))
            bus = queue.popleft()
            if bus not in left:
                continue
            del left[bus]
            part.append(bus)
            queue.extend(other for other in neighbours[bus] if other in left)
        parts.append(sorted(part))
    return parts


def packages_of(
    flow: SolvedFlow, t_per_mwh: Sequence[float], stations: Sequence[str], parts: list[list[int]]
) -> list[Package]:
    """What each substation packages of the first snapshot.

    Args:
        flow: solved.
        t_per_mwh: by source; any number for what is off.
        stations: names.
        parts: of each, positions of its buses.
    """
    network, rows = flow.network, {}
    for place, name in enumerate(network.bus_ids):
        rows[place] = BusPackage(name, [], [], [])
    for i, name in enumerate(network.source_ids):
        kind, p_mw = int(network.source_kind[i]), float(flow.p_source_mw[0, i])
        rows[int(network.source_bus[i])].sources.append((name, kind, p_mw, t_per_mwh[i]))
    for i, name in enumerate(network.load_ids):
        kind, p_mw = int(network.load_kind[i]), float(flow.p_load_mw[0, i])
        rows[int(network.load_bus[i])].loads.append((name, kind, p_mw))
    for i, name in enumerate(network.branch_ids):
        far = network.bus_ids[int(network.to_bus[i])]
        ends = float(flow.p_from_mw[0, i]), float(flow.p_to_mw[0, i])
        rows[int(network.from_bus[i])].branches.append((name, far, *ends))
    return [
        Package(station, [rows[place] for place in part])
        for station, part in zip(stations, parts, strict=True)
    ]


def joined(packages: Sequence[Package]) -> tuple[SolvedFlow, list[float]]:
    """The flow of all packages together, and the intensity of each source, t/MWh."""
    buses = [bus for package in packages for bus in package.buses]
    at = {bus.bus: place for place, bus in enumerate(buses)}
    sources = [(at[bus.bus], *source) for bus in buses for source in bus.sources]
    loads = [(at[bus.bus], *load) for bus in buses for load in bus.loads]
    branches = [(at[bus.bus], *branch) for bus in buses for branch in bus.branches]
    network = FlowNetwork(
        bus_ids=tuple(at),
        branch_ids=tuple(branch[1] for branch in branches),
        from_bus=np.array([branch[0] for branch in branches], dtype=np.int64),
        to_bus=np.array([at[branch[2]] for branch in branches], dtype=np.int64),
        source_ids=tuple(source[1] for source in sources),
        source_bus=np.array([source[0] for source in sources], dtype=np.int64),
        source_kind=np.array([source[2] for source in sources], dtype=np.int64),
        load_ids=tuple(load[1] for load in loads),
        load_bus=np.array([load[0] for load in loads], dtype=np.int64),
        load_kind=np.array([load[2] for load in loads], dtype=np.int64),
    )
    flow = SolvedFlow(
        network,
        np.array([[source[3] for source in sources]], dtype=np.float64),
        np.array([[load[3] for load in loads]], dtype=np.float64),
        np.array([[branch[3] for branch in branches]], dtype=np.float64),
        np.array([[branch[4] for branch in branches]], dtype=np.float64),
    )
    return flow, [source[4] for source in sources]


def sealed_to(public_key: bytes, value: msgspec.Struct) -> bytes:
    """JSON of a value that only the owner of an Ed25519 key can read."""
    key = crypto_sign_ed25519_pk_to_curve25519(public_key)
    return crypto_box_seal(msgspec.json.encode(value), key)


def opened_package(box: bytes, public_key: bytes, signing_key: bytes) -> Package:
    """The package in a box, with the keys of its owner."""
    public = crypto_sign_ed25519_pk_to_curve25519(public_key)
    private = crypto_sign_ed25519_sk_to_curve25519(signing_key)
    return msgspec.json.decode(crypto_box_seal_open(box, public, private), type=Package)
