"""Approvals: a run that passes a limit asks, ends refused, and goes on once a person has said yes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ApprovalNeeded, ConfigError, PolicyRefused
from ocd.ledger.run import Run


def require(
    conn: Connection, run: Run, *, fingerprint: str, asks: Mapping[str, int], question: str
) -> None:
    """Return where a person approved at least this much of exactly this; else ask, and raise ApprovalNeeded.

    `fingerprint` names what is asked (the hash of a plan); `asks` is a number per limit that is passed, none
    for nothing to ask; `question` is the same in words, without values of rows. Commits the question.
    """
    if not asks or _is_approved(conn, run.id, fingerprint, asks):
        return
    conn.rollback()
    with conn.begin():
        conn.execute(
            text("""
                insert into ocd.approval (run_id, fingerprint, asks, question, requested_by)
                select id, :fingerprint, cast(:asks as jsonb), :question, requested_by from ocd.run where id = :run_id
                on conflict (run_id) where approved_at is null do update
                  set fingerprint = excluded.fingerprint, asks = excluded.asks, question = excluded.question,
                    asked_at = excluded.asked_at
            """),
            {
                "run_id": run.id,
                "fingerprint": fingerprint,
                "asks": json.dumps(dict(asks)),
                "question": question,
            },
        )
    raise ApprovalNeeded(run.id, question)


def _is_approved(conn: Connection, run_id: int, fingerprint: str, asks: Mapping[str, int]) -> bool:
    given = conn.execute(
        text("""
            select asks from ocd.approval
            where run_id = :run_id and fingerprint = :fingerprint and approved_at is not null
        """),
        {"run_id": run_id, "fingerprint": fingerprint},
    ).scalars()
    return any(
        all(name in one and one[name] >= amount for name, amount in asks.items()) for one in given
    )


def approve(
    conn: Connection, run_id: int, *, reason: str, approved_by: str, may_be_same: bool
) -> dict[str, Any]:
    """Say yes to what the run asks; returns the approval. The caller takes the run up again, then commits.

    `may_be_same`: whoever ordered the run may approve it, too. Raises ConfigError without a reason,
    PolicyRefused where nothing is asked or a second person is needed.
    """
    if not reason.strip():
        raise ConfigError("--reason: say why, for whoever reads the ledger later")
    asked = conn.execute(
        text("select * from ocd.approval where run_id = :id and approved_at is null for update"),
        {"id": run_id},
    ).first()
    if asked is None:
        raise PolicyRefused(f"run {run_id} asks for nothing; see `ocd approvals`")
    if asked.requested_by == approved_by and not may_be_same:
        raise PolicyRefused(
            f"run {run_id} was ordered by {approved_by}; another person has to approve it"
        )
    row = conn.execute(
        text("""
            update ocd.approval set reason = :reason, approved_by = :approved_by, approved_at = clock_timestamp()
            where id = :id returning *
        """),
        {"id": asked.id, "reason": reason.strip(), "approved_by": approved_by},
    )
    return dict(row.mappings().one())


def approvals(conn: Connection, *, with_given: bool = False) -> list[dict[str, Any]]:
    """Return what is asked, oldest first, with the run's job, window and subject; given ones on request."""
    rows = conn.execute(
        text("""
            select a.*, r.job, r.window_label, r.subject from ocd.approval a join ocd.run r on r.id = a.run_id
            where :all or a.approved_at is null order by a.id
        """),
        {"all": with_given},
    )
    return [dict(row) for row in rows.mappings()]
