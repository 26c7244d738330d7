"""Sessions: what the agent did, item by item, kept over restarts.

A session has no stored state: its state follows from its last item. So an agent that was killed
between two items finds the session `running`, and goes on with the next one.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sinkd.demo import database
from sinkd.spec import JSONValue

Kind = Literal["message", "reasoning", "tool_call", "approval_request", "decision", "result"]
State = Literal["running", "waiting_for_input", "completed"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happened in a session; `at` is None until it is kept."""

    kind: Kind
    text: str
    data: Mapping[str, JSONValue] = field(default_factory=dict)
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One piece of work of the agent; `run_id` names the run that asked for it, if one did."""

    id: str
    run_id: str | None
    created_at: int
    items: tuple[Item, ...]

    @property
    def state(self) -> State:
        """What the session is about, as its last item tells."""
        match self.items[-1:]:
            case (Item(kind="approval_request"),):
                return "waiting_for_input"
            case (Item(kind="result"),):
                return "completed"
        return "running"

    @property
    def decision(self) -> str | None:
        """What a person decided, `approve` or `reject`; None before that."""
        decisions = [str(item.data["decision"]) for item in self.items if item.kind == "decision"]
        return decisions[0] if decisions else None


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions in the database at `path`; `now` reads the clock in Unix seconds."""

    path: Path
    now: Callable[[], float]

    def create(self, run_id: str | None) -> str:
        """Return the id of a new session, or of the one that this run already has."""
        with database.transaction(self.path) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)",
                (new_id := f"ses_{secrets.token_hex(8)}", run_id, int(self.now())),
            )
            row = connection.execute(
                "SELECT id FROM sessions WHERE id = ? OR run_id = ?", (new_id, run_id)
            ).fetchone()
            return str(row["id"])

    def append(self, session: Session, item: Item) -> bool:
        """Keep the item after those the session has; False when another one came first."""
        with database.transaction(self.path) as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?)",
                (
                    session.id,
                    len(session.items),
                    item.kind,
                    item.text,
                    json.dumps(item.data),
                    int(self.now()),
                ),
            )
            return added.rowcount == 1

    def get(self, session_id: str) -> Session | None:
        """Return one session, or None when there is none of this id."""
        with database.transaction(self.path) as connection:
            rows = connection.execute("SELECT * FROM sessions WHERE id = ?", (session_id,))
            return next((_session(connection, row) for row in rows), None)

    def all(self) -> list[Session]:
        """Return every session, newest first."""
        with database.transaction(self.path) as connection:
            rows = connection.execute("SELECT * FROM sessions ORDER BY created_at DESC, rowid DESC")
            return [_session(connection, row) for row in rows]


def _session(connection: sqlite3.Connection, row: sqlite3.Row) -> Session:
    items = connection.execute(
        "SELECT kind, text, data, at FROM items WHERE session_id = ? ORDER BY position",
        (row["id"],),
    )
    return Session(
        row["id"],
        row["run_id"],
        row["created_at"],
        tuple(Item(kind, text, json.loads(data), at) for kind, text, data, at in items),
    )
