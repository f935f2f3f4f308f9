"""`fuzz --certificates`: what was tried and what came of it."""

from __future__ import annotations

from tests.unit.cli.small_run import call


def test_tampered_certificates_are_counted() -> None:
    done = call("fuzz", "--certificates", "--count", "170", "--seed", "4", "--json")
    assert done.code == 0
    assert done.json["tried"] == 170
    assert done.json["violations"] == []
    assert done.json["refused"]["transfer_nano: TRANSFERS_WRONG"] == 10


def test_one_thing_is_broken_at_a_time() -> None:
    done = call("fuzz", "--certificates", "--frames")
    assert done.code == 2
    assert "--certificates: and --frames break different things" in done.err
