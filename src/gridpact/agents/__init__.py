"""What a simulated participant decides: how much it expects, what its home does, what it quotes."""

from gridpact.agents.forecast import (
    forecast_errors,
    seasonal_naive,
    seasonal_path,
)
from gridpact.agents.learning import LearnedForecast
from gridpact.agents.linear import LinearSolver
from gridpact.agents.planner import HomePlanner
from gridpact.agents.prices import expected_prices
from gridpact.agents.quoting import Quote, adapted_shade, first_shade, next_shade, quotes
from gridpact.agents.solar import pv_energy_wh, pv_simple

__all__ = [
    "HomePlanner",
    "LearnedForecast",
    "LinearSolver",
    "Quote",
    "adapted_shade",
    "expected_prices",
    "first_shade",
    "forecast_errors",
    "next_shade",
    "pv_energy_wh",
    "pv_simple",
    "quotes",
    "seasonal_naive",
    "seasonal_path",
]
