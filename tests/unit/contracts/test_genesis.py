"""Goal: the genesis file says the same as what is hashed, and a wrong one says what to mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gridpact.contracts.genesis import (
    BargainRules,
    BargainWeight,
    genesis_from_json,
    genesis_hash,
    genesis_to_json,
)
from gridpact.errors import InputError
from gridpact.model import CarbonRules
from ledger_bench import Bench

GENESIS = Bench().genesis
FILE: dict[str, Any] = json.loads(genesis_to_json(GENESIS))


def test_the_file_reads_back_as_it_was_written() -> None:
    assert genesis_from_json(genesis_to_json(GENESIS), "g") == GENESIS


def test_spaces_and_the_order_of_keys_do_not_matter() -> None:
    shuffled = json.dumps(dict(reversed(FILE.items())), indent=7).encode()
    assert genesis_hash(genesis_from_json(shuffled, "g")) == genesis_hash(GENESIS)


def test_bytes_are_hexadecimal_and_keys_are_named() -> None:
    party = FILE["parties"][0]
    assert party == {
        "party": "operator",
        "public_key": GENESIS.parties[0].public_key.hex(),
        "roles": 1,
    }
    assert FILE["previous"] == ""
    assert genesis_to_json(GENESIS).endswith(b"}\n")


def changed(path: str, value: object) -> bytes:
    """The file with one value replaced; `None` removes it."""
    file = json.loads(json.dumps(FILE))
    *way, last = path.split(".")
    inner: Any = file
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(file).encode()


ANN = {"party": "ann", "weight": 2}


CARBON = {"generation_mg_per_kwh": 40_000, "supplier_mg_per_kwh": 527_000}


def with_rules(**rules: object) -> bytes:
    """The file with carbon in its first market."""
    return changed("markets.0.carbon", CARBON | rules)


def test_carbon_rules_are_read_and_written_again() -> None:
    genesis = genesis_from_json(with_rules(), "g")
    assert [market.carbon for market in genesis.markets] == [CarbonRules(40_000, 527_000), None]
    assert genesis_from_json(genesis_to_json(genesis), "g") == genesis
    assert json.loads(genesis_to_json(genesis))["markets"][0]["carbon"] == CARBON
    assert genesis_hash(genesis) != genesis_hash(GENESIS)


def bargaining(sealed: int = 0, carbon: object = None, **rules: object) -> bytes:
    """The file with a first market of microgrids."""
    file = json.loads(json.dumps(FILE))
    known = {"gap_ppb": 1, "price_max_micro_per_kwh": 1, "end_micro_per_kwh": 0, "weights": [ANN]}
    market = {"bargain": known | rules, "sealed_deposit_nano": sealed, "carbon": carbon}
    file["markets"][0] |= market
    return json.dumps(file).encode()


def test_a_market_of_bargains_is_read_and_written_again() -> None:
    genesis = genesis_from_json(bargaining(), "g")
    assert genesis.markets[0].bargain == BargainRules(1, 1, 0, [BargainWeight("ann", 2)])
    assert genesis.markets[1].bargain is None
    assert genesis_from_json(genesis_to_json(genesis), "g") == genesis


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: b"", "not a genesis file"),
        (lambda: b"[]", "not a genesis file"),
        (lambda: b"[" * 100_000, "not a genesis file"),
        (lambda: genesis_to_json(GENESIS)[:-3], "not a genesis file"),
        (lambda: changed("chain", None), "has the keys"),
        (lambda: changed("colour", "red"), "has the keys"),
        (lambda: changed("limits.colour", "red"), "Limits has the keys"),
        (lambda: changed("markets", {}), "has the keys"),
        (lambda: changed("markets.0.slot_length_s", 0), "not a genesis file"),
        (lambda: changed("markets.0.slot_length_s", 900.0), "not a genesis file"),
        (lambda: changed("markets.0.tie", 3), "not a genesis file"),
        (lambda: changed("markets.0.sealed_deposit_nano", -1), "not a genesis file"),
        (lambda: changed("markets.0.sealed_deposit_nano", None), "Market has the keys"),
        (lambda: changed("chain", "Bench"), "not a genesis file"),
        (lambda: changed("currency", "euro"), "not a genesis file"),
        (lambda: changed("parties.0.public_key", "00"), "not a genesis file"),
        (lambda: changed("parties.0.public_key", "zz" * 32), "not a genesis file"),
        (lambda: changed("parties.0.roles", 2**63), "not a genesis file"),
        (lambda: changed("parties", [FILE["parties"][0]] * 2), "parties: at least one, each id"),
        (lambda: changed("markets", []), "markets: at least one"),
        (lambda: changed("validators", []), "validators: at least one"),
        (lambda: changed("markets.0.bargain", {}), "BargainRules has the keys"),
        (lambda: bargaining(gap_ppb=0), "not a genesis file"),
        (lambda: bargaining(gap_ppb=10**6 + 1), "not a genesis file"),
        (lambda: bargaining(weights=[{"party": "ann"}]), "BargainWeight has the keys"),
        (lambda: bargaining(weights=[ANN, ANN]), "weights of market lv1: each party once"),
        (lambda: changed("markets.0.carbon", {}), "CarbonRules has the keys"),
        (lambda: changed("markets.0.carbon", None), "Market has the keys"),
        (lambda: with_rules(generation_mg_per_kwh=-1), "not a genesis file"),
        (lambda: with_rules(supplier_mg_per_kwh=2**31), "not a genesis file"),
        (lambda: with_rules(supplier_mg_per_kwh=0.5), "not a genesis file"),
        (lambda: bargaining(carbon=CARBON), "carbon rules where microgrids bargain, .* to null"),
        (lambda: bargaining(sealed=1), "market lv1: sealed_deposit_nano is 1 where microgrids"),
        (lambda: changed("version", 2), "version 2 is not 3"),
        (lambda: changed("app_version", 3), "version 3 is not 4"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(data: Callable[[], bytes], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        genesis_from_json(data(), "folder/genesis.json")
    assert {problem.where for problem in caught.value.problems} == {"folder/genesis.json"}


def test_all_problems_are_told_at_once() -> None:
    file = {**FILE, "version": 9, "app_version": 9, "markets": []}
    with pytest.raises(InputError) as caught:
        genesis_from_json(json.dumps(file).encode(), "g")
    assert len(caught.value.problems) == 3
