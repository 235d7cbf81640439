"""Facts about views and functions: what they are for, and who may use them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A view runs with its reader's rights: the policies of the tables below decide about rows."""

    name: str  # schema-qualified
    description: str
    reads: tuple[str, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A function that somebody may call; every other one of ours is for triggers alone."""

    signature: str  # as PostgreSQL prints it: schema.name(argument type, …)
    description: str
    callers: tuple[str, ...]


VIEWS = (
    View(
        name="public.decision_sync_events",
        description="Attempts to carry a decision to the outside, newest first.",
        reads=("public.decision_sync_event_logs",),
        readers=("ai_readonly", "ocd_reader", "ocd_worker", "operator_readonly", "service_role"),
    ),
    View(
        name="landing.landing_page_sessions",
        description="Sessions per property, day and landing page, with their origin.",
        reads=("landing.ga_partition", "landing.ga_row"),
        readers=("ocd_reader", "ocd_worker"),
    ),
)

FUNCTIONS = (
    Function(
        signature="public.approve_gold_reply(submission bigint, reviewer text)",
        description="Approves a pending submission and files its sanitized reply.",
        callers=("ocd_worker", "service_role"),
    ),
)
