"""Folders of validators: what the others know of one is what it is, and its keys are its own."""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path

import msgspec
import pytest
from tests.ledger_bench import genesis_with

from gridpact.contracts.genesis import Validator, genesis_hash
from gridpact.errors import InputError
from gridpact.node import SimulatedKeys
from gridpact.node.cometbft import write_homes
from gridpact.node.cometbft.homes import LINK_KEY, NODE, SIGNER, read_settings
from gridpact.node.links import Mesh
from gridpact.node.signing import show


@pytest.fixture
def homes(tmp_path: Path) -> list[Path]:
    names = [Validator(f"validator-{number}", 1) for number in range(3)]
    genesis = msgspec.structs.replace(genesis_with(SimulatedKeys(7)), validators=names)
    assert len(genesis_hash(genesis)) == 32
    return write_homes(tmp_path / "net", genesis)


def test_each_knows_the_others_by_their_certificates(homes: list[Path]) -> None:
    settings = [read_settings(home) for home in homes]
    members = [one.member() for one in settings]
    assert [member.name for member in members] == [home.name for home in homes]
    assert len({member.certificate for member in members}) == 3
    for home, one, own in zip(homes, settings, members, strict=True):
        assert one.peers == [member for member in members if member != own]
        Mesh(  # raises when key and certificates do not fit
            own,
            home / LINK_KEY,
            one.peers,
            chain=bytes(32),
            version=1,
            received=lambda *_: None,
            chance=random.Random(1),
        )


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_secrets_are_the_owners_alone_and_nowhere_else(homes: list[Path]) -> None:
    for home in homes:
        config = home / "cometbft" / "config"
        for path in (home / LINK_KEY, home / SIGNER / "key-1.json", config / "node_key.json"):
            assert path.stat().st_mode & 0o777 == 0o600
        secret = (home / LINK_KEY).read_bytes().splitlines()[1]
        others = [p for other in homes for p in other.rglob("*") if p.is_file()]
        assert [path for path in others if secret in path.read_bytes()] == [home / LINK_KEY]


def test_only_the_signer_has_the_key_that_the_genesis_names(homes: list[Path]) -> None:
    for number, home in enumerate(homes):
        document = json.loads((home / "cometbft" / "config" / "genesis.json").read_bytes())
        shown = show(home / SIGNER)
        public = base64.b64decode(document["validators"][number]["pub_key"]["value"])
        assert (shown.public, shown.settings.name) == (public, home.name)
        assert shown.settings.chain_id == document["chain_id"]
        assert not list(home.rglob("priv_validator_key.json"))


@pytest.mark.parametrize("cut", ['"certificate"', '"peers"'])
def test_settings_without_certificates_are_none(homes: list[Path], cut: str) -> None:
    path = homes[0] / NODE
    path.write_text(path.read_text().replace(cut, '"other"', 1))
    with pytest.raises(InputError, match="no settings of a validator"):
        read_settings(homes[0])
