"""Rules of the agent tables.

A rule that a constraint enforces already is here too: an adopted table may lack the constraint.
"""

from __future__ import annotations

from functools import partial

from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES, FRESH_WITHIN
from ocd.datasets.facts import Dataset
from ocd.quality.rules import Dimension, Grain, Rule, Severity


def _rule(
    dimension: Dimension,
    dataset: Dataset,
    name: str,
    condition: str,
    description: str,
    severity: Severity = Severity.ERROR,
    grain: Grain = Grain.ROW,
) -> Rule:
    rule_id = f"{dataset.name}.{name}"
    return Rule(rule_id, dataset, dimension, severity, condition, description, grain)


_complete = partial(_rule, Dimension.COMPLETENESS)
_consistent = partial(_rule, Dimension.CONSISTENCY)
_timely = partial(_rule, Dimension.TIMELINESS)
_valid = partial(_rule, Dimension.VALIDITY)
_volume = partial(_rule, Dimension.VOLUME)


def _filled(dataset: Dataset, *columns: str) -> tuple[Rule, ...]:
    return tuple(
        _complete(
            dataset,
            f"{column}.filled",
            f"coalesce(btrim({column}), '') <> ''",
            f"{column} is there and not blank.",
        )
        for column in columns
    )


def _document(dataset: Dataset, column: str) -> Rule:
    return _complete(
        dataset,
        f"{column}.filled",
        f"coalesce(jsonb_typeof({column}), 'null') <> 'null'",
        f"{column} is there and not the JSON value null.",
    )


def _rubric(key: str) -> Rule:
    # CASE, because AND promises no order: a cast before the type test would raise on text.
    condition = f"""
        case jsonb_typeof(rubric -> '{key}') <> 'number'
          when true then false
          when false then cast(rubric ->> '{key}' as numeric) in (1, 2, 3, 4, 5)
        end"""
    return _valid(
        AGENT_FEEDBACK,
        f"rubric.{key}",
        condition,
        f"{key} is an integer from 1 to 5, or not given.",
    )


def _common(dataset: Dataset) -> tuple[Rule, ...]:
    """Rules that hold for every table that agents write."""
    instant = dataset.event_time
    fresh_days = FRESH_WITHIN.days
    return (
        *_filled(dataset, "conversation_id"),
        _consistent(
            dataset,
            "updated_at.order",
            "updated_at >= created_at",
            "A row is not updated before it is made.",
        ),
        _timely(
            dataset,
            "fresh",
            f"max({instant}) > cast(:now as timestamptz) - interval '{fresh_days} days'",
            f"The newest row is younger than {fresh_days} days.",
            Severity.WARN,
            Grain.TABLE,
        ),
        _volume(
            dataset,
            "volume",
            "count(*) > 0",
            "The table holds rows.",
            Severity.WARN,
            Grain.TABLE,
        ),
    )


_APPROVALS = (
    *_common(AGENT_APPROVALS),
    _document(AGENT_APPROVALS, "serialized"),
    *_filled(AGENT_APPROVALS, "status"),
    _valid(
        AGENT_APPROVALS,
        "status.known",
        "status in ('pending', 'approved', 'rejected', 'expired')",
        "The status is one of four.",
    ),
    _complete(
        AGENT_APPROVALS,
        "approved_by.named",
        "status not in ('approved', 'rejected') or coalesce(btrim(approved_by), '') <> ''",
        "A decision names who made it.",
    ),
    _complete(
        AGENT_APPROVALS,
        "resolved_at.set",
        "status = 'pending' or resolved_at is not null",
        "What is settled says when; without it the row is never purged.",
    ),
    _timely(
        AGENT_APPROVALS,
        "pending.age",
        "status <> 'pending' or created_at > cast(:now as timestamptz) - interval '90 days'",
        "Nothing waits for a decision longer than 90 days.",
        Severity.WARN,
    ),
)

_FEEDBACK = (
    *_common(AGENT_FEEDBACK),
    *_filled(AGENT_FEEDBACK, "input_text", "model_draft"),
    _valid(
        AGENT_FEEDBACK,
        "rubric.object",
        "jsonb_typeof(rubric) = 'object'",
        "The rubric is a JSON object.",
    ),
    _rubric("clarity"),
    _rubric("accuracy"),
    _rubric("tone"),
    _complete(
        AGENT_FEEDBACK,
        "annotator.named",
        "safe_to_send is null or coalesce(btrim(annotator), '') <> ''",
        "A judgement names who gave it.",
    ),
)

_QUERIES = (
    *_common(AGENT_QUERIES),
    *_filled(AGENT_QUERIES, "query", "agent"),
    _document(AGENT_QUERIES, "result"),
    _valid(
        AGENT_QUERIES,
        "latency_ms.range",
        "latency_ms between 0 and 60000",
        "An answer takes between nothing and a minute.",
    ),
    _consistent(
        AGENT_QUERIES,
        "approved.unedited",
        "not (approved and human_edited)",
        "Approved as drafted. Edited and then approved is wanted too, so this only informs.",
        Severity.INFO,
    ),
)

RULES: tuple[Rule, ...] = (*_APPROVALS, *_FEEDBACK, *_QUERIES)
