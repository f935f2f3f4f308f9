"""Commands for validators: what they refuse, and what they do to folders and networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call

from gridpact.node.devnet import Devnet
from gridpact.node.raft import read_settings
from gridpact.studies.load import load_network


@pytest.fixture
def network(tmp_path: Path) -> Devnet:
    return load_network(tmp_path / "net", "raft", 1)


@pytest.mark.parametrize(
    ("option", "value"), [("--engine", "paxos"), ("--validators", "0"), ("--seconds", "-1")]
)
def test_devnet_names_what_is_wrong_and_makes_nothing(
    tmp_path: Path, option: str, value: str
) -> None:
    done = call("devnet", "--out", tmp_path / "net", option, value)
    assert done.code == 2
    assert option in done.err
    assert not (tmp_path / "net").exists()


def test_devnet_never_removes_what_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x")
    done = call("devnet", "--out", tmp_path / "letters", "--replace")
    assert done.code == 2
    assert "holds no network" in done.err
    assert (tmp_path / "letters" / "dear.txt").read_text() == "x"


@pytest.mark.slow
def test_devnet_runs_a_network_which_goes_on_another_time(tmp_path: Path) -> None:
    command = ("devnet", "--out", tmp_path / "net", "--validators", 1, "--seconds", 1, "--json")
    first, second = call(*command), call(*command)
    assert (first.code, second.code) == (0, 0)
    assert json.loads(first.out)["validator-1"]["height"] == 0
    assert first.out == second.out


@pytest.mark.slow
def test_load_says_how_fast_orders_became_durable(network: Devnet) -> None:
    network.start()
    try:
        folder = next(iter(network.homes.values())).parent
        done = call("load", folder, "--orders", 50, "--batch", 10, "--json")
        again = call("load", folder, "--orders", 50, "--json")
    finally:
        network.stop()
    assert json.loads(done.out)["accepted"] == json.loads(again.out)["accepted"] == 50
    assert json.loads(done.out)["refused"] == 0


def test_load_needs_a_network_that_runs(network: Devnet, tmp_path: Path) -> None:
    folder = next(iter(network.homes.values())).parent
    assert "gridpact devnet" in call("load", folder).err
    done = call("load", tmp_path, "--orders", 0)
    assert done.code == 2
    assert "--orders" in done.err
    assert "holds no network" in call("load", tmp_path).err


def test_node_wants_the_folder_of_a_validator(tmp_path: Path) -> None:
    done = call("node", tmp_path)
    assert done.code == 2
    assert "node.json" in done.err


def test_signer_shows_its_key_and_how_far_it_has_signed(network: Devnet) -> None:
    home = network.homes["validator-1"]
    shown = json.loads(call("signer", "show", home, "--json").out)
    assert shown["public_key"] == read_settings(home).own.public_key
    assert shown["position"]["term"] == 0
    assert shown["behind"] is None
    done = call("signer", "allow", home)
    assert done.code == 2
    assert "nothing to allow" in done.err


def test_a_new_key_is_known_once_everybody_has_accepted_it(tmp_path: Path) -> None:
    network = load_network(tmp_path / "net", "raft", 2)
    one, two = network.homes.values()
    statement = tmp_path / "rotation.json"
    before = read_settings(two).own.public_key
    assert call("signer", "rotate", two, "-o", statement).code == 0
    assert json.loads(call("signer", "show", two, "--json").out)["public_key"] == before
    for home in (one, two):
        assert call("signer", "accept", home, statement).code == 0
    now = json.loads(call("signer", "show", two, "--json").out)["public_key"]
    assert now != before
    for home in (one, two):
        assert {m.name: m.public_key for m in read_settings(home).members}["validator-2"] == now


def test_a_statement_that_no_member_has_signed_changes_nothing(
    network: Devnet, tmp_path: Path
) -> None:
    home = network.homes["validator-1"]
    other = load_network(tmp_path / "other", "raft", 1).homes["validator-1"]
    statement = tmp_path / "rotation.json"
    call("signer", "rotate", other, "-o", statement)
    before = (home / "node.json").read_bytes()
    done = call("signer", "accept", home, statement)
    assert done.code == 2
    assert "of no member" in done.err
    statement.write_text("{")
    assert "no statement" in call("signer", "accept", home, statement).err
    assert (home / "node.json").read_bytes() == before
