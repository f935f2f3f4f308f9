"""Masks of coal curves: a provider works out coal and carbon per energy without a, b and c.

    K' = diag(s) K Q,  T' = Q^-1 T,  zeta' = sz zeta,  theta' = t theta
    w = w' / (s sz),  e = e' / (s sz t)

K has a row (a, b, c) for each unit, T a column (P, 1, 1/P), and theta = eta xi (1 - mu).

Known leak: K' is K but for a basis and a factor per unit, and T' is T but for the same basis, so
units at equal power, or of curves in equal proportions, are seen to be that.

Source: [SUN23], section 4.2.2-4.2.3, eq. (23)-(36), as far as the text tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.outsourcing.masks import MaskError, scales, uniform
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.carbon.emissions import CoalCurve
    from gridpact.carbon.outsourcing.masks import Bits
    from gridpact.model.carbon import FloatArray

CONDITION_MAX = 1e3
"""Of Q: three digits at most are lost."""


@dataclass(frozen=True, slots=True)
class MaskedCurves:
    """All that a provider sees of k units."""

    curves: FloatArray
    """K', shape (k, 3)."""
    powers: FloatArray
    """T', shape (k, 3), a row for each unit."""
    zeta: FloatArray
    """zeta', shape (k,)."""
    theta: FloatArray
    """theta', shape (k,)."""


@dataclass(frozen=True, slots=True)
class CurveMask:
    """What takes the cover off."""

    coal: FloatArray
    """s sz, shape (k,), > 0."""
    carbon: FloatArray
    """s sz t, shape (k,), > 0."""


def mask_curves(
    curves: Sequence[CoalCurve], p_mw: FloatArray, bits: Bits
) -> tuple[MaskedCurves, CurveMask]:
    """Curves of k running units, and what takes the cover off again.

    Args:
        p_mw: shape (k,), above 0: units that are off have no intensity and are left out.
    Raises:
        InputError: another count of powers, or one that is not above 0.
    """
    p = np.asarray(p_mw, dtype=np.float64)
    if p.shape != (len(curves),):
        message = f"has shape {p.shape}; allowed: ({len(curves)},), one for each curve"
        raise InputError([Problem("p_mw", message)])
    if not (np.isfinite(p) & (p > 0.0)).all():
        bad = int(np.flatnonzero(~(np.isfinite(p) & (p > 0.0)))[0])
        message = f"{p[bad]:g} MW is not allowed; allowed: above 0; leave out units that are off"
        raise InputError([Problem(f"p_mw[{bad}]", message)])
    count = len(curves)
    basis = _basis(bits)
    k = np.array([[c.a, c.b, c.c] for c in curves], dtype=np.float64).reshape(count, 3)
    t = np.column_stack([p, np.ones(count), 1.0 / p])
    zeta = np.array([c.zeta for c in curves], dtype=np.float64)
    theta = np.array([c.eta * c.xi * (1.0 - c.mu) for c in curves], dtype=np.float64)
    s, sz, st = (scales(count, bits) for _ in range(3))
    powers: FloatArray = np.linalg.solve(basis, t.T).T.astype(np.float64)
    masked = MaskedCurves(s[:, None] * (k @ basis), powers, sz * zeta, st * theta)
    return masked, CurveMask(s * sz, s * sz * st)


def unmask_curves(
    coal: FloatArray, carbon: FloatArray, mask: CurveMask
) -> tuple[FloatArray, FloatArray]:
    """Coal w in t coal/MWh and carbon e in t/MWh, shape (k,) each. Source: eq. (34)-(36).

    Raises:
        MaskError: another shape than was asked for, or what is no number.
    """
    for given in (coal, carbon):
        if given.shape != mask.coal.shape or not np.isfinite(given).all():
            message = f"curves of shape {given.shape}; allowed: {mask.coal.shape} of finite numbers"
            raise MaskError(f"{message}; the answer counts as wrong")
    return coal / mask.coal, carbon / mask.carbon


def _basis(bits: Bits) -> FloatArray:
    """Q: a random 3 x 3 matrix that is well enough conditioned; one in a hundred is not."""
    while True:
        drawn = 2.0 * uniform(9, bits).reshape(3, 3) - 1.0
        if np.linalg.cond(drawn) <= CONDITION_MAX:
            return drawn
