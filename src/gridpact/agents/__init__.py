"""What a simulated participant decides: how much it expects, and what it quotes."""

from gridpact.agents.forecast import seasonal_naive
from gridpact.agents.quoting import Quote, quotes

__all__ = ["Quote", "quotes", "seasonal_naive"]
