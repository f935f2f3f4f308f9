"""Orders of one slot, open or sealed, from quotes to what the clearing made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gridpact.agents import Quote, first_shade, next_shade, quotes
from gridpact.codec import encode, sha256
from gridpact.contracts.bodies import (
    Kind,
    OrderPayload,
    PlaceOrder,
    RevealOrder,
    SealOrder,
    order_commitment,
)
from gridpact.contracts.keys import position_key
from gridpact.model import (
    PlacedOrder,
    Quoting,
    Side,
    SlotContracts,
    Verdict,
)
from gridpact.pipeline.lines import Trade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import Profiles, Scenario, SlotPrices
    from gridpact.pipeline.desk import Desk


class _Sealed(NamedTuple):
    """A sealed order that waits for its reveal."""

    quote: Quote
    nonce: int
    salt: bytes


class OrderDesk:
    """Quotes for all members, sends their orders, and reads what they traded."""

    def __init__(self, scenario: Scenario, profiles: Profiles, desk: Desk) -> None:
        self._scenario, self._profiles, self._desk = scenario, profiles, desk
        self._rows = {m.participant_id: row for row, m in enumerate(scenario.members)}
        self._shades = {
            member.participant_id: first_shade(member.agent.shade_max_percent)
            for member in scenario.members
            if member.agent.quoting is Quoting.ADAPTIVE
        }
        self._waiting: list[_Sealed] = []
        self.sealed = scenario.sealed_deposit_micro > 0
        """Whether orders are sealed until gate closure."""

    async def place(
        self, index: int, expected_wh: Sequence[int], prices: SlotPrices
    ) -> tuple[PlacedOrder, ...]:
        """Every member that expects energy sends one order; sealed ones are revealed later.

        Returns:
            The orders that were taken, by participant.
        """
        scenario, slot = self._scenario, self._profiles.slots[index]
        made = quotes(
            scenario.members, expected_wh, prices, slot, scenario.seed, self._shades or None
        )
        if self.sealed:
            self._waiting = await self._seal(slot.start_s, made)
            return tuple(_placed(waiting.quote) for waiting in self._waiting)
        body = PlaceOrder(scenario.market_id, slot.start_s)
        verdicts = await self._desk.send(
            self._desk.by(
                quote.participant_id, Kind.ORDER, body, _payload(quote), expiry_s=slot.start_s
            )
            for quote in made
        )
        taken = zip(made, verdicts, strict=True)
        return tuple(_placed(quote) for quote, verdict in taken if verdict == Verdict.ACCEPTED)

    async def _seal(self, start_s: int, made: Sequence[Quote]) -> list[_Sealed]:
        """Send what each order hashes to."""
        wallet, market = self._desk.wallet, self._scenario.market_id
        sealed, sent = [], []
        for quote in made:
            sender = quote.participant_id
            nonce = wallet.next_nonce(sender)
            salt = wallet.keys.salt(sender, nonce)
            hashed = sha256(salt + encode(_payload(quote)))
            body = SealOrder(market, start_s, order_commitment(sender, market, start_s, hashed))
            sealed.append(_Sealed(quote, nonce, salt))
            sent.append(self._desk.by(sender, Kind.SEALED_ORDER, body, expiry_s=start_s))
        verdicts = await self._desk.send(sent)
        taken = zip(sealed, verdicts, strict=True)
        return [waiting for waiting, verdict in taken if verdict == Verdict.ACCEPTED]

    async def reveal(self, index: int) -> None:
        """Open the slot's sealed orders, after its gate is closed."""
        start_s = self._profiles.slots[index].start_s
        await self._desk.send(
            self._desk.wallet.write(
                waiting.quote.participant_id,
                Kind.REVEAL,
                RevealOrder(self._scenario.market_id, start_s, waiting.nonce),
                _payload(waiting.quote),
                expiry_s=start_s,
                salt=waiting.salt,
            )
            for waiting in self._waiting
        )
        self._waiting = []

    async def trades(self, index: int, placed: Sequence[PlacedOrder]) -> list[Trade]:
        """What the clearing agreed, by number, as it stands on the ledger."""
        start_s = self._profiles.slots[index].start_s
        sellers = sorted({order.participant_id for order in placed if order.side == Side.OFFER})
        market = self._scenario.market_id
        keys = [position_key("contracts", seller, market, start_s) for seller in sellers]
        trades: list[Trade] = []
        for seller, held in zip(sellers, await self._desk.engine.values(keys), strict=True):
            if isinstance(held, SlotContracts):
                trades.extend(
                    Trade(
                        contract.trade,
                        self._rows[seller],
                        self._rows[contract.counterparty],
                        contract.energy_wh,
                    )
                    for contract in held.contracts
                    if contract.side == Side.OFFER
                )
        return sorted(trades, key=lambda trade: trade.number)

    def learn(self, ordered_wh: Sequence[int], traded_wh: Sequence[int]) -> None:
        """Adaptive members move their shades by what they ordered and traded in a slot."""
        for name, shade in self._shades.items():
            row = self._rows[name]
            most = self._scenario.members[row].agent.shade_max_percent
            ordered, traded = abs(ordered_wh[row]), abs(traded_wh[row])
            self._shades[name] = next_shade(shade, most, ordered, traded)


def _payload(quote: Quote) -> OrderPayload:
    return OrderPayload(
        quote.side,
        quote.price_micro_per_kwh,
        quote.energy_wh,
        quote.limit_micro_per_kwh,
        quote.submitted_ms,
    )


def _placed(quote: Quote) -> PlacedOrder:
    return PlacedOrder(
        quote.participant_id,
        quote.side,
        quote.price_micro_per_kwh,
        quote.energy_wh,
        quote.limit_micro_per_kwh,
    )
