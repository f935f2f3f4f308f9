"""`clear`: one clearing on the user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

clear = typer.Typer(help="One clearing on a file of orders.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(clear, name="clear")
    clear.command("auction")(clear_auction)


@clear.callback()
def _clear() -> None:
    """One clearing on a file of orders."""


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
