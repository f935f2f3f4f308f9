"""The command `simulate`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from gridpact.cli import app
from gridpact.errors import InputError

KEYS = {
    "protocol",
    "profile",
    "seeds",
    "messages",
    "messages_per_s",
    "violations",
    "liveness_failures",
}


def test_a_sound_protocol() -> None:
    result = CliRunner().invoke(app, ["simulate", "raft", "--seeds", "0:3", "--json"])
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert not KEYS - facts.keys()
    assert facts["violations"] == facts["liveness_failures"] == []
    assert facts["seeds"] == [0, 3]


def test_a_flawed_one_says_how_to_see_it_again() -> None:
    words = ["simulate", "weighted-raft", "--profile", "paper", "--seeds", "8:9"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["violations"]
    assert finding["property"] == "quorums meet"
    assert finding["replay"] == "gridpact simulate weighted-raft --profile paper --seeds 8:9"
    again = CliRunner().invoke(app, [*finding["shrunk"].split()[1:], "--json"])
    assert again.exit_code == 1
    (found,) = json.loads(again.stdout)["violations"]
    assert found["property"] == "quorums meet"
    assert "quorums meet" in CliRunner().invoke(app, words).stdout


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["rat"], "'rat' is not one of: raft, weighted-raft"),
        (["raft", "--profile", "best"], "'best' is not one of: paper, hardened"),
        (["raft", "--seeds", "5"], "is not A:B"),
        (["raft", "--seeds", "-1:5"], "is not A:B"),
        (["raft", "--seeds", "5:5"], "is empty"),
        (["raft", "--seeds", "0:99999999"], "more than 10000000 seeds"),
        (["raft", "--faults", "crash,rain"], "'rain' is not one of: crash"),
        (["raft", "--keep", "1,x"], "'x' is no number of an action"),
    ],
)
def test_bad_requests_are_named(words: list[str], problem: str) -> None:
    result = CliRunner().invoke(app, ["simulate", *words])
    assert isinstance(result.exception, InputError)
    assert problem in str(result.exception)
