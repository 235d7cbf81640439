"""What the audit asks, in the order in which a reader wants the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from ocd.core.sqlfiles import statement
from ocd.database import catalog, policies, rights
from ocd.database.findings import Check, Scene, Seen, Severity
from ocd.database.overdue import overdue
from ocd.database.policies import LivePolicy
from ocd.database.stack import second

_POLICIES = statement(__file__, "list_policies.sql")


def _asks(name: str) -> Callable[[Scene], Seen]:
    """Make a look that runs `sql/<name>`, with the limits and the instant as parameters."""
    query = statement(__file__, name)
    wanted = set(query.compile().params)

    def look(scene: Scene) -> Seen:
        known = asdict(scene.limits) | {"now": scene.now}
        rows = scene.conn.execute(query, {key: known[key] for key in wanted})
        return [(row.object, row.detail) for row in rows]

    return look


def _judges(judge: Callable[[list[LivePolicy]], Seen]) -> Callable[[Scene], Seen]:
    """Make a look that hands the live policies to a judge."""
    return lambda scene: judge(
        [
            LivePolicy(**row)
            for row in scene.conn.execute(_POLICIES, rights.LEDGER_TABLES).mappings()
        ]
    )


def _beyond(scene: Scene) -> Iterator[tuple[str, str]]:
    for right in sorted(rights.granted(scene.conn) - rights.said()):
        yield right.object, f"{right}, and no fact says so"
    for policy in sorted(rights.policies_granted(scene.conn) - rights.policies_said()):
        yield policy.table, f"a policy lets {policy.role} {policy.verb} rows that no fact gives"


def _lacking(scene: Scene) -> Iterator[tuple[str, str]]:
    for right in sorted(rights.said() - rights.granted(scene.conn)):
        yield right.object, f"{right} by the facts, but not here"
    for policy in sorted(rights.policies_said() - rights.policies_granted(scene.conn)):
        yield (
            policy.table,
            f"no policy lets {policy.role} {policy.verb} the rows that the facts give",
        )


def _drifted(scene: Scene) -> Iterator[tuple[str, str]]:
    found = catalog.drift(scene.conn)
    for way, lines in (("missing", found.missing), ("unexpected", found.unexpected)):
        for line in lines:
            kind, _, rest = line.partition(" ")
            yield f"{kind} {rest.split(' -- ')[0]}", f"{way}, says the lock file"


CHECKS = (
    Check(
        "row_security_off",
        Severity.ERROR,
        "Is row security on and forced?",
        "alter table … enable row level security, then force row level security",
        _asks("find_row_security_off.sql"),
    ),
    Check(
        "row_security_without_policy",
        Severity.WARN,
        "Does some policy let a row through?",
        "write a policy, or move the table out of public",
        _asks("find_row_security_without_policy.sql"),
    ),
    Check(
        "policy_per_row",
        Severity.WARN,
        "Is each claim read once per statement?",
        "wrap the call: (select auth.jwt() ->> '…')",
        _judges(policies.calls_per_row),
    ),
    Check(
        "policy_always_true",
        Severity.ERROR,
        "Does each policy leave something out?",
        "say which rows are meant, or name the role that may have all",
        _judges(policies.always_true),
    ),
    Check(
        "policies_add_up",
        Severity.WARN,
        "Is there one permissive policy per role and verb?",
        "merge them into one",
        _judges(policies.adding_up),
    ),
    Check(
        "view_runs_as_owner",
        Severity.ERROR,
        "Does each view run with its reader's rights?",
        "alter view … set (security_invoker = true)",
        _asks("find_owner_views.sql"),
    ),
    Check(
        "function_open",
        Severity.ERROR,
        "Can anybody call what runs as its owner?",
        "revoke execute on function … from public, or make it security invoker",
        _asks("find_open_functions.sql"),
    ),
    Check(
        "search_path_mutable",
        Severity.WARN,
        "Does each function look names up where its author meant?",
        "alter function … set search_path = ''",
        _asks("find_mutable_search_paths.sql"),
    ),
    Check(
        "materialized_view_in_reach",
        Severity.ERROR,
        "Can people read what knows no row security?",
        "revoke select on … from the role",
        _asks("find_reachable_materialized_views.sql"),
    ),
    Check(
        "rights_beyond_facts",
        Severity.ERROR,
        "May somebody do more than the facts say?",
        "revoke it, or say it in ocd/datasets and in a revision",
        _beyond,
    ),
    Check(
        "rights_lacking",
        Severity.WARN,
        "May everybody do what the facts say?",
        "ocd db upgrade, or grant it again",
        _lacking,
    ),
    Check(
        "schema_drift",
        Severity.WARN,
        "Is the schema the one of the lock file?",
        "take the change back, or write a revision and make schema-lock",
        _drifted,
    ),
    Check(
        "second_stack",
        Severity.ERROR,
        "Is there one database and one driver?",
        "unset the variable, or remove the package",
        second,
    ),
    Check(
        "retention_overdue",
        Severity.ERROR,
        "Was everything deleted in time?",
        "ocd runs --job lifecycle.purge says why it did not run",
        overdue,
    ),
    Check(
        "foreign_key_unindexed",
        Severity.WARN,
        "Is each foreign key found by an index?",
        "create index concurrently on the columns",
        _asks("find_unindexed_foreign_keys.sql"),
    ),
    Check(
        "no_primary_key",
        Severity.WARN,
        "Can each row be named?",
        "add a primary key",
        _asks("find_keyless_tables.sql"),
    ),
    Check(
        "index_duplicate",
        Severity.WARN,
        "Is each index the only one of its kind?",
        "drop index concurrently …",
        _asks("find_duplicate_indexes.sql"),
    ),
    Check(
        "index_unused",
        Severity.INFO,
        "Is each large index used?",
        "look at the queries, then drop index concurrently …",
        _asks("find_unused_indexes.sql"),
    ),
    Check(
        "bloat",
        Severity.INFO,
        "Are tables vacuumed and their statistics fresh?",
        "vacuum (analyze) …",
        _asks("find_bloat.sql"),
    ),
)
