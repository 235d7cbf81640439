"""No combination of flags, policy rows, holds and approvals deletes a held row or passes a cap unasked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ocd.core.errors import ApprovalNeeded, PolicyRefused
from ocd.datasets.agents import AGENT_QUERIES
from ocd.ledger import approvals, holds, retention
from ocd.ledger.holds import Held
from ocd.lifecycle.policy import SHARE_FROM_ROWS, Limits
from ocd.lifecycle.purge import Terms, purge
from tests.factories.clock import NOW

END = NOW.replace(hour=0)
COPIES = 40
CONVERSATIONS = ("a", "b")
#: Days that the dataset's own rules keep.
OWN = {"slow": 180, "fast": 30}
FORGET = (
    "delete from agent_queries",
    "update ocd.legal_hold set released_at = now(), released_by = 'x' where released_at is null",
    "update ocd.retention_policy set unset_at = now(), unset_by = 'x' where unset_at is null",
)
FILL = """
    insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at)
    select :n, '{}', :conversation, 'ops', case when :is_slow then 900 else 20 end, :at from generate_series(1, :copies)
"""


def days(number: int) -> timedelta:
    return timedelta(days=number)


@dataclass(frozen=True)
class Question:
    """So many equal rows of a conversation, of an age."""

    age: int
    is_slow: bool
    conversation: str

    @property
    def at(self) -> datetime:
        return END - days(self.age) - timedelta(hours=1)


@dataclass(frozen=True)
class Order:
    """What somebody types, and what the settings say."""

    days: int | None
    share_percent: int
    rows: int
    skew_s: int
    batch_rows: int

    @property
    def terms(self) -> Terms:
        return Terms(
            days=self.days,
            limits=Limits(self.share_percent, self.rows),
            clock_skew=timedelta(seconds=self.skew_s),
            batch_rows=self.batch_rows,
        )


questions = st.builds(
    Question, st.sampled_from([2, 25, 31, 50, 170, 200, 400]), st.booleans(), st.sampled_from(CONVERSATIONS)
)  # fmt: skip
orders = st.builds(
    Order,
    days=st.sampled_from([None, None, 1, 20, 30, 45, 190]),
    share_percent=st.sampled_from([20, 60, 100]),
    rows=st.sampled_from([50, 10**6]),
    skew_s=st.sampled_from([0, 0, -90]),
    batch_rows=st.sampled_from([1, 100, 5000]),
)
held = st.lists(
    st.one_of(
        st.builds(Held, st.sampled_from(CONVERSATIONS)),
        st.builds(Held, st.none(), st.none(), st.just(END - days(60)), st.just(END - days(30))),
        st.builds(Held, st.sampled_from(CONVERSATIONS), st.none(), st.just(END - days(100))),
        st.just(Held()),
    ),
    max_size=2,
)
longer = st.fixed_dictionaries(
    {}, optional={"fast": st.sampled_from([40, 180, 300]), "slow": st.sampled_from([180, 300])}
)


def covers(hold: Held, one: Question) -> bool:
    return (
        hold.conversation_id in {None, one.conversation}
        and (hold.held_from is None or one.at >= hold.held_from)
        and (hold.held_until is None or one.at < hold.held_until)
    )


@dataclass(frozen=True)
class Wanted:
    """Which rows go by an order, what that asks, and what makes it the same plan; said independently."""

    going: list[Question]
    asks: dict[str, int]
    periods: dict[str, int]


def wanted(rows, order, lengthened, placed) -> Wanted:
    policy = {rule: max(own, lengthened.get(rule, 0)) for rule, own in OWN.items()}
    periods = dict(policy)
    if order.days is not None:
        for rule, period in policy.items():
            is_shortest = period == min(policy.values())
            periods[rule] = order.days if is_shortest else max(period, order.days)
    going = [
        one
        for one in rows
        if one.age >= periods["slow" if one.is_slow else "fast"]
        and not any(covers(hold, one) for hold in placed)
    ]
    gone, share = len(going) * COPIES, 100 * len(going) / len(rows)
    asks = {
        "share": ceil(share) if gone >= SHARE_FROM_ROWS and share > order.share_percent else 0,
        "rows": gone if gone > order.rows else 0,
        "clock": abs(order.skew_s) if abs(order.skew_s) > 60 else 0,
        "below": max(0, min(policy.values()) - (order.days or 999)),
    }
    return Wanted(going, {name: amount for name, amount in asks.items() if amount}, periods)


class Desk:
    """A table of questions, and a run that purges it."""

    def __init__(self, conn, engine, store, keeper_for, start_run) -> None:
        self._conn, self._engine, self._store = conn, engine, store
        self._keeper_for, self._start_run = keeper_for, start_run
        self._example = 0
        self._rows: list[Question] = []

    def reset(self, rows, lengthened, placed) -> None:
        """Start over: with these rows, policy rows and holds, and a run that nobody asked about."""
        self._example += 1
        self._rows = rows
        with self._engine.begin() as conn:
            for statement in FORGET:
                conn.execute(text(statement))
            for rule, period in lengthened.items():
                retention.lengthen(conn, AGENT_QUERIES, rule, period, reason="r", set_by="x")
            for hold in placed:
                holds.place(conn, AGENT_QUERIES, hold, reason="case", placed_by="mara")
            for number, one in enumerate(rows):
                conn.execute(text(FILL), asdict(one) | {"n": str(number), "at": one.at, "copies": COPIES})  # fmt: skip

    def purge(self, order) -> str:
        """Purge, and say what came of it: gone, asks or refused."""
        subject = {"dataset": "agent_queries", "example": self._example}
        self.run = self._start_run("lifecycle.purge", subject=subject, lease_s=0)
        keeper = self._keeper_for(self.run)
        try:
            purge(self._conn, AGENT_QUERIES, run=self.run, store=self._store, keeper=keeper, now=NOW, terms=order.terms)  # fmt: skip
        except ApprovalNeeded:
            return "asks"
        except PolicyRefused:
            return "refused"
        return "gone"

    def approve(self) -> None:
        """Say yes to what the run asked."""
        with self._engine.begin() as conn:
            approvals.approve(conn, self.run.id, reason="yes", approved_by="x", may_be_same=False)

    def gone(self) -> list[Question]:
        """Return the questions of which no copy is left; none may be left in part."""
        self._conn.rollback()
        found = self._conn.execute(text("select query, count(*) from agent_queries group by 1"))
        there = {int(row[0]): row[1] for row in found}
        assert set(there.values()) <= {COPIES}
        return [one for number, one in enumerate(self._rows) if number not in there]


@pytest.fixture
def desk(conn, db, store, keeper_for, start_run, prove):
    prove()
    return Desk(conn, db.engine, store, keeper_for, start_run)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(questions, min_size=1, max_size=12),
    order=orders,
    again=orders,
    lengthened=longer,
    placed=held,
    is_approved=st.booleans(),
)
def test_holds_and_caps_cannot_be_bypassed(
    desk, rows, order, again, lengthened, placed, is_approved
):
    """Order a purge; where it asks, say yes or not, and order it anew with other flags."""
    desk.reset(rows, lengthened, placed)
    first = wanted(rows, order, lengthened, placed)

    outcome = desk.purge(order)

    if Held() in placed:
        assert (outcome, desk.gone()) == ("refused", [])
        return
    assert outcome == ("asks" if first.asks else "gone")
    assert desk.gone() == ([] if first.asks else first.going)
    if not first.asks:
        return
    if is_approved:
        desk.approve()
    second = wanted(rows, again, lengthened, placed)
    is_covered = is_approved and first.periods == second.periods and fits(second.asks, first.asks)
    assert desk.purge(again) == ("asks" if second.asks and not is_covered else "gone")
    assert desk.gone() == ([] if second.asks and not is_covered else second.going)


def fits(asks: dict[str, int], approved: dict[str, int]) -> bool:
    return all(approved.get(name, 0) >= amount for name, amount in asks.items())
