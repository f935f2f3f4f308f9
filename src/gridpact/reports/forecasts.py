"""The part of the page about forecasts: how far they were from the meters."""

from __future__ import annotations

from gridpact.model import Forecasting, RunResult
from gridpact.reports.amounts import NO_BREAK, count_text, real_text
from gridpact.reports.elements import Heading, Section, pairs, wide_table
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.physics import forecast_sentence

KIND_TEXTS = {
    Forecasting.SEASONAL_NAIVE: "seasonal naive: the same slot of an earlier day",
    Forecasting.LEARNED: "learned: boosted trees on the history",
}


def forecasts_section(result: RunResult) -> Section | None:
    """Errors, and skill against the naive forecast; None when nothing was compared."""
    errors = result.forecast
    if not errors.values:
        return None
    facts = {
        "Forecast": KIND_TEXTS[result.scenario.forecasting],
        "Compared": f"{count_text(errors.values)} values: one per member and slot, net",
        "Mean absolute error": f"{real_text(errors.mae_wh, 1)}{NO_BREAK}Wh",
        "Of the naive forecast": f"{real_text(errors.naive_mae_wh, 1)}{NO_BREAK}Wh",
        "Skill": f"{real_text(100 * errors.skill, 1, signed=True)}{NO_BREAK}%; 100 is perfect, "
        "0 as good as naive",
        "Root mean square error": f"{real_text(errors.rmse_wh, 1)}{NO_BREAK}Wh",
        "Bias": f"{real_text(errors.bias_wh, 1, signed=True)}{NO_BREAK}Wh; plus: forecast too high",
    }
    body = joined(tag("p", forecast_sentence(result)), pairs(facts), _quantiles(result))
    return Section("forecasts", body)


def _quantiles(result: RunResult) -> Html:
    """How often meters stayed below each quantile; nothing when none was forecast."""
    errors = result.forecast
    if not errors.pinball_wh:
        return Html()
    rows = (
        (
            f"{real_text(100 * level, 0)}{NO_BREAK}%",
            f"{real_text(100 * errors.below.get(level, float('nan')), 1)}{NO_BREAK}%",
            real_text(loss, 2),
        )
        for level, loss in sorted(errors.pinball_wh.items())
    )
    headings = (
        Heading("Quantile"),
        Heading("Meters at or below it"),
        Heading("Mean pinball loss", "Wh"),
    )
    return joined(tag("h3", "Quantiles"), wide_table("Quantiles", headings, rows))
