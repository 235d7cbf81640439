"""Rules for the agent tables."""

from __future__ import annotations

from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Dataset
from ocd.quality.rules import Dimension, Rule, Severity

_C, _K, _T, _V = (
    Dimension.COMPLETENESS,
    Dimension.CONSISTENCY,
    Dimension.TIMELINESS,
    Dimension.VALIDITY,
)


def _filled(dataset: Dataset, column: str) -> Rule:
    return Rule(
        f"{dataset.name}.{column}.filled",
        dataset,
        _C,
        Severity.ERROR,
        f"coalesce(btrim({column}), '') <> ''",
        f"{column} is not blank.",
    )


def _rubric(key: str) -> Rule:
    condition = f"rubric -> '{key}' is null or (jsonb_typeof(rubric -> '{key}') = 'number' and rubric ->> '{key}' ~ '^[1-5]$')"
    return Rule(
        f"agent_feedback.rubric.{key}",
        AGENT_FEEDBACK,
        _V,
        Severity.ERROR,
        condition,
        f"{key} is an integer from 1 to 5.",
    )


def _updated(dataset: Dataset) -> Rule:
    return Rule(
        f"{dataset.name}.updated_at.order",
        dataset,
        _K,
        Severity.ERROR,
        "updated_at >= created_at",
        "A row is not updated before it is made.",
    )


RULES: tuple[Rule, ...] = (
    _filled(AGENT_APPROVALS, "conversation_id"),
    _updated(AGENT_APPROVALS),
    Rule(
        "agent_approvals.status.known",
        AGENT_APPROVALS,
        _V,
        Severity.ERROR,
        "status in ('pending', 'approved', 'rejected', 'expired')",
        "The status is one of four.",
    ),
    Rule(
        "agent_approvals.approved_by.named",
        AGENT_APPROVALS,
        _C,
        Severity.ERROR,
        "status not in ('approved', 'rejected') or approved_by is not null",
        "A decision names who made it.",
    ),
    Rule(
        "agent_approvals.resolved_at.set",
        AGENT_APPROVALS,
        _C,
        Severity.ERROR,
        "status = 'pending' or resolved_at is not null",
        "A decision has its time; without it the row is never purged.",
    ),
    Rule(
        "agent_approvals.pending.age",
        AGENT_APPROVALS,
        _T,
        Severity.WARN,
        "status <> 'pending' or created_at > cast(:now as timestamptz) - interval '90 days'",
        "Nothing waits longer than 90 days.",
    ),
    _filled(AGENT_FEEDBACK, "conversation_id"),
    _filled(AGENT_FEEDBACK, "input_text"),
    _filled(AGENT_FEEDBACK, "model_draft"),
    _updated(AGENT_FEEDBACK),
    _rubric("clarity"),
    _rubric("accuracy"),
    _rubric("tone"),
    Rule(
        "agent_feedback.annotator.named",
        AGENT_FEEDBACK,
        _C,
        Severity.ERROR,
        "safe_to_send is null or annotator is not null",
        "A judgement names who gave it.",
    ),
    _filled(AGENT_QUERIES, "conversation_id"),
    _filled(AGENT_QUERIES, "query"),
    _filled(AGENT_QUERIES, "agent"),
    _updated(AGENT_QUERIES),
    Rule(
        "agent_queries.latency_ms.range",
        AGENT_QUERIES,
        _V,
        Severity.WARN,
        "latency_ms between 0 and 60000",
        "An answer takes at most a minute.",
    ),
    Rule(
        "agent_queries.approved.unedited",
        AGENT_QUERIES,
        _K,
        Severity.INFO,
        "not (approved and human_edited)",
        "Approved as drafted; edited ones are wanted too, so this only informs.",
    ),
)
