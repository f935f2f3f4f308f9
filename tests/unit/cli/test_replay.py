"""The command `replay`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.sim.traces import Alone
from typer.testing import CliRunner

from gridpact.cli import app
from gridpact.consensus.raft.trace import End, begin_bytes, frame_bytes, read_trace
from gridpact.errors import InputError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A validator's folder with one trace."""
    folder = tmp_path / "validator-1"
    one = Alone(folder)
    one.decide(b"one", b"two")
    one.close()
    return folder


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["replay", *map(str, words)])
    if isinstance(result.exception, InputError):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_same_again(home: Path) -> None:
    code, said = call(home)
    assert code == 0
    assert said.startswith(f"{home}/trace: 8 events, 2 decisions up to height 3, state ")
    assert said.splitlines()[0].endswith(", same as recorded")
    assert "all agree on 2 decisions" in said
    assert "every property that the simulator checks held at every step" in said
    assert call(home / "trace") == call(home.parent) == (code, said), "a network's folder too"


def test_facts_for_machines(home: Path) -> None:
    code, said = call(home, "--json")
    assert code == 0
    facts = json.loads(said)
    (trace,) = facts["traces"]
    assert (trace["events"], trace["decisions"], trace["last_height"]) == (8, 2, 3)
    assert trace["same"]
    assert len(bytes.fromhex(trace["state_hash"])) == 32
    assert (facts["decisions"], facts["violation"], facts["unwatched"]) == (2, "", "")


def test_a_difference_is_a_failed_check(home: Path) -> None:
    path = home / "trace"
    origin, frames = read_trace(path.read_bytes(), str(path))
    others = [frame for frame in frames if not isinstance(frame, End)]
    path.write_bytes(begin_bytes(origin) + b"".join(map(frame_bytes, others[1:])))
    code, said = call(home)
    assert code == 1
    assert "differs: event 1, the timer election, 0 ms after the first: " in said
    assert "other properties were not checked to the end: a did not do what was recorded" in said
    code, said = call(home, "--json")
    assert code == 1
    assert not json.loads(said)["traces"][0]["same"]


def test_two_who_disagree_are_a_failed_check(home: Path) -> None:
    other = Alone(home.parent / "validator-2", "b")
    other.decide(b"another")
    other.close()
    code, said = call(home.parent)
    assert code == 1
    assert "violation: one leader per term" in said


def test_damage_is_named_with_its_place(home: Path, tmp_path: Path) -> None:
    path = home / "trace"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"trace: damaged at byte \d+: wrong checksum; copy it"):
        call(home)
    with pytest.raises(InputError, match="nothing: holds no trace; validators write one when"):
        call(tmp_path / "nothing")
