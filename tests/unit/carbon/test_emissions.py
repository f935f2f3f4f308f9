"""Emission factors and coal curves; their figures are in tests/papers."""

from __future__ import annotations

import numpy as np
import pytest

from gridpact.carbon import FACTORS, CoalCurve, fuel_t_per_mwh
from gridpact.carbon.emissions import FUEL_KG_PER_TJ
from gridpact.errors import InputError


def test_a_unit_that_is_off_has_no_intensity() -> None:
    curve = CoalCurve(a=0.001, b=0.1, c=4.0)
    found = curve.t_per_mwh(np.array([0.0, 100.0]))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(44 / 12 * (0.1 + 0.1 + 0.04), rel=1e-15)


def test_curve_is_the_fuel_rate_over_the_power() -> None:
    """Twice the carbon captured, half the carbon left; the fuel stays."""
    plain = CoalCurve(a=0.002, b=0.2, c=3.0, zeta=1.1, eta=0.7, xi=0.9)
    captured = CoalCurve(a=0.002, b=0.2, c=3.0, zeta=1.1, eta=0.7, xi=0.9, mu=0.5)
    p = np.array([50.0])
    rate = 1.1 * (0.002 * 50**2 + 0.2 * 50 + 3.0)
    assert plain.coal_t_per_mwh(p) * 50 == pytest.approx(rate, rel=1e-14)
    assert captured.coal_t_per_mwh(p) == plain.coal_t_per_mwh(p)
    assert captured.t_per_mwh(p) == pytest.approx(plain.t_per_mwh(p) / 2, rel=1e-14)
    assert plain.t_per_mwh(p) * 50 == pytest.approx(44 / 12 * 0.7 * 0.9 * rate, rel=1e-14)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a": -1.0, "mu": 1.5}, r"curve\.a: -1 is not allowed.*\n.*curve\.mu: 1\.5"),
        ({"eta": np.nan}, r"curve\.eta: nan"),
        ({"c": np.inf}, r"curve\.c: inf"),
    ],
)
def test_curves_out_of_range(values: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CoalCurve(**{"a": 0.001, "b": 0.1, "c": 4.0, **values})


def test_factors_are_published_ones() -> None:
    for name, factor in FACTORS.items():
        assert 0.0 <= factor.direct_t_per_mwh < factor.lifecycle_t_per_mwh < 1.0, name
        assert factor.source.startswith("[IPCC14]")
    assert FACTORS["gas-combined-cycle"].direct_t_per_mwh == 0.370


def test_factors_are_those_of_the_table() -> None:
    """Direct and life cycle, g/kWh. Source: [IPCC14], table A.III.2, medians; direct 0 is ours."""
    found = {
        name: (round(1000 * factor.direct_t_per_mwh), round(1000 * factor.lifecycle_t_per_mwh))
        for name, factor in FACTORS.items()
    }
    assert found == {
        "coal": (760, 820),
        "gas-combined-cycle": (370, 490),
        "hydro": (0, 24),
        "nuclear": (0, 12),
        "pv-rooftop": (0, 41),
        "pv-utility": (0, 48),
        "wind-onshore": (0, 11),
        "wind-offshore": (0, 12),
    }


def test_fuels_are_those_of_the_table() -> None:
    """kg of CO2 per TJ of net heating value. Source: [IPCC06], volume 2, table 2.2, defaults."""
    assert dict(FUEL_KG_PER_TJ) == {
        "anthracite": 98_300,
        "bituminous-coal": 94_600,
        "sub-bituminous-coal": 96_100,
        "lignite": 101_000,
        "natural-gas": 56_100,
        "diesel-oil": 74_100,
        "fuel-oil": 77_400,
        "peat": 106_000,
    }


def test_fuels() -> None:
    assert fuel_t_per_mwh("bituminous-coal", 0.4) == pytest.approx(0.8514, rel=1e-12)
    with pytest.raises(InputError, match="'wood' is not known"):
        fuel_t_per_mwh("wood", 0.3)
    for efficiency in (0.0, 58.0, np.nan):
        with pytest.raises(InputError, match="above 0 and up to 1"):
            fuel_t_per_mwh("lignite", efficiency)
