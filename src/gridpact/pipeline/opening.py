"""How a simulated market begins: its genesis file, its members, its tariffs."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from gridpact.contracts.bodies import (
    Deposit,
    Kind,
    MoneyPayload,
    ParticipantPayload,
    RegisterMeter,
    RegisterParticipant,
    SetTariff,
)
from gridpact.contracts.genesis import (
    APP_VERSION,
    DEFAULT_LIMITS,
    GENESIS_VERSION,
    FallbackRule,
    Genesis,
    GenesisParty,
    Market,
    Validator,
)
from gridpact.model import (
    METERING_OPERATOR,
    OPERATOR,
    PRICE_AUTHORITY,
    Profiles,
    Role,
    Scenario,
    SlotPrices,
    SlotTariff,
)
from gridpact.pipeline.desk import Desk, Signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.node import SimulatedKeys

ROLES = {
    OPERATOR: Role.OPERATOR | Role.VALIDATOR,
    PRICE_AUTHORITY: Role.PRICE_AUTHORITY,
    METERING_OPERATOR: Role.METERING_OPERATOR,
}


def genesis_of(scenario: Scenario, keys: SimulatedKeys, validators: int = 1) -> Genesis:
    """The genesis file of a simulated run: who runs it, and one market.

    Args:
        scenario: of the run.
        keys: of its parties.
        validators: how many decide with equal weights; one is the operator alone.
    """
    market = Market(
        scenario.market_id,
        scenario.slot_length_s,
        scenario.tie,
        scenario.orders_per_slot,
        scenario.sealed_deposit_micro * 1000,
        bargain=None,
        carbon=None if scenario.carbon is None else scenario.carbon.rules,
    )
    network = scenario.network.reference if scenario.network is not None else ""
    return simulated_genesis(
        scenario.name, scenario.currency, market, keys, validators, network=network
    )


def simulated_genesis(
    chain: str,
    currency: str,
    market: Market,
    keys: SimulatedKeys,
    validators: int,
    *,
    network: str = "",
) -> Genesis:
    """The genesis file of a chain whose parties' keys are simulated.

    Args:
        chain: its name.
        currency: ISO 4217 code.
        market: the only one.
        keys: of its parties.
        validators: how many decide with equal weights; one is the operator alone.
        network: reference of the network model; empty without one.
    """
    names = [OPERATOR] if validators == 1 else [f"validator-{i + 1}" for i in range(validators)]
    return Genesis(
        version=GENESIS_VERSION,
        app_version=APP_VERSION,
        chain=chain,
        currency=currency,
        network=network,
        previous=b"",
        markets=[market],
        parties=[GenesisParty(party, keys.pair(party)[0], int(ROLES[party])) for party in ROLES],
        validators=[Validator(name, 1) for name in names],
        limits=DEFAULT_LIMITS,
        fallback=FallbackRule(quorum=1, delay_s=86_400),
    )


def registrations(scenario: Scenario, desk: Desk) -> list[Signed]:
    """Members with accounts and meters; what they pay in counts from the first barrier."""
    keys = desk.wallet.keys
    sent = []
    for member in scenario.members:
        name, account, meter = member.participant_id, member.account, member.meter_id
        joined = RegisterParticipant(name, keys.pair(name)[0], 0)
        agreed = ParticipantPayload(keys.secret(name), account.mode, account.limit_micro * 1000)
        sent.append(desk.by_operator(Kind.REGISTER_PARTICIPANT, joined, agreed))
        metered = RegisterMeter(meter, keys.pair(meter)[0], name, METERING_OPERATOR, 0)
        sent.append(desk.by_operator(Kind.REGISTER_METER, metered))
        if account.deposit_micro:
            paid = MoneyPayload(account.deposit_micro * 1000, "first payment")
            sent.append(desk.by_operator(Kind.DEPOSIT, Deposit(name, 0), paid))
    return sent


def tariffs(
    scenario: Scenario, profiles: Profiles, prices: Sequence[SlotPrices], desk: Desk, day: int
) -> list[Signed]:
    """One transaction for each run of a day's slots with the same prices.

    Args:
        scenario: whose region the fee goes to.
        profiles: the days and their slots.
        prices: of every slot of the run.
        desk: signs.
        day: which day of the run, from 0.
    """
    first, end = profiles.days[day]
    billing_day = (scenario.first_day + timedelta(days=day)).isoformat()
    sent = []
    for price, run in groupby(range(first, end), key=prices.__getitem__):
        indices = list(run)
        tariff = SlotTariff(
            price.retail_micro_per_kwh,
            price.feed_in_micro_per_kwh,
            price.network_fee_micro_per_kwh,
            scenario.tariff.region,
            billing_day,
        )
        start_s = profiles.slots[indices[0]].start_s
        body = SetTariff(scenario.market_id, start_s, len(indices), tariff, 0)
        sent.append(desk.by(PRICE_AUTHORITY, Kind.TARIFF, body))
    return sent
