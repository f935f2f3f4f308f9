"""gridpact from Python: whole runs as data frames, one clearing on arrays, proofs and audits.

`import gridpact` offers the same names and loads this room when the first of them is used.
"""

from gridpact.api.bills import ProvedBill, ProvedCarbon, verify_bill, verify_carbon
from gridpact.api.clearing import Clearing, clear_auction
from gridpact.api.folder import run_into_folder
from gridpact.api.microgrids import clear_microgrids, load_microgrids
from gridpact.api.results import Manifest, Result
from gridpact.api.running import choose_scenario, run
from gridpact.api.tracing import CarbonTrace, trace

__all__ = [
    "CarbonTrace",
    "Clearing",
    "Manifest",
    "ProvedBill",
    "ProvedCarbon",
    "Result",
    "choose_scenario",
    "clear_auction",
    "clear_microgrids",
    "load_microgrids",
    "run",
    "run_into_folder",
    "trace",
    "verify_bill",
    "verify_carbon",
]
