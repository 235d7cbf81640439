"""Indexes on tables that may be large: built and dropped while people go on writing.

`create index concurrently` takes no lock that a writer waits for, but cannot run inside a
transaction: a revision that uses these functions commits what was done before it, and does nothing
else. One that is broken off leaves an index that is never used; the next attempt drops and builds it.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from migrations.tables import is_offline

#: It waits for every transaction that is open when it starts. Nobody waits behind it meanwhile.
WAIT = "10min"


def build(revision: str, indexes: dict[str, str]) -> None:
    """Build each index (`schema.name` → `schema.table (columns) …`) that is not there yet."""
    with op.get_context().autocommit_block():
        _be_patient()
        for name, what in indexes.items():
            state = _state(name)
            if state == "valid":
                continue  # somebody else's; a downgrade leaves it to them
            if state == "broken":
                op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently if not exists {name.split('.')[1]} on {what}")
            _record(revision, name, what.split(" ", 1)[0])
        _be_hasty()


def drop(revision: str, indexes: dict[str, str]) -> None:
    """Drop those of the indexes that this revision built."""
    with op.get_context().autocommit_block():
        _be_patient()
        for name in indexes:
            if _was_built(revision, name):
                op.execute(f"drop index concurrently if exists {name}")
        _be_hasty()
    op.execute(
        f"delete from ocd.created_object where revision = '{revision}' and kind = 'index'"  # noqa: S608 - as above
    )


def _be_patient() -> None:
    op.execute("select set_config('ocd.lock_timeout', current_setting('lock_timeout'), false)")
    op.execute(
        "select set_config('ocd.statement_timeout', current_setting('statement_timeout'), false)"
    )
    op.execute(f"set lock_timeout = '{WAIT}'")
    op.execute("set statement_timeout = 0")


def _be_hasty() -> None:
    op.execute("select set_config('lock_timeout', current_setting('ocd.lock_timeout'), false)")
    op.execute(
        "select set_config('statement_timeout', current_setting('ocd.statement_timeout'), false)"
    )


def _state(name: str) -> str | None:
    """Return `valid` or `broken`; None where there is no such index."""
    if is_offline():
        return None
    found = op.get_bind().execute(
        text("select indisvalid from pg_index where indexrelid = to_regclass(:name)"),
        {"name": name},
    )
    row = found.first()
    return None if row is None else "valid" if row.indisvalid else "broken"


def _record(revision: str, name: str, table: str) -> None:
    op.execute(
        "insert into ocd.created_object (revision, kind, name, on_table) "  # noqa: S608 - constants of a revision
        f"values ('{revision}', 'index', '{name}', '{table}')"
    )


def _was_built(revision: str, name: str) -> bool:
    if is_offline():
        return True
    found = op.get_bind().execute(
        text("select 1 from ocd.created_object where revision = :r and name = :n"),
        {"r": revision, "n": name},
    )
    return found.first() is not None
