"""The agent's books, which the smaller jobs keep: the quote cache and the order ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from sinkd.demo import database, research
from sinkd.instant import minute_text


class Figures(TypedDict):
    """What the books hold; an instant is None before the first refresh or sync."""

    quotes: int
    refreshed_at: int | None
    orders: int
    synced_at: int | None


@dataclass(frozen=True, slots=True)
class Books:
    """The books in the database at `path`; `now` reads the clock in Unix seconds."""

    path: Path
    now: Callable[[], float]

    def refresh_quotes(self) -> int:
        """Replace every cached quote by the price of this minute; return how many there are."""
        now = int(self.now())
        quotes = [
            (symbol, research.price(symbol, minute_text(now)), now)
            for symbol in research.MEAN_CENTS
        ]
        with database.transaction(self.path) as connection:
            connection.executemany("INSERT OR REPLACE INTO quotes VALUES (?, ?, ?)", quotes)
        return len(quotes)

    def sync_orders(self) -> int:
        """Copy the orders of approved sessions that the ledger lacks; return how many."""
        with database.transaction(self.path) as connection:
            return connection.execute(
                "INSERT INTO ledger"
                " SELECT session_id, json_extract(data, '$.order'), ? FROM items"
                " WHERE kind = 'result' AND json_extract(data, '$.order') IS NOT NULL"
                " ON CONFLICT DO NOTHING",
                (int(self.now()),),
            ).rowcount

    def figures(self) -> Figures:
        """Count what the books hold."""
        with database.transaction(self.path) as connection:
            quotes, refreshed_at = connection.execute(
                "SELECT count(*), max(refreshed_at) FROM quotes"
            ).fetchone()
            orders, synced_at = connection.execute(
                "SELECT count(*), max(synced_at) FROM ledger"
            ).fetchone()
        return {
            "quotes": quotes,
            "refreshed_at": refreshed_at,
            "orders": orders,
            "synced_at": synced_at,
        }
