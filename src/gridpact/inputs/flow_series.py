"""Snapshots to trace, from whatever they come: one form for files, networks and arrays.

Intensities are completed on the way: by source or kind, and by the imports' file over time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import FACTORS
from gridpact.errors import InputError, Problem
from gridpact.inputs.solved_flow_elements import T_PER_MWH_MAX
from gridpact.inputs.tables import closest, shown
from gridpact.model.carbon import FlowToTrace, SourceKind

if TYPE_CHECKING:
    from gridpact.carbon import Store
    from gridpact.inputs.solved_flow_imports import ImportIntensity
    from gridpact.model.carbon import FloatArray, FlowNetwork

WORDS = {"import": SourceKind.IMPORT, "generation": SourceKind.GENERATION}
"""Names that stand for all sources of a kind."""


@dataclass(frozen=True, slots=True)
class Intensities:
    """What is said about sources beside their file."""

    factors: Mapping[str, tuple[float, float]]
    """Lowest and highest t/MWh by source id, or by `import` and `generation`. They go before what
    a file of flows says."""
    imports: ImportIntensity | None = None
    """Of all imports, over time; it goes before `factors["import"]`, a source's own factor before
    it."""


@dataclass(frozen=True, slots=True)
class FlowSeries:
    """Snapshots of one network, part by part."""

    network: FlowNetwork
    stores: tuple[Store, ...]
    """As they are before the first snapshot."""
    hours: float
    """Length of each snapshot."""
    many: bool
    """Whether it is a file of snapshots, if only one of them; not a single flow."""
    parts: Iterator[FlowToTrace]
    """To be gone through once."""


def completed(
    parts: Iterator[FlowToTrace], stores: tuple[Store, ...], intensities: Intensities
) -> Iterator[FlowToTrace]:
    """The parts with the intensities of all sources that are on.

    Raises:
        InputError: factors without a source, sources without a factor, times that the imports'
            file does not have.
    """
    for part in parts:
        yield _completed(part, {store.store_id for store in stores}, intensities)


def _completed(part: FlowToTrace, stored: set[str], intensities: Intensities) -> FlowToTrace:
    """Each source by its own factor, that of its kind, or the file's."""
    network = part.flow.network
    low, high = part.low_t_per_mwh.copy(), part.high_t_per_mwh.copy()
    factors: dict[str, tuple[FloatArray | float, FloatArray | float]] = {**intensities.factors}
    if intensities.imports is not None:
        over_time = _import_intensity(part, intensities.imports)
        factors["import"] = over_time, over_time
    used = set()
    for place, (name, kind) in enumerate(
        zip(network.source_ids, network.source_kind.tolist(), strict=True)
    ):
        words = [name, *(word for word, meant in WORDS.items() if meant == kind)]
        chosen = next((word for word in words if word in factors), None)
        if chosen is not None and name not in stored:
            used.add(chosen)
            low[:, place], high[:, place] = factors[chosen]
    known = [*WORDS, *(name for name in network.source_ids if name not in stored)]
    problems = [
        Problem(f"--factor {name}", _unused(name, known, stored))
        for name in factors
        if name not in used and name not in WORDS
    ]
    on = (part.flow.p_source_mw > 0.0) & np.isnan(low)
    for place in np.flatnonzero(on.any(axis=0)).tolist():
        if network.source_ids[place] in stored:
            continue
        kind = "import" if network.source_kind[place] == SourceKind.IMPORT else "generation"
        message = f"has no intensity; give it, as in --factor {kind}=0.4, in t/MWh"
        problems.append(Problem(f"source {network.source_ids[place]}", message))
    if problems:
        raise InputError(problems)
    return replace(part, low_t_per_mwh=low, high_t_per_mwh=high)


def _unused(name: str, known: list[str], stored: set[str]) -> str:
    if name in stored:
        return "names a store, which has an intensity of its own; leave it out"
    return f"names no source here{closest(name, known)}; leave it out"


def _import_intensity(part: FlowToTrace, imports: ImportIntensity) -> FloatArray:
    if part.start_s is None:
        message = "needs --at, the start of the snapshot; give both"
        raise InputError([Problem("--imports", message)])
    return imports.t_per_mwh(part.start_s.tolist())


def parse_factor(text: str) -> tuple[str, tuple[float, float]]:
    """`ID=VALUE`, where VALUE is t/MWh, LOW..HIGH or a technology, as a name and an interval.

    Raises:
        InputError: another shape, an unknown technology, a number out of range.

    >>> parse_factor("import=0.3..0.45")
    ('import', (0.3, 0.45))
    """
    name, sign, value = text.rpartition("=")
    where = f"--factor {text}"
    if not sign or not name:
        raise InputError([Problem(where, "allowed: ID=VALUE, as in import=0.4")])
    if value in FACTORS:
        return name, technology_factor(value, where)
    try:
        numbers = [float(part) for part in value.split("..")]
    except ValueError:
        return name, technology_factor(value, where)
    if len(numbers) > 2:
        message = f"{shown(value)} is not allowed; allowed: VALUE or LOW..HIGH"
        raise InputError([Problem(where, f"{message}, as in 0.3..0.45")])
    return name, checked_interval(numbers[0], numbers[-1], where)


def technology_factor(name: str, where: str) -> tuple[float, float]:
    """What a technology emits directly, as an interval.

    Raises:
        InputError: it is not known.
    """
    if name not in FACTORS:
        message = f"{shown(name)} is no number and no technology{closest(name, FACTORS)}"
        raise InputError([Problem(where, f"{message}; allowed: {', '.join(FACTORS)}")])
    direct = FACTORS[name].direct_t_per_mwh
    return direct, direct


def checked_interval(low: float, high: float, where: str) -> tuple[float, float]:
    """An interval of t/MWh.

    Raises:
        InputError: it is out of range, or upside down.
    """
    if not 0.0 <= low <= high <= T_PER_MWH_MAX:
        message = f"{low:g}..{high:g} is not allowed; allowed: VALUE or LOW..HIGH from 0 to"
        raise InputError([Problem(where, f"{message} {T_PER_MWH_MAX:g} t/MWh")])
    return low, high
