"""The simulated market, and what the trading agent makes of it; pure.

Every price follows from its symbol and a moment, so that the same day is researched to the same
end: a session that was cut short continues as if nothing had happened.
"""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from sinkd.demo.sessions import Item
from sinkd.spec import JSONValue

MEAN_CENTS: Final[Mapping[str, int]] = {
    "ALDER": 4_250,
    "BIRCH": 12_800,
    "CEDAR": 7_640,
    "MAPLE": 21_300,
    "ROWAN": 1_875,
}
BUDGET_CENTS: Final = 100_000
DAYS: Final = 5


def price(symbol: str, moment: str) -> int:
    """Return the symbol's simulated price in cents at a moment, whatever text names that."""
    swing = random.Random(f"{symbol} {moment}").uniform(-0.04, 0.04)  # noqa: S311 (a simulation)
    return round(MEAN_CENTS[symbol] * (1 + swing))


def dollars(cents: int) -> str:
    """Return an amount for people, `$1,234.50`."""
    return f"${cents / 100:,.2f}"


def script(day: date, decision: str | None) -> tuple[Item, ...]:
    """Return all items of a session of this day: up to its question, or with a decision its end."""
    research, order = _research(day)
    match decision:
        case None:
            return research
        case "approve":
            outcome: tuple[Item, ...] = (
                _tool_call(
                    "The order is sent to the simulated market.", "place_order", order, "ok"
                ),
                Item("result", f"Order placed: {order}.", {"order": order}),
            )
        case _:
            outcome = (Item("result", f"Order declined, nothing was bought: {order}."),)
    verb = "approved" if decision == "approve" else "rejected"
    decided = Item("decision", f"A person {verb} the order.", {"decision": decision})
    return (*research, decided, *outcome)


def _research(day: date) -> tuple[tuple[Item, ...], str]:
    """Return the items that lead to the question, and the order it is about."""
    days = [(day - timedelta(days=back)).isoformat() for back in reversed(range(DAYS))]
    history = {symbol: [price(symbol, moment) for moment in days] for symbol in MEAN_CENTS}
    rises = {symbol: prices[-1] / min(prices) - 1 for symbol, prices in history.items()}
    best = max(rises, key=rises.__getitem__)
    cents = history[best][-1]
    quantity = BUDGET_CENTS // cents
    order = f"{quantity} {best} at {dollars(cents)}, {dollars(quantity * cents)} in all"
    return (
        Item("message", "Mode research: look at the market and suggest at most one order."),
        Item(
            "reasoning",
            f"I compare {DAYS} daily prices of {len(history)} symbols and look for the one that "
            f"recovered most from its low. The budget is {dollars(BUDGET_CENTS)}.",
        ),
        _tool_call(
            f"Prices of {days[0]} to {days[-1]}.",
            "get_prices",
            {"symbols": list(history), "days": DAYS},
            {symbol: ", ".join(map(dollars, prices)) for symbol, prices in history.items()},
        ),
        Item(
            "reasoning",
            f"{best} stands {rises[best]:.1%} above its low, more than any other. "
            f"The budget allows {quantity}.",
        ),
        _tool_call(
            "The order keeps within its limits.",
            "check_limits",
            {"symbol": best, "quantity": quantity},
            {"total": dollars(quantity * cents), "budget": dollars(BUDGET_CENTS)},
        ),
        Item("approval_request", f"Buy {order}?"),
    ), order


def _tool_call(text: str, tool: str, arguments: JSONValue, result: JSONValue) -> Item:
    return Item("tool_call", text, {"tool": tool, "arguments": arguments, "result": result})
