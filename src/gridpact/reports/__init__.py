"""What a run came to, for people and for other tools: pages, terminal, JSON, CSV, Parquet."""

from gridpact.reports.bargain_terminal import microgrid_table
from gridpact.reports.columns import ORDERS, TABLES, table
from gridpact.reports.html import write_report
from gridpact.reports.markdown import write_markdown
from gridpact.reports.microgrid_report import write_microgrid_report
from gridpact.reports.progress import slot_line
from gridpact.reports.summary import run_json
from gridpact.reports.tables import frame_of, write_bills_csv, write_parquet, write_slots_csv
from gridpact.reports.terminal import run_table

__all__ = [
    "ORDERS",
    "TABLES",
    "frame_of",
    "microgrid_table",
    "run_json",
    "run_table",
    "slot_line",
    "table",
    "write_bills_csv",
    "write_markdown",
    "write_microgrid_report",
    "write_parquet",
    "write_report",
    "write_slots_csv",
]
