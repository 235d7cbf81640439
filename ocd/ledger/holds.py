"""Legal holds: what must not be deleted until somebody releases it, whatever its age."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.datasets.facts import Dataset

_PLACE = statement(__file__, "place_hold.sql")
_FIND = statement(__file__, "find_hold.sql")

#: What tables call the conversation and the customer that a row belongs to.
CONVERSATION = ("conversation_id",)
CUSTOMER = ("customer_id", "shopify_customer_id")


@dataclass(frozen=True)
class Held:
    """Which rows of a dataset are held: those that fit everything that is said here; nothing said: all."""

    conversation_id: str | None = None
    customer_id: str | None = None
    held_from: datetime | None = None
    held_until: datetime | None = None

    def __str__(self) -> str:
        parts = [
            f"conversation {self.conversation_id}" if self.conversation_id else "",
            f"customer {self.customer_id}" if self.customer_id else "",
            f"from {self.held_from:%Y-%m-%d}" if self.held_from else "",
            f"until {self.held_until:%Y-%m-%d}" if self.held_until else "",
        ]
        return " ".join(part for part in parts if part) or "every row"


def column_of(dataset: Dataset, names: tuple[str, ...]) -> str | None:
    """Return the dataset's column of one of these names; None where it has none."""
    return next((one.name for one in dataset.columns if one.name in names), None)


def free(dataset: Dataset, row: str | None = None) -> sql.Composed:
    """Return the condition of rows that no open hold covers, as it is at the moment of the statement.

    `row` is what the statement calls the table, where not by its own name.

    A hold by something that the table does not know covers every row: what cannot be told apart stays.
    Where nothing of the dataset is held, the server finds that out once, and not for every row.
    """
    name = row or dataset.relation
    conversation = column_of(dataset, CONVERSATION)
    named: list[sql.Composable] = [sql.SQL("true")]
    if conversation is not None:
        named = [
            sql.SQL("h.conversation_id is null"),
            # A condition of its own, so that the index finds the row's holds among many.
            _equals(name, "conversation_id", conversation),
        ]
    held = [
        sql.SQL("exists ({} and {} and {})").format(_open(dataset), one, _other(dataset, name))
        for one in named
    ]
    return sql.SQL("(not exists ({}) or not ({}))").format(
        _open(dataset), sql.SQL(" or ").join(held)
    )


def _open(dataset: Dataset) -> sql.Composed:
    return sql.SQL(
        "select from ocd.legal_hold h where h.released_at is null and h.dataset = {}"
    ).format(sql.Literal(dataset.name))


def _other(dataset: Dataset, row: str) -> sql.Composed:
    """Return what else a hold may say: the customer, a span of time."""
    customer = column_of(dataset, CUSTOMER)
    same = sql.SQL("true") if customer is None else _equals(row, "customer_id", customer)
    return sql.SQL("""(h.customer_id is null or {})
      and (h.held_from is null or coalesce({at} >= h.held_from, true))
      and (h.held_until is null or coalesce({at} < h.held_until, true))""").format(
        same, at=sql.Identifier(row, dataset.event_time)
    )


def _equals(row: str, held: str, column: str) -> sql.Composable:
    return sql.SQL("h.{} = {}::text").format(sql.Identifier(held), sql.Identifier(row, column))


def place(conn: Connection, dataset: Dataset, held: Held, *, reason: str, placed_by: str) -> int:
    """Hold rows; returns the hold's id. The caller commits.

    An open hold of the same rows stays as it is, and its id is returned. Raises ConfigError where the
    table does not know what the hold names.
    """
    for value, names, what in (
        (held.conversation_id, CONVERSATION, "conversations"),
        (held.customer_id, CUSTOMER, "customers"),
    ):
        if value is not None and column_of(dataset, names) is None:
            raise ConfigError(f"{dataset.name} knows no {what}; hold it whole, or a span of time")
    known = {"dataset": dataset.name} | asdict(held)
    conn.execute(_PLACE, known | {"reason": reason, "placed_by": placed_by})
    new: int = conn.execute(_FIND, known).scalar_one()
    return new


def release(conn: Connection, hold_id: int, *, released_by: str) -> None:
    """Let a hold go; raises ConfigError unless it is open. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.legal_hold set released_at = clock_timestamp(), released_by = :released_by
            where id = :id and released_at is null
        """),
        {"id": hold_id, "released_by": released_by},
    )
    if not done.rowcount:
        raise ConfigError(f"there is no open legal hold {hold_id}; see `ocd hold list`")


def holds(
    conn: Connection, *, dataset: str | None = None, with_released: bool = False
) -> list[dict[str, Any]]:
    """Return holds, of a dataset or all, oldest first."""
    rows = conn.execute(
        text("""
            select * from ocd.legal_hold where (:all or released_at is null)
              and (cast(:dataset as text) is null or dataset = :dataset) order by id
        """),
        {"all": with_released, "dataset": dataset},
    )
    return [dict(row) for row in rows.mappings()]


def of_row(row: dict[str, Any]) -> Held:
    """Return what a hold's row covers."""
    return Held(row["conversation_id"], row["customer_id"], row["held_from"], row["held_until"])
