"""Small solved flows, random ones that balance, and the equations of the extended network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridpact.model.carbon import FlowNetwork, LoadKind, SolvedFlow, SourceKind

Branch = tuple[str, str, float, float]
"""From-bus, to-bus, power into the branch at each end."""


def solved(
    branches: Sequence[Branch],
    sources: Sequence[tuple[str, str, float]],
    loads: Sequence[tuple[str, str, float]],
    buses: Sequence[str] = (),
    kinds: dict[str, SourceKind | LoadKind] | None = None,
) -> SolvedFlow:
    """One snapshot. Sources and loads are (id, bus, MW)."""
    kinds = kinds or {}
    ends = [name for a, b, *_ in branches for name in (a, b)]
    names = list(dict.fromkeys([*buses, *ends, *(bus for _, bus, _ in [*sources, *loads])]))
    at = {name: i for i, name in enumerate(names)}

    def whole(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    network = FlowNetwork(
        bus_ids=tuple(names),
        branch_ids=tuple(f"{a}-{b}-{i}" for i, (a, b, *_) in enumerate(branches)),
        from_bus=whole([at[a] for a, *_ in branches]),
        to_bus=whole([at[b] for _, b, *_ in branches]),
        source_ids=tuple(name for name, *_ in sources),
        source_bus=whole([at[bus] for _, bus, _ in sources]),
        source_kind=whole([kinds.get(s[0], SourceKind.GENERATION) for s in sources]),
        load_ids=tuple(name for name, *_ in loads),
        load_bus=whole([at[bus] for _, bus, _ in loads]),
        load_kind=whole([kinds.get(k[0], LoadKind.CONSUMPTION) for k in loads]),
    )

    def row(values: list[float]) -> np.ndarray:
        return np.array(values, dtype=np.float64).reshape(1, -1)

    return SolvedFlow(
        network,
        row([p for *_, p in sources]),
        row([p for *_, p in loads]),
        row([p for _, _, p, _ in branches]),
        row([p for *_, p in branches]),
    )


def stacked(flows: Sequence[SolvedFlow]) -> SolvedFlow:
    """Snapshots of one network, one after the other."""
    return SolvedFlow(
        flows[0].network,
        np.concatenate([flow.p_source_mw for flow in flows]),
        np.concatenate([flow.p_load_mw for flow in flows]),
        np.concatenate([flow.p_from_mw for flow in flows]),
        np.concatenate([flow.p_to_mw for flow in flows]),
    )


def random_flow(
    seed: int, buses: int, branches: int, *, radial: bool = False, acyclic: bool = False
) -> SolvedFlow:
    """A balanced snapshot with losses. Branches get any flow; each bus then gets the sources or
    loads that make it balance, so that flows go in rings too unless `acyclic`."""
    chance = np.random.default_rng(seed)
    number = np.arange(1, buses)
    other = (chance.random(buses - 1) * number).astype(np.int64)
    from_bus, to_bus = number, other
    if not radial:
        extra = chance.integers(0, buses, (2, branches))
        extra = extra[:, extra[0] != extra[1]]
        from_bus, to_bus = np.concatenate([number, extra[0]]), np.concatenate([other, extra[1]])
    sent = chance.uniform(1.0, 10.0, len(from_bus))
    got = sent * chance.uniform(0.9, 1.0, len(from_bus))
    forward = from_bus > to_bus if acyclic else chance.random(len(from_bus)) < 0.5
    p_from = np.where(forward, sent, -got)
    p_to = np.where(forward, -got, sent)
    dead = chance.random(len(from_bus)) < 0.05
    p_from[dead] = p_to[dead] = 0.0
    both = chance.random(len(from_bus)) < 0.05
    p_from[both], p_to[both] = 0.3, 0.2
    need = np.zeros(buses)
    np.add.at(need, from_bus, p_from)
    np.add.at(need, to_bus, p_to)
    through = chance.uniform(0.0, 5.0, buses) * (chance.random(buses) < 0.7)
    p_source = np.clip(need, 0.0, None) + through
    p_load = np.clip(-need, 0.0, None) + through
    first = 0.3 * p_source
    every = np.arange(buses)
    network = FlowNetwork(
        bus_ids=tuple(f"b{i}" for i in every),
        branch_ids=tuple(f"l{i}" for i in range(len(from_bus))),
        from_bus=from_bus.astype(np.int64),
        to_bus=to_bus.astype(np.int64),
        source_ids=tuple(f"{kind}{i}" for kind in "gh" for i in every),
        source_bus=np.concatenate([every, every]),
        source_kind=np.full(2 * buses, int(SourceKind.GENERATION)),
        load_ids=tuple(f"d{i}" for i in every),
        load_bus=every,
        load_kind=np.full(buses, int(LoadKind.CONSUMPTION)),
    )
    return SolvedFlow(
        network,
        np.concatenate([first, p_source - first])[None, :],
        p_load[None, :],
        p_from[None, :],
        p_to[None, :],
    )


def dense(flow: SolvedFlow, snapshot: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X of the extended network by a dense solve: A_u X = B with a virtual node per branch.

    Returns:
        power through each of the (buses + branches) nodes; shape (nodes, sources), MW of each
        source through each. Rows of nodes where nothing flows are 0.

    Source: [SUN23], section 3.1, as [WANG22] has it: A_u = I - F diag(1 / P).
    """
    network = flow.network
    buses = len(network.bus_ids)
    nodes = buses + len(network.branch_ids)
    feeds = np.zeros((nodes, nodes))
    for branch, (i, j) in enumerate(zip(network.from_bus, network.to_bus, strict=True)):
        for bus, p in ((i, flow.p_from_mw[snapshot, branch]), (j, flow.p_to_mw[snapshot, branch])):
            if p > 0:
                feeds[buses + branch, bus] += p
            else:
                feeds[bus, buses + branch] -= p
    brought = np.zeros((nodes, len(network.source_ids)))
    columns = np.arange(len(network.source_ids))
    brought[network.source_bus, columns] = flow.p_source_mw[snapshot]
    through = brought.sum(axis=1) + feeds.sum(axis=1)
    share = np.divide(feeds, through, out=np.zeros_like(feeds), where=through > 0)
    return through, np.linalg.solve(np.eye(nodes) - share, brought)
