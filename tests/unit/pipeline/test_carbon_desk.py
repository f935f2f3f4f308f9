"""What the grid company makes of a day before it sends it: energies, storages, runs of slots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.carbon_bench import FAR, with_carbon
from tests.ledger_bench import OPERATOR, Bench, genesis_with
from tests.unit.pipeline.small_day import run, scenario_in, with_feeder

from gridpact.codec import decode
from gridpact.contracts.bodies import Kind
from gridpact.errors import InvariantError
from gridpact.ledger.envelope import Envelope, Transaction
from gridpact.model import CarbonPolicy, CarbonRules, MemberCarbon, SlotCarbon
from gridpact.node import LedgerStore, SimulatedKeys
from gridpact.pipeline import carbon as carbon_of_day
from gridpact.pipeline.carbon import (
    MG_PER_KWH_MAX,
    SLOTS_PER_ALLOTMENT,
    CarbonDesk,
    _runs,
)
from gridpact.pipeline.population import Delivered
from gridpact.units import INT64_MAX, QUANTITY_MAX


@pytest.mark.parametrize(
    ("indices", "runs"),
    [
        ([], []),
        ([5], [(5, 5)]),
        (range(24), [(0, 23)]),
        (range(25), [(0, 23), (24, 24)]),
        (range(10, 106), [(10, 33), (34, 57), (58, 81), (82, 105)]),
        ([*range(3), *range(4, 6)], [(0, 2), (4, 5)]),
        ([*range(30), 31], [(0, 23), (24, 29), (31, 31)]),
    ],
)
def test_consecutive_slots_go_together_as_many_as_fit(
    indices: list[int], runs: list[tuple[int, int]]
) -> None:
    found = _runs(list(indices))
    assert [(each[0], each[-1]) for each in found] == runs
    assert [index for each in found for index in each] == list(indices)


def test_so_many_slots_fit_an_envelope_whatever_their_sums_are() -> None:
    keys = SimulatedKeys(7)
    bench = Bench(with_carbon(genesis_with(keys)), keys)
    most = SlotCarbon(QUANTITY_MAX, *(INT64_MAX for _ in SlotCarbon.__struct_fields__[1:]))
    sums = [most] * SLOTS_PER_ALLOTMENT
    bench.wallet._nonces[OPERATOR] = 2**40
    raw, _ = bench.slot_carbon(*sums, first_s=FAR)
    assert isinstance(bench.application.readable(raw), Transaction)
    part = MemberCarbon(*(2**62 for _ in MemberCarbon.__struct_fields__))
    raw, sealed = bench.member_carbon("m" * 48, *[part] * SLOTS_PER_ALLOTMENT, first_s=FAR)
    assert isinstance(bench.application.readable(raw), Transaction)
    assert len(sealed) < bench.genesis.limits.payload_bytes


def desk(held_ug: int) -> CarbonDesk:
    """A desk that has one member, whose storage holds this."""
    made = object.__new__(CarbonDesk)
    made.held_ug = [held_ug]
    return made


def delivered(
    net_wh: int, load_wh: int, charged_wh: int = 0, discharged_wh: int = 0, left_wh: int = 0
) -> Delivered:
    left_uwh = left_wh * 10**6
    return Delivered([net_wh], [load_wh], 0, [charged_wh], [discharged_wh], [left_uwh], 0)


def test_what_was_generated_follows_from_meter_and_load() -> None:
    """600 fed in, 100 used, 200 stored: 900 of sun. 150 of a storage are no sun."""
    assert desk(0)._energies(0, delivered(600, 100, 200)) == MemberCarbon(100, 900, 200, 0, 0, 0, 0)
    part = desk(8_000_000)._energies(0, delivered(50, 100, 0, 150, 50))
    assert (part.generated_wh, part.discharged_wh, part.discharged_ug) == (0, 150, 6_000_000)
    with pytest.raises(InvariantError, match="row 0: energy below 0"):
        desk(0)._energies(0, delivered(-200, 100))


@pytest.mark.parametrize(
    ("held_ug", "given_wh", "left_wh", "given_ug"),
    [
        (8_000_000, 150, 50, 6_000_000),
        (8_000_000, 200, 0, 8_000_000),
        (8_000_000, 0, 200, 0),
        (8_000_000, 0, 0, 0),
        (0, 150, 50, 0),
        (10, 1, 2, 3),
        (1_000 * MG_PER_KWH_MAX, 1, 0, MG_PER_KWH_MAX),
    ],
)
def test_a_storage_gives_its_share_and_never_dearer_energy_than_there_is(
    held_ug: int, given_wh: int, left_wh: int, given_ug: int
) -> None:
    part = desk(held_ug)._energies(0, delivered(given_wh, 0, 0, given_wh, left_wh))
    assert part.discharged_ug == given_ug <= held_ug


def test_a_day_of_more_slots_than_fit_is_allotted_in_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 hours by tens: three runs, each with a part of every member and one set of sums."""
    monkeypatch.setattr(carbon_of_day, "SLOTS_PER_ALLOTMENT", 10)
    scenario = with_feeder(scenario_in(tmp_path), tmp_path, ampere=200)
    policy = CarbonPolicy(CarbonRules(41_000, 300_000), 400_000)
    village = run(replace(scenario, carbon=policy), tmp_path)
    carbon = village.result.carbon
    assert carbon is not None
    assert (len(carbon.slots), None in carbon.slots, carbon.residual_ug) == (24, False, 0)
    store = LedgerStore.open(village.ledger, writable=False)
    kinds = [decode(Envelope, row.envelope).kind for row in store.all_transactions()]
    store.close()
    assert kinds.count(Kind.MEMBER_CARBON) == 3 * len(scenario.members)
    assert kinds.count(Kind.SLOT_CARBON) == 3
    assert {each.statement.lines for each in carbon.statements} == {24}
