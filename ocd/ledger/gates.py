"""Gates: a table that was found unfit is shut off from the jobs that depend on it, until it is fit again.

Whoever judges a table closes and opens; whoever works on it asks `require` first. An override is an
approval: it names a person and a reason, and holds for the one run and these very causes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import PolicyRefused
from ocd.ledger import approvals
from ocd.ledger.run import Run


def close(conn: Connection, dataset: str, cause: str, *, run_id: int, summary: str) -> bool:
    """Close the gate of a dataset for a cause; returns whether it was open. The caller commits."""
    done = conn.execute(
        text("""
            insert into ocd.gate (dataset, cause, summary, run_id) values (:dataset, :cause, :summary, :run_id)
            on conflict (dataset, cause) where opened_at is null do nothing
        """),
        {"dataset": dataset, "cause": cause, "summary": summary, "run_id": run_id},
    )
    return bool(done.rowcount)


def open_again(conn: Connection, dataset: str, cause: str, *, run_id: int) -> bool:
    """Open the gate again; returns whether it was closed for this cause. The caller commits."""
    done = conn.execute(
        text("""
            update ocd.gate set opened_at = clock_timestamp(), opened_by = :run_id
            where dataset = :dataset and cause = :cause and opened_at is null
        """),
        {"dataset": dataset, "cause": cause, "run_id": run_id},
    )
    return bool(done.rowcount)


def closed(conn: Connection, datasets: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Return the closed gates of these datasets, of all by default; oldest first."""
    rows = conn.execute(
        text("""
            select id, dataset, cause, summary, run_id, closed_at from ocd.gate
            where opened_at is null and (cast(:names as text[]) is null or dataset = any (:names)) order by id
        """),
        {"names": None if datasets is None else list(datasets)},
    )
    return [dict(row) for row in rows.mappings()]


def require(conn: Connection, run: Run, datasets: Iterable[str]) -> None:
    """Return where every gate is open, or a person approved to pass the closed ones.

    Raises ApprovalNeeded, having asked; a dry run asks nobody and raises PolicyRefused.
    """
    found = closed(conn, datasets)
    if not found:
        return
    causes = "; ".join(f"{one['dataset']}: {one['summary']}" for one in found)
    question = f"{len(found)} closed gates of quality ({causes})"
    if run.is_dry:
        raise PolicyRefused(f"{question}; mend the data, then `ocd quality run`")
    ids = ",".join(str(one["id"]) for one in found)
    approvals.require(
        conn,
        run,
        fingerprint=hashlib.sha256(f"gates {ids}".encode()).hexdigest(),
        asks={"closed_gates": len(found)},
        question=question,
    )
