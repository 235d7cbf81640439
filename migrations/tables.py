"""What every revision does that makes tables: look first, close them, refuse to drop rows."""

from __future__ import annotations

from collections.abc import Iterable

from alembic import op
from sqlalchemy import text

#: Supabase's default privileges give these everything on a new table; nothing is left to them unsaid.
UNTRUSTED = "public, anon, authenticated, service_role"


class AdoptionRefused(RuntimeError):
    """The database holds something that a revision would run over; the message says what to do."""


def is_offline() -> bool:
    """Whether SQL is only written down, for an empty database."""
    return op.get_context().as_sql


def refuse_existing(tables: Iterable[str]) -> None:
    """Refuse where a table of ours is there already, made by somebody else; changes nothing."""
    if is_offline():
        return
    found = [table for table in tables if _exists(table)]
    if found:
        mends = [f"{one}: alter table {one} rename to {_name(one)}_before_ocd" for one in found]
        raise AdoptionRefused(
            "tables of these names exist; rename them, upgrade, and copy their rows:\n  - "
            + "\n  - ".join(mends)
        )


def refuse_rows(tables: Iterable[str], revision: str) -> None:
    """Refuse to drop tables that hold rows."""
    if is_offline():
        return
    for table in tables:
        if op.get_bind().execute(text(f"select 1 from {table} limit 1")).first():  # noqa: S608
            raise AdoptionRefused(
                f"{table} holds rows; back it up and empty it before going below revision {revision}"
            )


def close(table: str) -> None:
    """Switch row security on for everybody and take away what nobody was meant to get."""
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"revoke all on table {table} from {UNTRUSTED}")
    op.execute(f"revoke all on sequence {table}_id_seq from {UNTRUSTED}")


def _exists(table: str) -> bool:
    found = op.get_bind().execute(text("select to_regclass(:table)"), {"table": table})
    return found.scalar() is not None


def _name(table: str) -> str:
    return table.split(".", 1)[1]
