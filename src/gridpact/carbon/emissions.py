"""What a source emits per unit of energy: coal curves of thermal units, and published factors.

Masses are of CO2, or of CO2 equivalents where a factor says so. t/MWh is the same as kg/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridpact.model.carbon import FloatArray

CO2_PER_CARBON = 44 / 12
"""Mass of CO2 over that of the carbon in it."""
TJ_PER_MWH = 0.0036


@dataclass(frozen=True, slots=True)
class CoalCurve:
    """The power-energy-carbon curve of a thermal unit, with its correction factors.

    Source: [SUN23], eq. (20)-(21) of section 3.2, in the form of [WANG22].
    """

    a: float
    """t coal/MWh per MW."""
    b: float
    """t coal/MWh."""
    c: float
    """t coal/h, used up without load."""
    zeta: float = 1.0
    """Correction of the curve, > 0."""
    eta: float = 1.0
    """Carbon content of the coal, 0..1."""
    xi: float = 1.0
    """Share of the carbon that is oxidised, 0..1."""
    mu: float = 0.0
    """Share of the CO2 that is captured, 0..1."""

    def __post_init__(self) -> None:
        """Refuse values out of range, all at once.

        Raises:
            InputError: naming each.
        """
        problems = []
        for field in fields(self):
            value = getattr(self, field.name)
            high = 1.0 if field.name in {"eta", "xi", "mu"} else np.inf
            if not 0.0 <= value <= high or not np.isfinite(value):
                message = f"{value:g} is not allowed; allowed: 0 to {high:g}; correct it"
                problems.append(Problem(f"curve.{field.name}", message))
        if problems:
            raise InputError(problems)

    def coal_t_per_mwh(self, p_mw: FloatArray) -> FloatArray:
        """Coal per energy at a power; NaN for a unit that is off.

        (20) w = zeta (a P + b + c / P): the fuel rate a P^2 + b P + c, over P.
        """
        power = np.asarray(p_mw, dtype=np.float64)
        running = power > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            coal = self.zeta * (self.a * power + self.b + self.c / power)
        return np.where(running, coal, np.nan)

    def t_per_mwh(self, p_mw: FloatArray) -> FloatArray:
        """CO2 per energy at a power; NaN for a unit that is off.

        (21) e = 44/12 eta xi (1 - mu) w.
        """
        oxidised = CO2_PER_CARBON * self.eta * self.xi * (1.0 - self.mu)
        intensity: FloatArray = oxidised * self.coal_t_per_mwh(p_mw)
        return intensity


@dataclass(frozen=True, slots=True)
class Factor:
    """A published factor of one technology."""

    direct_t_per_mwh: float
    """What leaves the stack in operation."""
    lifecycle_t_per_mwh: float
    """With building, fuel supply and methane, in CO2 equivalents."""
    source: str
    """Key in `docs/sources.md`, with the table."""


_AR5 = "[IPCC14], annex III, table A.III.2, median"
_NO_STACK = f"{_AR5}; direct: 0, [SUN23], eq. (22)"

FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        "coal": Factor(0.760, 0.820, _AR5),
        "gas-combined-cycle": Factor(0.370, 0.490, _AR5),
        "hydro": Factor(0.0, 0.024, _NO_STACK),
        "nuclear": Factor(0.0, 0.012, f"{_AR5}; direct: 0, by definition"),
        "pv-rooftop": Factor(0.0, 0.041, _NO_STACK),
        "pv-utility": Factor(0.0, 0.048, _NO_STACK),
        "wind-onshore": Factor(0.0, 0.011, _NO_STACK),
        "wind-offshore": Factor(0.0, 0.012, _NO_STACK),
    }
)
"""By technology. Medians of the literature, not of any one plant: give a plant's own value where it
is known. Biomass is left out, as its factor is a matter of accounting."""

FUEL_KG_PER_TJ: Mapping[str, float] = MappingProxyType(
    {
        "anthracite": 98_300.0,
        "bituminous-coal": 94_600.0,
        "sub-bituminous-coal": 96_100.0,
        "lignite": 101_000.0,
        "natural-gas": 56_100.0,
        "diesel-oil": 74_100.0,
        "fuel-oil": 77_400.0,
        "peat": 106_000.0,
    }
)
"""CO2 of burning a fuel, by its net heating value. Source: [IPCC06], volume 2, table 2.2."""


def fuel_t_per_mwh(fuel: str, efficiency: float) -> float:
    """CO2 per electric energy of a plant that burns one fuel.

    Args:
        fuel: a key of `FUEL_KG_PER_TJ`.
        efficiency: electric, net, by net heating value; above 0 and up to 1.

    Raises:
        InputError: an unknown fuel, or an efficiency out of range.

    >>> round(fuel_t_per_mwh("natural-gas", 0.58), 6)
    0.348207
    """
    if fuel not in FUEL_KG_PER_TJ:
        message = f"{fuel!r} is not known; allowed: {', '.join(FUEL_KG_PER_TJ)}"
        raise InputError([Problem("fuel", message)])
    if not 0.0 < efficiency <= 1.0:
        message = f"{efficiency:g} is not allowed; allowed: above 0 and up to 1; 40 % is 0.4"
        raise InputError([Problem("efficiency", message)])
    return FUEL_KG_PER_TJ[fuel] * TJ_PER_MWH / 1000 / efficiency
