"""What a run came to, for people and for other tools: a page, a terminal table, JSON, CSV."""

from gridpact.reports.html import write_report
from gridpact.reports.tables import run_json, write_bills_csv, write_slots_csv
from gridpact.reports.terminal import run_table

__all__ = ["run_json", "run_table", "write_bills_csv", "write_report", "write_slots_csv"]
