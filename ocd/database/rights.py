"""Who may do what: as the facts of the datasets say it, and as the live catalog has it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from ocd.core.sqlfiles import statement
from ocd.datasets.access import BYPASSING, MIRRORS_READ, VISIBLE, WRITABLE
from ocd.datasets.facts import Access, Verb
from ocd.datasets.registry import DATASETS
from ocd.datasets.views import FUNCTIONS, VIEWS

_RIGHTS = statement(__file__, "list_rights.sql")
_POLICIES = statement(__file__, "list_policies.sql")
#: Tables of ours that the facts speak of, beside everything in the shop's schemas.
LEDGER_TABLES = {"tables": [one.table for one in DATASETS if one.schema == "ocd"]}
#: An adopted table may count its ids by a sequence that its writers must reach.
_SEQUENCE = frozenset({"usage", "select", "update"})


@dataclass(frozen=True, order=True)
class Right:
    """`role` may do `verb` to `object`; to one column only, where `column` is not empty."""

    object: str
    role: str
    verb: str
    column: str = ""

    def __str__(self) -> str:
        column = f" of {self.column}" if self.column else ""
        return f"{self.role} may {self.verb} {self.object}{column}"


@dataclass(frozen=True, order=True)
class Policy:
    """The rows that `role` may `verb` in `table`: those it sees, and those it may leave behind."""

    table: str
    role: str
    verb: str
    using: str
    checked: str


def said() -> frozenset[Right]:
    """Return every right that the facts of datasets, views and functions give."""
    tables = [(one.table, access) for one in DATASETS for access in one.access]
    tables += [(table, access) for table, rights in MIRRORS_READ.items() for access in rights]
    found = {right for table, access in tables for right in _of_access(table, access)}
    found |= {Right(view.name, reader, "select") for view in VIEWS for reader in view.readers}
    found |= {
        Right(one.signature, caller, "execute") for one in FUNCTIONS for caller in one.callers
    }
    return frozenset(found)


def granted(conn: Connection) -> frozenset[Right]:
    """Return every right that the live catalog gives to anybody but an object's owner.

    What lets the worker and the service count ids is left out: it lets them see no row.
    """
    found = {
        Right(row.object, row.role, row.verb, row.column_name)
        for row in conn.execute(_RIGHTS, LEDGER_TABLES)
    }
    return frozenset(one for one in found if not _is_counting(one))


def _is_counting(right: Right) -> bool:
    is_sequence = right.object.endswith("_seq") and right.object not in {
        one.table for one in DATASETS
    }
    return is_sequence and right.role in BYPASSING and right.verb in _SEQUENCE


def policies_said() -> frozenset[Policy]:
    """Return the policies that the facts ask for: one per table, role and verb."""
    return frozenset(
        Policy(
            one.table,
            access.role,
            verb,
            "" if verb is Verb.INSERT else VISIBLE[access.scope],
            WRITABLE[access.scope] if verb in {Verb.INSERT, Verb.UPDATE} else "",
        )
        for one in DATASETS
        for access in one.access
        for verb in access.verbs
        if access.role not in BYPASSING
    )


def policies_granted(conn: Connection) -> frozenset[Policy]:
    """Return the live policies, one entry per role; restrictive ones are left out, they only narrow."""
    return frozenset(
        Policy(row.on_table, role, row.verb, _flat(row.using), _flat(row.checked))
        for row in conn.execute(_POLICIES, LEDGER_TABLES)
        if row.is_permissive
        for role in row.roles
    )


def _of_access(table: str, access: Access) -> set[Right]:
    return {
        Right(table, access.role, verb.value, column)
        for verb in access.verbs
        for column in (access.columns if _is_narrowed(verb) else ()) or ("",)
    }


def _is_narrowed(verb: Verb) -> bool:
    return verb in {Verb.INSERT, Verb.UPDATE}


def _flat(condition: str) -> str:
    return " ".join(condition.split())
