"""`clear`: one clearing on the user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem
from gridpact.files import write_atomically

if TYPE_CHECKING:
    from gridpact.market.solvers import MicrogridClearing
    from gridpact.model.microgrid_day import MicrogridDay

clear = typer.Typer(help="One clearing on a file.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(clear, name="clear")
    clear.command("auction")(clear_auction)
    clear.command("microgrid")(clear_microgrid)


@clear.callback()
def _clear() -> None:
    """One clearing on a file."""


def clear_auction(
    file: Annotated[Path, typer.Argument(help="Orders CSV; columns in docs/orders-csv.md.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Trades CSV; none when left out.")
    ] = None,
    tie: Annotated[str, typer.Option(help="Equal prices: pro_rata or time.")] = "pro_rata",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Two-stage double auction [WANG24] of every slot in the file.

    Example: `gridpact clear auction orders.csv -o trades.csv`
    """
    rules = {"pro_rata", "time"}
    if tie not in rules:
        raise InputError([Problem("--tie", f"{tie!r} is not one of: {', '.join(sorted(rules))}")])
    from gridpact.inputs.orders import read_orders, write_trades
    from gridpact.market.integer import clear_auction as clear_book
    from gridpact.model import TieRule

    rule = TieRule.TIME if tie == "time" else TieRule.PRO_RATA
    orders = read_orders(file)
    cleared = [(book, clear_book(book.bids, book.offers, rule)) for book in orders.books]
    if output is not None:
        write_trades(output, cleared)
    slots = []
    for book, result in cleared:
        slots.append(
            {
                "slot": book.slot,
                "bids": len(book.bids),
                "offers": len(book.offers),
                "trades": len(result.trades),
                "traded_wh": int(result.trades.energy_wh.sum()),
                "second_stage_wh": int(result.trades.energy_wh[result.trades.stage == 2].sum()),
                "reference_price_micro_per_kwh": result.reference_price_micro_per_kwh,
                "remaining_bid_wh": int(result.remaining_bid_wh.sum()),
                "remaining_offer_wh": int(result.remaining_offer_wh.sum()),
            }
        )
    if as_json:
        print_json({"file": str(file), "tie": tie, "slots": slots})
        return
    for slot in slots:
        typer.echo("  ".join(f"{key} {value}" for key, value in slot.items()))
    if output is not None:
        typer.echo(f"trades written to {output}")


def clear_microgrid(
    file: Annotated[
        Path | None,
        typer.Argument(help="A window (JSON), or aeps22, rural-quarters; aeps22 when left out."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the certificate here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Nash bargaining [AEPS22] of one window: costs alone and together, transfers, the proof.

    Example: `gridpact clear microgrid microgrids.json --json`
    """
    from gridpact.codec import encode
    from gridpact.inputs.microgrid_days import microgrid_day
    from gridpact.market.integer.microgrids import GAP_PPB_DEFAULT, verify
    from gridpact.market.solvers import clear_microgrids
    from gridpact.market.solvers.proposal import propose

    day = microgrid_day(file)
    cleared = clear_microgrids(day.terms, day.truth)
    weights = [1] * len(day.ids)
    certificate = propose(day.terms, day.truth, weights).certificate
    verdict = verify(day.terms, day.truth, weights, certificate, GAP_PPB_DEFAULT)
    found = _window(day, cleared) | {
        "certificate": {
            "bytes": len(encode(certificate)),
            "verdict": verdict.name,
            "transfer_nano": dict(zip(day.ids, certificate.transfer_nano, strict=True)),
        }
    }
    if output is not None:
        write_atomically(output, encode(certificate))
    if as_json:
        print_json(found)
        return
    typer.echo(f"{day.name}: surplus {cleared.surplus:,.2f} {day.currency}")
    heads = ("alone", "together", "gain", "transfer", "sold kWh", "bought kWh")
    typer.echo("".join(["".ljust(12), *(head.rjust(13) for head in heads)]))
    for name, row in found["microgrids"].items():
        typer.echo(name.ljust(12) + "".join(f"{value:13,.2f}" for value in row.values()))
    size = len(encode(certificate))
    typer.echo(f"certificate: {size:,} bytes, {verdict.name} within {GAP_PPB_DEFAULT / 1e9:g}")
    if output is not None:
        typer.echo(f"certificate written to {output}")


def _window(day: MicrogridDay, cleared: MicrogridClearing) -> dict[str, Any]:
    """What a clearing came to, by microgrid; money in currency."""
    net = cleared.together.net_sales_kwh
    rows = zip(
        day.ids,
        cleared.disagreement_costs.tolist(),
        cleared.net_costs.tolist(),
        cleared.gains.tolist(),
        cleared.transfers.sum(axis=1).tolist(),
        net.clip(0).sum(axis=1).tolist(),
        (-net).clip(0).sum(axis=1).tolist(),
        strict=True,
    )
    names = ("alone", "together", "gain", "transfer", "sold_kwh", "bought_kwh")
    microgrids = {name: dict(zip(names, row, strict=True)) for name, *row in rows}
    return {"day": day.name, "surplus": cleared.surplus, "microgrids": microgrids}
