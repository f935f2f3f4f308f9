"""Cloud providers as processes, and the grid company that asks them: `docs/outsourcing.md`."""

from gridpact.node.clouds.client import Outcome, Terms, outsource
from gridpact.node.clouds.provider import HONEST, Provider

__all__ = ["HONEST", "Outcome", "Provider", "Terms", "outsource"]
