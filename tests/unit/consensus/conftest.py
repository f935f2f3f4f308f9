"""Makes the bench for Raft, which lies above the folders, importable here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
pytest.register_assert_rewrite("raft_bench", "raft_script")
