"""Files to model objects: scenarios, tariffs, profiles; every check collects all problems."""

from gridpact.inputs.profiles import load_profiles
from gridpact.inputs.scenario import builtin_scenario, load_scenario, validate_scenario
from gridpact.inputs.tariffs import slot_prices

__all__ = [
    "builtin_scenario",
    "load_profiles",
    "load_scenario",
    "slot_prices",
    "validate_scenario",
]
