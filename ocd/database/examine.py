"""Whether a database, such as one that was just restored, is closed to whom it must be closed. Yields faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from ocd.database import audit, rights
from ocd.database.findings import Severity, Stack
from ocd.datasets.access import CLAIMS
from ocd.datasets.facts import Dataset, Scope, Verb
from ocd.datasets.registry import DATASETS

#: What only a database that has lived can tell.
_OF_LIFE = frozenset({"retention_overdue", "second_stack"})
#: A claim that no row carries.
_STRANGER = (
    '{"conversation_id": "", "project": "", "request_id": "", "shop_domain": "", "scope": ""}'
)


def access(conn: Connection) -> Iterator[str]:
    """Compare rights and policies with the facts, then try: strangers see nothing, anon may not even ask."""
    yield from (f"{one}, the facts do not say so" for one in rights.granted(conn) - rights.said())
    yield from (f"lacks: {one}" for one in rights.said() - rights.granted(conn))
    differ = rights.policies_said() ^ rights.policies_granted(conn)
    yield from (f"policy on {one.table} for {one.role} is not as said" for one in differ)
    conn.rollback()
    for dataset in DATASETS:
        if not _is_refused(conn, "anon", dataset):
            yield f"anon reads {dataset.table}"
        if _is_claimed(dataset) and _seen(conn, "authenticated", dataset):
            yield f"whoever is signed in reads rows of others in {dataset.table}"


def _is_claimed(dataset: Dataset) -> bool:
    """Whether people who are signed in read their own rows of it, and no others."""
    return any(
        one.role == "authenticated"
        and Verb.SELECT in one.verbs
        and one.scope in set(CLAIMS) - {Scope.SIGNED}
        for one in dataset.access
    )


def _is_refused(conn: Connection, role: str, dataset: Dataset) -> bool:
    try:
        _seen(conn, role, dataset)
    except ProgrammingError:
        conn.rollback()
        return True
    return False


def _seen(conn: Connection, role: str, dataset: Dataset) -> bool:
    """Whether the role, with claims that fit no row, sees any; closes its transaction."""
    conn.execute(text("select set_config('role', :role, true)"), {"role": role})
    conn.execute(
        text("select set_config('request.jwt.claims', :claims, true)"), {"claims": _STRANGER}
    )
    table = sql.Identifier(dataset.schema, dataset.relation).as_string()
    found = conn.execute(text(f"select exists (select from {table})")).scalar_one()  # noqa: S608 - a name of ours, quoted
    conn.rollback()
    return bool(found)


def faults(conn: Connection, *, now: datetime) -> Iterator[str]:
    """Yield the audit's errors, but for those that tell of how a database is run rather than of what it is."""
    for one in audit.look(conn, now=now, stack=Stack({}, frozenset())):
        if one.severity is Severity.ERROR and one.check not in _OF_LIFE:
            yield f"{one.check}: {one.object}: {one.detail}"
