"""Files to model objects: scenarios, tariffs, profiles, homes; checks collect all problems."""

from gridpact.inputs.calendar import parse_zone
from gridpact.inputs.carbon_policy import import_mg_per_kwh
from gridpact.inputs.homes import homes_of
from gridpact.inputs.profiles import load_profiles
from gridpact.inputs.scenario import builtin_scenario, load_scenario, validate_scenario
from gridpact.inputs.tariffs import slot_prices

__all__ = [
    "builtin_scenario",
    "homes_of",
    "import_mg_per_kwh",
    "load_profiles",
    "load_scenario",
    "parse_zone",
    "slot_prices",
    "validate_scenario",
]
