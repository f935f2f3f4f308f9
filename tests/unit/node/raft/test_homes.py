"""Folders of Raft validators: what is written, and what is refused when it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.ledger_bench import VALIDATORS, genesis_with

from gridpact.contracts.genesis import DEFAULT_LIMITS, Genesis, Validator
from gridpact.errors import InputError
from gridpact.node import SimulatedKeys
from gridpact.node.devnet import Devnet
from gridpact.node.engines import EMBEDDED, RAFT, WEIGHTED_RAFT
from gridpact.node.raft import read_settings, write_homes
from gridpact.node.raft.homes import GENESIS, NODE, read_genesis
from gridpact.node.signing.folder import show


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return genesis_with(SimulatedKeys(7))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, genesis: Genesis) -> list[Path]:
    return write_homes(tmp_path_factory.mktemp("net") / "net", genesis, engine=RAFT)


def test_each_validator_gets_a_folder_that_knows_the_others(
    homes: list[Path], genesis: Genesis
) -> None:
    assert [home.name for home in homes] == list(VALIDATORS)
    settings = [read_settings(home) for home in homes]
    for home, found in zip(homes, settings, strict=True):
        assert (found.name, found.engine) == (home.name, RAFT)
        assert found.members == settings[0].members
        assert found.own.name == home.name
        assert {one.name for one in found.others} == set(VALIDATORS) - {home.name}
        assert read_genesis(home) == genesis
        shown = show(home / "signer")
        assert shown.public.hex() == found.own.public_key
        assert (home / "link.key").stat().st_mode & 0o077 == 0
    assert len({(one.host, one.port) for one in settings[0].members}) == 3
    assert len({one.public_key for one in settings[0].members}) == 3


@pytest.mark.parametrize("engine", [EMBEDDED, "", "Raft", "flexible-raft"])
def test_an_engine_that_is_no_raft_is_refused(
    tmp_path: Path, genesis: Genesis, engine: str
) -> None:
    with pytest.raises(InputError, match="is not one of: raft, weighted-raft"):
        write_homes(tmp_path / "net", genesis, engine=engine)
    assert not (tmp_path / "net").exists()


def test_a_network_of_an_unknown_engine_is_refused(tmp_path: Path, genesis: Genesis) -> None:
    with pytest.raises(InputError, match="is not one of: raft, weighted-raft, cometbft"):
        Devnet.create(tmp_path / "net", genesis, EMBEDDED)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("make", [write_homes, Devnet.create])
def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, genesis: Genesis, make: Callable[..., object]
) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="is not empty"):
        make(tmp_path, genesis, engine=WEIGHTED_RAFT)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("limit", ["envelope_bytes", "payload_bytes"])
def test_transactions_that_fit_no_entry_of_the_log_are_refused(
    tmp_path: Path, limit: str, homes: list[Path]
) -> None:
    """Such a one would wait at the head of the pool for ever, and all others behind it."""
    limits = msgspec.structs.replace(DEFAULT_LIMITS, **{limit: 2**18})
    genesis = genesis_with(SimulatedKeys(7), limits=limits)
    with pytest.raises(InputError, match="one entry of the log takes"):
        write_homes(tmp_path / "net", genesis, engine=RAFT)
    assert not (tmp_path / "net").exists()


def test_a_devnet_knows_its_doors(tmp_path: Path, genesis: Genesis) -> None:
    net = Devnet.create(tmp_path / "net", genesis, WEIGHTED_RAFT)
    assert list(net.homes) == list(VALIDATORS)
    assert len(set(net.doors)) == 3
    assert net.running == []
    assert net.ledger() == net.ledger("val-1") == tmp_path / "net" / "val-1" / "ledger"
    net.stop()
    net.kill()


Change = Callable[[dict[str, object]], object]


def member(data: dict[str, object], at: int) -> dict[str, object]:
    members = data["members"]
    assert isinstance(members, list)
    found = members[at]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(engine="embedded"), "engine 'embedded'"),
        (lambda data: data.update(name="val-9"), "name 'val-9'"),
        (lambda data: data.pop("one_way_ms"), "one_way_ms"),
        (lambda data: data.update(one_way_ms="5"), "one_way_ms"),
        (lambda data: data.update(members=[]), "name 'val-1'"),
        (lambda data: member(data, 1).update(name="val-1"), "each name once"),
        (lambda data: member(data, 1).update(public_key="00" * 31), "64 hexadecimal digits"),
        (lambda data: member(data, 1).update(public_key="x" * 64), "hexadecimal"),
        (lambda data: member(data, 1).update(port="x"), "port"),
        (lambda data: member(data, 1).pop("certificate"), "certificate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    homes: list[Path], tmp_path: Path, change: Change, words: str
) -> None:
    data = msgspec.json.decode((homes[0] / NODE).read_bytes())
    change(data)
    (tmp_path / NODE).write_bytes(msgspec.json.encode(data))
    with pytest.raises(InputError, match=words) as refused:
        read_settings(tmp_path)
    assert refused.value.problems[0].where == str(tmp_path / NODE)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_json_of_ours_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NODE).write_bytes(data)
    (tmp_path / GENESIS).write_bytes(data)
    with pytest.raises(InputError, match="no settings of a validator"):
        read_settings(tmp_path)
    with pytest.raises(InputError):
        read_genesis(tmp_path)


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no settings of a validator"):
        read_settings(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_genesis(tmp_path)


def test_one_validator_alone_is_a_network(tmp_path: Path, genesis: Genesis) -> None:
    one = msgspec.structs.replace(genesis, validators=[Validator("val-1", 1)])
    (home,) = write_homes(tmp_path / "net", one, engine=RAFT)
    assert read_settings(home).others == []
