"""Clearing with floats: plans of least cost, the duals that prove it, and what is bargained.

The only room that solves quadratic programmes. What leaves it for a ledger is rounded elsewhere
and checked exactly against its duals.
"""

from gridpact.market.solvers.bargain import MicrogridClearing, clear_microgrids
from gridpact.market.solvers.pairs import Pairs, PairSolution, solve_pairs
from gridpact.market.solvers.prices import pair_prices, proportional_flows
from gridpact.market.solvers.programme import Programme, programme_of
from gridpact.market.solvers.rolling import RollingDay, roll
from gridpact.market.solvers.solution import Solution, SolveError
from gridpact.market.solvers.solve import solve_alone, solve_together

__all__ = [
    "MicrogridClearing",
    "PairSolution",
    "Pairs",
    "Programme",
    "RollingDay",
    "Solution",
    "SolveError",
    "clear_microgrids",
    "pair_prices",
    "programme_of",
    "proportional_flows",
    "roll",
    "solve_alone",
    "solve_pairs",
    "solve_together",
]
