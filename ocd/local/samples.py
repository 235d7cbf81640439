"""Sample rows of the agent tables: an invented shop's agents at work, and faults on request."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Dataset

#: Approvals younger than this may be pending; older ones would be findings of their own.
BACKLOG = timedelta(days=80)
#: Queries of one conversation.
TALK = 6

AGENTS = ("data", "engineer", "support", "marketing", "ai", "qa", "ops")
# Nobody: the people, cars and orders are invented.
PEOPLE = ("mara.quill", "tobin.ashgrove", "odette.farrow", "cass.lindqvist", "rufus.benbow")
CARS = ("32 roadster", "40 coupe", "55 wagon", "57 pickup", "69 fastback")
PARTS = ("PTFE hose", "AN-6 fitting", "fuel pump", "fuel filter", "regulator", "hardline kit")
_EXCHANGES = (
    ("Which {part} fits a {car}?", "For the {car} take the {part} in AN-6; AN-8 above 500 hp."),
    ("Is the {part} in stock?", "The {part} ships within two days."),
    ("Where is order #{order}?", "Order #{order} left the warehouse yesterday."),
    ("Can I run E85 through the {part}?", "Yes, every seal of the {part} stands E85."),
    ("How do I return a {part}?", "Unused within 30 days; the label for #{order} is in your mail."),
    ("What feeds a {car} with a return line?", "A 255 lph pump in the tank and one {part}."),
)
_LABELS = ("helpful", "accurate", "complete", "vague", "needs_improvement", "risky")
_INTERRUPTIONS = ("requires_human", "policy_check", "compliance_review", "pricing_approval")

Row = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """Where a row stands: the how-manieth, in which conversation, made and settled when."""

    number: int
    conversation: int
    created_at: datetime
    settled_at: datetime
    until: datetime

    @property
    def conversation_id(self) -> str:
        """The conversation as the agent tables name it."""
        return f"demo-{self.conversation}"


@dataclass(frozen=True)
class Sample:
    """How rows of one table are made, how many for so many agent rows, and how they are known again.

    `mark` is a constant SQL condition that holds for sample rows and no others. Most rows are younger
    than `recent`, so that few of them are past retention.
    """

    dataset: Dataset
    count: Callable[[int], int]
    make: Callable[[random.Random, Moment], Row]
    mark: str
    recent: timedelta = timedelta(days=28)


#: A conversation of a test or of a sample.
TALKED = "(conversation_id like 'demo-%' or conversation_id like 'test-%')"


def exchange(rng: random.Random) -> tuple[str, str]:
    """Return a question and its answer."""
    words = {
        "part": rng.choice(PARTS),
        "car": rng.choice(CARS),
        "order": rng.randrange(1000, 99_999),
    }
    question, answer = rng.choice(_EXCHANGES)
    return question.format_map(words), answer.format_map(words)


def _approval(rng: random.Random, at: Moment) -> Row:
    backlog = 20 if at.created_at > at.until - BACKLOG else 0
    status = rng.choices(("pending", "approved", "rejected", "expired"), (backlog, 30, 8, 2))[0]
    state = {
        "intent": rng.choice(("refund", "discount", "exchange")),
        "order": f"#{rng.randrange(1000, 99_999)}",
        "amount_cents": rng.randrange(900, 90_000),
    }
    return _common(at) | {
        "serialized": json.dumps(state),
        "last_interruptions": json.dumps([{"type": rng.choice(_INTERRUPTIONS)}]),
        "status": status,
        "agent": rng.choice(AGENTS),
        "approved_by": rng.choice(PEOPLE) if status in {"approved", "rejected"} else None,
        "resolved_at": None if status == "pending" else at.settled_at,
    }


def _feedback(rng: random.Random, at: Moment) -> Row:
    question, draft = exchange(rng)
    row: Row = _common(at) | {
        "input_text": question,
        "model_draft": draft,
        "safe_to_send": rng.choices((True, False, None), (70, 10, 20))[0],
        "labels": [],
        "rubric": "{}",
        "annotator": None,
        "meta": json.dumps({"confidence": round(rng.random(), 2), "model_version": "demo-1"}),
    }
    if row["safe_to_send"] is None:
        return row
    rubric = {key: rng.randint(1, 5) for key in ("clarity", "accuracy", "tone")}
    return row | {
        "labels": rng.sample(_LABELS, rng.randint(1, 2)),
        "rubric": json.dumps(rubric),
        "annotator": rng.choice(PEOPLE),
    }


def _query(rng: random.Random, at: Moment) -> Row:
    question, answer = exchange(rng)
    return _common(at) | {
        "query": question,
        "result": json.dumps({"answer": answer, "sources": rng.randint(1, 4)}),
        "agent": rng.choice(AGENTS),
        "approved": rng.choices((True, False, None), (60, 10, 30))[0],
        "human_edited": rng.random() < 0.15,
        # Median about 80 ms; some 4 % are slow.
        "latency_ms": min(5000, int(rng.lognormvariate(4.4, 0.5))),
    }


def _common(at: Moment) -> Row:
    return {
        "conversation_id": at.conversation_id,
        "created_at": at.created_at,
        "updated_at": at.settled_at,
    }


def _queries(rows: int) -> int:
    return rows - rows // 10 - rows * 3 // 10


def conversations(rows: int) -> int:
    """Return how many conversations so many agent rows are about."""
    return max(1, -(-_queries(rows) // TALK))


AGENT_SAMPLES = (
    Sample(AGENT_APPROVALS, lambda rows: rows // 10, _approval, TALKED),
    Sample(AGENT_FEEDBACK, lambda rows: rows * 3 // 10, _feedback, TALKED),
    Sample(AGENT_QUERIES, _queries, _query, TALKED),
)


def _back_in_time(row: Row) -> Row:
    return {"updated_at": row["created_at"] - timedelta(days=1)}


Fault = tuple[str, Callable[[Row], Row]]
#: Per table: the quality rule that is broken, and the columns that break it. Only what the tables'
#: own constraints allow.
FAULTS: Mapping[str, tuple[Fault, ...]] = {
    AGENT_APPROVALS.name: (
        (
            "agent_approvals.approved_by.named",
            lambda row: {
                "status": "approved",
                "approved_by": None,
                "resolved_at": row["updated_at"],
            },
        ),
        (
            "agent_approvals.resolved_at.set",
            lambda row: {"status": "expired", "resolved_at": None},
        ),
        ("agent_approvals.updated_at.order", _back_in_time),
    ),
    AGENT_FEEDBACK.name: (
        ("agent_feedback.rubric.clarity", lambda row: {"rubric": '{"clarity": "high"}'}),
        ("agent_feedback.rubric.accuracy", lambda row: {"rubric": '{"accuracy": 9}'}),
        (
            "agent_feedback.annotator.named",
            lambda row: {"safe_to_send": True, "annotator": None},
        ),
        ("agent_feedback.updated_at.order", _back_in_time),
    ),
    AGENT_QUERIES.name: (
        ("agent_queries.latency_ms.range", lambda row: {"latency_ms": 99_999}),
        ("agent_queries.query.filled", lambda row: {"query": " "}),
        ("agent_queries.updated_at.order", _back_in_time),
    ),
}
