"""The SimBench grid that ships with the package: who is connected where, and a year of profiles.

Origin, units and licence are in `data/lv_rural2/README.md` and `NOTICE`. Nothing here needs the
`simbench` package.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from gridpact.errors import invariant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

    from gridpact.quantize import IntArray

REFERENCE = "simbench:1-LV-rural2--0-sw"
"""How scenarios name this network."""
START_S = 1451602800
"""2016-01-01 00:00 in Germany: first instant of the profiles."""
INTERVAL_S = 900
INTERVALS = 366 * 96
END_S = START_S + INTERVALS * INTERVAL_S
"""End of the last interval."""
PROFILE_FILE = "profiles.npz"
PPM_SECONDS_PER_WH = 10**6 * 3600
"""W x ppm x s in one Wh."""


@dataclass(frozen=True, slots=True)
class GridUnit:
    """A load or a PV plant of the grid."""

    name: str
    bus: str
    nominal_w: int
    """What a profile value of one means."""
    profile: str
    """Column of the profiles."""


def folder() -> Traversable:
    """Where the package keeps the grid."""
    return resources.files("gridpact").joinpath("data", "lv_rural2")


@cache
def grid_loads() -> dict[str, GridUnit]:
    """All loads by name, in the order of their SimBench numbers."""
    return _units("loads.csv", "load")


@cache
def grid_generators() -> dict[str, GridUnit]:
    """All PV plants by name, in the order of their SimBench numbers."""
    return _units("generators.csv", "generator")


@cache
def grid_buses() -> frozenset[str]:
    """The names of all buses."""
    return frozenset(row["bus"] for row in _table("buses.csv"))


def owner_of_generator() -> dict[str, str]:
    """For each PV plant the load behind whose meter it is.

    SimBench places plants at buses and does not say whose they are. Ours: the household (profile
    H0) with the smallest number at the plant's bus. In this grid every plant's bus has one.
    """
    owners: dict[str, str] = {}
    for plant in grid_generators().values():
        households = [
            load.name
            for load in grid_loads().values()
            if load.bus == plant.bus and load.profile.startswith("H0")
        ]
        invariant(bool(households), f"{plant.name} at {plant.bus} has no household")
        invariant(households[0] not in owners.values(), f"{households[0]} would own two plants")
        owners[plant.name] = households[0]
    return owners


def _units(file: str, kind: str) -> dict[str, GridUnit]:
    units = [GridUnit(r[kind], r["bus"], int(r["p_w"]), r["profile"]) for r in _table(file)]
    return {unit.name: unit for unit in units}


def _table(file: str) -> list[dict[str, str]]:
    text = folder().joinpath(file).read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def read_profiles() -> tuple[dict[str, IntArray], str]:
    """The active power of all profile types in millionths of nominal, and the file's SHA-256.

    Returns:
        per profile name an array of shape (INTERVALS,), and 64 hexadecimal digits.
    """
    import numpy as np

    data = folder().joinpath(PROFILE_FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        invariant(
            int(arrays["start_s"]) == START_S and int(arrays["interval_s"]) == INTERVAL_S,
            f"{PROFILE_FILE} does not begin and step as this module says",
        )
        profiles = {
            str(name): row.astype(np.int64)
            for names, table in (("load_profiles", "load_p_ppm"), ("pv_profiles", "pv_p_ppm"))
            for name, row in zip(arrays[names], arrays[table], strict=True)
        }
    invariant(
        all(row.shape == (INTERVALS,) for row in profiles.values()),
        f"{PROFILE_FILE} does not hold {INTERVALS} intervals",
    )
    return profiles, hashlib.sha256(data).hexdigest()


def energy_wh(nominal_w: Sequence[int], share_ppm: IntArray) -> IntArray:
    """Energy of each interval in Wh, rounded down: nominal x share x 900 s / (10^6 x 3600 s).

    Args:
        nominal_w: of M units, each below 2^31.
        share_ppm: shape (M, intervals), below 2^31, so the product stays below 2^62; the factor of
            time is cancelled against the denominator, which it divides.
    """
    import numpy as np

    nominal = np.asarray(nominal_w, dtype=np.int64)[:, np.newaxis]
    return nominal * share_ppm // (PPM_SECONDS_PER_WH // INTERVAL_S)
