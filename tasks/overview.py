"""How the system stands, put together for `ocd status`: the ledger, the queues, the schedule."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from ocd.core.broker import QUEUES, queue_lengths
from ocd.core.db import now_of
from ocd.ledger import backfills, history, incidents, observe, pauses
from ocd.ledger.observe import Lease, Snapshot, Watched
from ocd.ledger.reconcile import SILENT_S
from ocd.sources.freshness import SourceAge, ages
from tasks.watch import watched

HOUSEKEEPERS = ("beat", "canary", "reconciler")
#: From bad to worse.
SEVERITIES = ("warning", "error", "critical")


@dataclass(frozen=True)
class Overview:
    """All that `ocd status` tells; `lengths` is None where Redis does not answer."""

    snapshot: Snapshot
    watched: tuple[Watched, ...]
    lengths: dict[str, int] | None
    bad: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    pauses: list[dict[str, Any]]
    backfills: list[dict[str, Any]]
    sources: list[SourceAge]

    def heard(self) -> dict[str, float | None]:
        """Return the seconds since each housekeeper was heard; None: never."""
        heard_at = self.snapshot.heard_at
        return {
            name: self.snapshot.age_s(heard_at[name]) if name in heard_at else None
            for name in HOUSEKEEPERS
        }

    def queues(self) -> list[dict[str, Any]]:
        """Return per queue what waits in the ledger and in Redis, and for how long."""
        found = {one.queue: one for one in self.snapshot.queues}
        return [
            {
                "queue": name,
                "queued": found[name].queued if name in found else 0,
                "oldest_s": self._age_s(found[name].oldest_at if name in found else None),
                "in_redis": None if self.lengths is None else self.lengths.get(name),
            }
            for name in (*QUEUES, *sorted(found.keys() - set(QUEUES)))
        ]

    def jobs(self) -> list[dict[str, Any]]:
        """Return per job its last good window, when it is due next, and what is wrong with it."""
        return [self._job(one) for one in self.watched]

    def running(self) -> list[dict[str, Any]]:
        """Return what is under way: how far it is, and how old its lease."""
        return [self._lease(one) for one in self.snapshot.leases]

    def severities(self) -> Counter[str]:
        """Return how many incidents are open of each severity."""
        return Counter(
            {
                severity: sum(
                    n for (_, found), n in self.snapshot.incidents.items() if found == severity
                )
                for severity in SEVERITIES
            }
        )

    def is_well(self) -> bool:
        """Whether nobody has to look: nothing is bad, late or overdue, and everyone answers or is heard."""
        is_silent = any(age is None or age > SILENT_S for age in self.heard().values())
        is_wrong = any(row["is_overdue"] or row["late"] for row in self.jobs())
        is_away = self.lengths is None
        return not (self.snapshot.incidents or self.bad or is_silent or is_wrong or is_away)

    def as_dict(self) -> dict[str, Any]:
        """Return everything for machines."""
        return {
            "at": self.snapshot.at,
            "is_well": self.is_well(),
            "heard_s": self.heard(),
            "queues": self.queues(),
            "open": {state.value: self.snapshot.total(state) for state in observe.OPEN},
            "jobs": self.jobs(),
            "running": self.running(),
            "needs_a_person": self.bad,
            "incidents": self.incidents,
            "pauses": self.pauses,
            "backfills": self.backfills,
            "sources": [asdict(one) | {"is_stale": one.is_stale} for one in self.sources],
        }

    def _job(self, one: Watched) -> dict[str, Any]:
        state = self.snapshot.jobs[one.job]
        due = one.cadence.next_due(self.snapshot.at) if one.entry else None
        return {
            "job": one.job,
            "entry": one.entry,
            "last_good": state.good_window,
            "last_good_age_s": self._age_s(state.good_until),
            "next_due": due,
            "is_overdue": self.snapshot.is_overdue(one),
            "is_paused": self.snapshot.is_paused(one),
            "late": state.late,
            "runs": {kind.value: n for kind, n in state.runs.items()},
        }

    def _lease(self, one: Lease) -> dict[str, Any]:
        return {
            "run": one.run_id,
            "job": one.job,
            "window": one.window,
            "subject": one.subject,
            "worker": one.worker,
            "runs_s": self._age_s(one.started_at),
            "lease_age_s": self._age_s(one.renewed_at),
            "lease_overdue_s": self._age_s(one.until),
            "done": one.done,
            "total": one.total,
            "note": one.note,
        }

    def _age_s(self, instant: Any) -> float | None:
        return None if instant is None else round(self.snapshot.age_s(instant), 3)


def overview(conn: Connection, redis_url: str | None) -> Overview:
    """Look at everything once; no Redis URL is a Redis that does not run."""
    jobs = watched()
    bad = observe.bad_ends(conn)
    return Overview(
        snapshot=observe.observe(conn, [one.job for one in jobs]),
        watched=jobs,
        lengths=queue_lengths(redis_url) if redis_url else None,
        bad=history.runs(conn, ids=bad, limit=len(bad)),
        incidents=incidents.incidents(conn),
        pauses=pauses.pauses(conn),
        backfills=[
            one
            for number in backfills.open_ids(conn)
            for one in backfills.backfills(conn, backfill_id=number)
        ],
        sources=ages(conn, now_of(conn)),
    )
