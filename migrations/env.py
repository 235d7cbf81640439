"""How migrations run: as the owner login, one at a time, giving up rather than blocking people."""

from __future__ import annotations

import time

from alembic import context
from sqlalchemy import Connection, text

from migrations.compared import is_compared, is_other_type, metadata

#: A migration that cannot get its lock within this time gives way to the people using the table.
LOCK_TIMEOUT = "2s"
#: Longer statements say so themselves with `set local statement_timeout`.
STATEMENT_TIMEOUT = "60s"
#: Any constant: two migrations at once wait for each other.
ADVISORY_LOCK = 0x0CD_0001
#: How often the second one asks.
POLL_S = 0.2


def _configure(**where: object) -> None:
    context.configure(
        target_metadata=metadata(),
        include_schemas=True,
        include_object=is_compared,
        compare_type=is_other_type,
        version_table="alembic_version",
        version_table_schema="ocd",
        transaction_per_migration=False,
        **where,  # type: ignore[arg-type]
    )


def _wait_for_others(connection: Connection) -> None:
    """Take the lock, asking again and again rather than waiting inside a statement.

    A concurrent index build waits for every open statement, so it would wait for one that waits for it.
    """
    while True:
        taken = connection.execute(
            text("select pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}
        ).scalar()
        connection.commit()
        if taken:
            return
        time.sleep(POLL_S)


def _run_online(connection: Connection) -> None:
    _wait_for_others(connection)
    try:
        connection.execute(text("create schema if not exists ocd"))
        connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"set statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        _configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()


def _run_offline() -> None:
    """Write the SQL of `alembic upgrade head --sql`."""
    _configure(dialect_name="postgresql", as_sql=True)
    with context.begin_transaction():
        context.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        context.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT}'")
        context.execute("create schema if not exists ocd")
        context.run_migrations()


def main() -> None:
    """Run online on the connection that `ocd db` passes, or on the configured owner's."""
    if context.is_offline_mode():
        _run_offline()
        return
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run_online(connection)
        return
    from ocd.core.db import engine_for
    from ocd.core.settings import Settings

    with engine_for(Settings.from_environment().owner_url(), "migrate").connect() as own:
        _run_online(own)


main()
