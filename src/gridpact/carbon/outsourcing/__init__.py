"""Handing tracing out to providers who are not trusted: masks, checks, and who pays for what.

Needs scipy, which the extra `outsourcing` installs. It does not pay: the sweeps of `carbon` are
faster than masking alone. It is an exercise in audit and privacy, see `docs/outsourcing.md`.
"""

from gridpact.carbon.outsourcing.checks import Answer, is_right, same_answer
from gridpact.carbon.outsourcing.cloud import price_masked, solve_masked
from gridpact.carbon.outsourcing.curves import mask_curves, unmask_curves
from gridpact.carbon.outsourcing.masks import (
    MaskError,
    dense_mask,
    diagonal_mask,
    mask_problem,
    sparse_mask,
    unmask_solution,
)
from gridpact.carbon.outsourcing.problem import carbon_rates, problem_of

__all__ = [
    "Answer",
    "MaskError",
    "carbon_rates",
    "dense_mask",
    "diagonal_mask",
    "is_right",
    "mask_curves",
    "mask_problem",
    "price_masked",
    "problem_of",
    "same_answer",
    "solve_masked",
    "sparse_mask",
    "unmask_curves",
    "unmask_solution",
]
