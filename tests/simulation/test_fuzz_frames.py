"""Broken frames are suspected by name and change nothing; replicas that err are found out.

A million take three minutes: `gridpact fuzz --frames --count 1000000`.
"""

from __future__ import annotations

import json
from random import Random

import pytest
from typer.testing import CliRunner

from gridpact.cli import app
from gridpact.consensus import frames
from gridpact.consensus.raft import RaftMessage, RaftReplica
from gridpact.consensus.raft.messages import TimeoutNow
from gridpact.consensus.shape import Reason
from gridpact.studies.fuzz_frames import FrameMutant, _Forge, fuzz_frames

COUNT = 20_000
TWIN_COUNT = 1_500
"""Mutants within which a twin must be found out."""


def test_twenty_thousand_broken_frames_change_nothing() -> None:
    told: list[tuple[int, int]] = []
    report = fuzz_frames(COUNT, 1, lambda *done: told.append(done))
    assert report.violations == []
    assert report.sent == COUNT == sum(report.by_reason.values())
    assert set(report.by_reason) == {reason.value for reason in Reason} | {"answered"}
    assert told[-1] == (COUNT, COUNT)


def test_same_seed_sends_the_same_bytes() -> None:
    one, other = fuzz_frames(400, 9), fuzz_frames(400, 9)
    assert (one.by_reason, one.by_mutation) == (other.by_reason, other.by_mutation)


def test_every_mutation_is_sent() -> None:
    forge = _Forge(Random(3))
    mutants: list[FrameMutant] = [forge.mutant() for _ in range(2_000)]
    assert {mutant.mutation for mutant in mutants} == set(forge._makers)


class Open(frames.Framing[RaftMessage]):
    """Believes whatever signature there is."""

    def _signed(self, sender: str, receiver: str, body: bytes) -> bytes:
        return body


class Anyones(frames.Framing[RaftMessage]):
    """Does not sign for whom a message is."""

    def _signed(self, sender: str, receiver: str, body: bytes) -> bytes:
        return super()._signed(sender, "", body)


def careless(_message: object) -> bool:
    return True


DENIES = RaftReplica._denies


def forgetful(one: RaftReplica, message: RaftMessage, peer: str) -> bool:
    """Takes the term over before it looks."""
    if message.term > one.term:
        one._become_follower(message.term, "")
    return DENIES(one, message, peer)


@pytest.mark.parametrize(
    ("where", "name", "twin"),
    [
        ("gridpact.studies.fuzz_frames", "Framing", Open),
        ("gridpact.studies.fuzz_frames", "Framing", Anyones),
        ("gridpact.consensus.raft.replica", "is_sound", careless),
        ("gridpact.consensus.raft.replica", "TERMS_AHEAD_MAX", 2**63),
        ("gridpact.consensus.raft.replica.RaftReplica", "_denies", forgetful),
        ("gridpact.consensus.frames", "FRAME_MAX", 2**63),
        ("gridpact.consensus.frames", "EVIDENCE_MAX", 300),
    ],
)
def test_twins_are_found_out(
    monkeypatch: pytest.MonkeyPatch, where: str, name: str, twin: object
) -> None:
    monkeypatch.setattr(f"{where}.{name}", twin)
    report = fuzz_frames(TWIN_COUNT, 5)
    assert report.violations
    assert "seed 5, mutant " in report.violations[0]


def test_a_replica_that_raises_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_one: RaftReplica, peer: str, _message: TimeoutNow) -> None:
        raise KeyError(peer)

    monkeypatch.setattr(RaftReplica, "_on_timeout_now", raises)
    assert "raised KeyError" in fuzz_frames(TWIN_COUNT, 5).violations[0]


def test_the_command_prints_the_report() -> None:
    result = CliRunner().invoke(app, ["fuzz", "--frames", "--count", "300", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["sent"], facts["violations"]) == (300, [])
