"""CometBFT as an engine: it orders envelopes, our application executes them behind ABCI 2.0."""

from gridpact.node.cometbft.engine import CometbftEngine
from gridpact.node.cometbft.homes import Timing, begin_from_peers, write_homes
from gridpact.node.cometbft.process import VERSION, find_program
from gridpact.node.cometbft.validator import CometbftValidator, serve

__all__ = [
    "VERSION",
    "CometbftEngine",
    "CometbftValidator",
    "Timing",
    "begin_from_peers",
    "find_program",
    "serve",
    "write_homes",
]
