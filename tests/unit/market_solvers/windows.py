"""Windows of microgrids to clear: the stand-in day, a plain microgrid to vary, and random ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from gridpact.inputs.microgrids import load_microgrids
from gridpact.model.microgrids import MicrogridBid, MicrogridTerms, Storage, Turbine

STANDIN = Path(__file__).parents[3] / "src/gridpact/data/microgrids/aeps22.json"
UWH = 10**6
"""In a Wh."""


def standin() -> tuple[MicrogridTerms, list[MicrogridBid]]:
    window = load_microgrids(STANDIN)
    return window.terms, list(window.bids)


def changed(value: Any, **fields: Any) -> Any:
    """The same struct with other fields."""
    return msgspec.structs.replace(value, **fields)


def terms_of(periods: int, **fields: Any) -> MicrogridTerms:
    plain = MicrogridTerms(
        retail_micro_per_kwh=[150_000] * periods,
        feed_in_micro_per_kwh=[45_000] * periods,
        fee_per_side_micro_per_kwh=5_000,
        end_micro_per_kwh=1_000_000,
    )
    return changed(plain, **fields)


def bid_of(
    load_wh: list[int],
    renewable_wh: list[int],
    *,
    flow_wh: int = 0,
    content_wh: tuple[int, int, int, int] = (0, 0, 0, 0),
    turbine: Turbine | None = None,
    demand_wh: list[int] | None = None,
    shortage: int = 50_000,
    permille: int = 950,
) -> MicrogridBid:
    """A microgrid without turbine and storage unless they are named; contents least, most, start,
    end."""
    low, high, start, end = (content * UWH for content in content_wh)
    return MicrogridBid(
        load_wh=load_wh,
        green_demand_wh=[load // 2 for load in load_wh] if demand_wh is None else demand_wh,
        renewable_wh=renewable_wh,
        shortage_micro_per_kwh=shortage,
        turbine=turbine or Turbine(0, 0, 0),
        storage=Storage(flow_wh, permille, permille, low, high, start, end),
    )


@st.composite
def bids(draw: st.DrawFn, periods: int, scale: int) -> MicrogridBid:
    def series(most: int) -> list[int]:
        return [draw(st.integers(0, most)) for _ in range(periods)]

    load = series(scale)
    low = draw(st.sampled_from((0, scale // 5)))
    high = low + draw(st.sampled_from((0, scale, 3 * scale)))
    return bid_of(
        load,
        series(draw(st.sampled_from((0, scale // 3, 2 * scale)))),
        flow_wh=draw(st.sampled_from((0, scale // 3, scale))),
        content_wh=(low, high, draw(st.integers(low, high)), draw(st.integers(0, high))),
        turbine=Turbine(
            draw(st.sampled_from((0, 15, 900))),
            draw(st.integers(0, 200_000)),
            draw(st.sampled_from((0, scale))),
        ),
        demand_wh=[draw(st.integers(0, energy)) for energy in load],
        shortage=draw(st.sampled_from((0, 40_000, 90_000))),
        permille=draw(st.sampled_from((700, 950, 1000))),
    )


@st.composite
def windows(
    draw: st.DrawFn, *, fee_min: int = 0, price_min: int = -50_000
) -> tuple[MicrogridTerms, list[MicrogridBid]]:
    """One to four microgrids, one to four periods, from Wh to MWh, sometimes twins."""
    periods = draw(st.integers(1, 4))
    scale = draw(st.sampled_from((30, 20_000, 5_000_000)))
    terms = terms_of(
        periods,
        retail_micro_per_kwh=[draw(st.integers(price_min, 250_000)) for _ in range(periods)],
        feed_in_micro_per_kwh=[draw(st.integers(price_min, 60_000)) for _ in range(periods)],
        fee_per_side_micro_per_kwh=draw(st.sampled_from((fee_min, 5_000, 90_000))),
        end_micro_per_kwh=draw(st.sampled_from((0, 100_000, 1_000_000))),
    )
    listed = draw(st.lists(bids(periods, scale), min_size=1, max_size=3))
    if draw(st.booleans()):
        listed.append(listed[0])
    return terms, listed
