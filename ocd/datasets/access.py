"""Who may touch which rows: the roles, and each scope as a condition over a table's columns.

The policies in `migrations/sql/access/` are written by hand; tests and the audit compare the live
ones with what is said here.
"""

from __future__ import annotations

from ocd.datasets.facts import Access, Scope, Verb

READ = (Verb.SELECT,)
ADD = (Verb.INSERT,)
CHANGE = (Verb.UPDATE,)
EVERYTHING = tuple(Verb)

#: They see every row whatever the policies say (BYPASSRLS), so no policy names them.
BYPASSING = frozenset({"ocd_worker", "service_role"})
#: Roles that a person or program is switched to, by PostgREST or by the `ocd_api` login.
SWITCHED = (
    "ai_readonly",
    "analytics_reader",
    "annotator",
    "authenticated",
    "monitoring_team",
    "operator_readonly",
    "qa_team",
    "support_webhook",
)
#: Every role that the specification speaks about; `anon` and PUBLIC are granted nothing.
ROLES = ("anon", *SWITCHED, "ocd_reader", *sorted(BYPASSING))

SERVICES = (Access("ocd_worker", EVERYTHING), Access("service_role", EVERYTHING))
#: For records of what happened: what is written is never changed, only deleted when its time is over.
KEEPERS = tuple(
    Access(role, (Verb.SELECT, Verb.INSERT, Verb.DELETE)) for role in ("ocd_worker", "service_role")
)
WORKER = (Access("ocd_worker", EVERYTHING),)

#: Mirrors that are no datasets: fetched again at any time, or kept as history that nothing purges.
MIRRORS_READ: dict[str, tuple[Access, ...]] = {
    f"landing.{table}": (*WORKER, Access("ocd_reader", READ))
    for table in (
        "ga_quota",
        "ga_request",
        "ga_restatement",
        "ga_row",
        "ga_usage",
        "sitemap_file",
        "sitemap_held",
        "sitemap_page",
        "sitemap_url",
    )
}

#: The claims of `request.jwt.claims` that a scope asks for, and the column each must equal.
CLAIMS: dict[Scope, tuple[str, str]] = {
    Scope.CONVERSATION: ("conversation_id", "conversation_id"),
    Scope.DECISIONS: ("scope", "scope"),
    Scope.PROJECT: ("project", "project"),
    Scope.REQUEST: ("request_id", "request_id"),
    Scope.SHOP: ("shop_domain", "shop_domain"),
    Scope.SIGNED: ("annotator", "sub"),
}

_CLAIM = "( SELECT (auth.jwt() ->> '{claim}'::text))"


def _claimed(scope: Scope) -> str:
    column, claim = CLAIMS[scope]
    return f"({column} = {_CLAIM.format(claim=claim)})"


#: Who does not say in which scope they decide, decides in `ops`.
_DECISIONS = (
    """(scope = ( SELECT COALESCE((auth.jwt() ->> 'scope'::text), 'ops'::text) AS "coalesce"))"""
)
_OWN = {
    scope: _claimed(scope)
    for scope in (Scope.CONVERSATION, Scope.PROJECT, Scope.REQUEST, Scope.SHOP)
}
#: Which rows are seen (USING) and which may be written (WITH CHECK), as PostgreSQL prints them.
VISIBLE: dict[Scope, str] = _OWN | {
    Scope.ALL: "true",
    Scope.DECISIONS: _DECISIONS,
    Scope.SIGNED: "true",
}
WRITABLE: dict[Scope, str] = _OWN | {
    Scope.DECISIONS: _DECISIONS,
    Scope.SIGNED: _claimed(Scope.SIGNED),
    Scope.UNDECIDED: "((status = 'pending'::text) AND (reviewed_by IS NULL) AND (reviewed_at IS NULL))",
}
