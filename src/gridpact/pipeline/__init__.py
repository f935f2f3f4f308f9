"""A run from top to bottom. `day.py` is the file to read first."""

from gridpact.pipeline.day import DayTrader, Progress
from gridpact.pipeline.opening import genesis_of
from gridpact.pipeline.run import run_scenario
from gridpact.pipeline.stored_lines import moved_to

__all__ = ["DayTrader", "Progress", "genesis_of", "moved_to", "run_scenario"]
