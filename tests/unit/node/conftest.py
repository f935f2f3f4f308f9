"""Makes `ledger_bench`, the chain in memory that lies above the folders, importable here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
pytest.register_assert_rewrite("ledger_bench")
