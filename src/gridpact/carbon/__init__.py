"""Carbon: who caused what was emitted, traced through solved flows.

Nouns are in `model.carbon`.
"""

from gridpact.carbon.allocation import allocate
from gridpact.carbon.checks import TracingError, check_flow
from gridpact.carbon.emissions import FACTORS, CoalCurve, fuel_t_per_mwh
from gridpact.carbon.meters import MeterPolicy, metered
from gridpact.carbon.storage import Store, trace_with_stores
from gridpact.carbon.tracing import Tracer, dense_shares, trace, trace_bounds, trace_many

__all__ = [
    "FACTORS",
    "CoalCurve",
    "MeterPolicy",
    "Store",
    "Tracer",
    "TracingError",
    "allocate",
    "check_flow",
    "dense_shares",
    "fuel_t_per_mwh",
    "metered",
    "trace",
    "trace_bounds",
    "trace_many",
    "trace_with_stores",
]
