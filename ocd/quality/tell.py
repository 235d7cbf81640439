"""Tell people what a check found, once per cause, and close or open the gates of tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from ocd.ledger import gates, incidents
from ocd.ledger.run import Run
from ocd.quality.policy import Outcome, Status
from ocd.quality.results import Judged
from ocd.quality.rule import Severity

HOW_TO = "docs/how-to/check-quality.md"
#: What causes of incidents and gates begin with; the rule's id follows.
_CAUSE, _UNUSUAL = "quality:", "quality-unusual:"
#: … of a table that was left out; the table's name follows.
_LEFT_OUT = "quality-left-out:"
_GRAVITY = {Severity.WARN: "warning", Severity.ERROR: "error", Severity.BLOCK: "critical"}


def tell(conn: Connection, judged: Sequence[Judged], run: Run) -> None:
    """Open an incident per finding and per unusual number; close those of what is fine again."""
    fine = []
    for one in judged:
        rule = one.outcome.rule
        if one.outcome.is_finding and rule.severity in _GRAVITY:
            _open(conn, f"{_CAUSE}{rule.id}", said(one.outcome), _GRAVITY[rule.severity], run)
        elif is_cleared(one.outcome):
            fine.append(f"{_CAUSE}{rule.id}")
        if one.is_unusual:
            _open(conn, f"{_UNUSUAL}{rule.id}", unusual(one), "warning", run)
        elif one.number is not None:
            fine.append(f"{_UNUSUAL}{rule.id}")
    incidents.close_all(conn, fine)


def left_out(conn: Connection, refusals: Mapping[str, str | None], run: Run) -> None:
    """Open an incident per table that was not looked at; close those of tables that were."""
    for name, refusal in refusals.items():
        if refusal is not None:
            _open(conn, f"{_LEFT_OUT}{name}", refusal, "warning", run)
    looked_at = [f"{_LEFT_OUT}{name}" for name, refusal in refusals.items() if refusal is None]
    incidents.close_all(conn, looked_at)


def _open(conn: Connection, cause: str, summary: str, severity: str, run: Run) -> None:
    incidents.open_finding(
        conn, cause, run_id=run.id, summary=summary, severity=severity, how_to=HOW_TO
    )


def unusual(one: Judged) -> str:
    """Say in words what is unusual."""
    low, high = (one.usual.low, one.usual.high) if one.usual else (0, 0)
    return f"{one.outcome.rule.id} is {one.number:g}, usual is {low:g} to {high:g}"


def guard(conn: Connection, outcome: Outcome, run: Run) -> None:
    """Close the gate of a table that fails a blocking rule; open it where all rows are fine again.

    A blocking rule that is broken proves nothing, so it closes the gate, too.
    """
    rule = outcome.rule
    cause = f"{_CAUSE}{rule.id}"
    if rule.severity is Severity.BLOCK and outcome.is_finding:
        gates.close(conn, rule.source.name, cause, run_id=run.id, summary=said(outcome))
    elif rule.severity is Severity.BLOCK and is_cleared(outcome):
        gates.open_again(conn, rule.source.name, cause, run_id=run.id)


def retire(conn: Connection, known: Collection[str], run: Run) -> None:
    """Close incidents and open gates of rules that are no more: nothing would ever ask them again."""
    for prefix in (_CAUSE, _UNUSUAL):
        causes = incidents.open_causes(conn, prefix)
        incidents.close_all(conn, [one for one in causes if one.removeprefix(prefix) not in known])
    for gate in gates.closed(conn):
        cause = str(gate["cause"])
        if cause.startswith(_CAUSE) and cause.removeprefix(_CAUSE) not in known:
            gates.open_again(conn, gate["dataset"], cause, run_id=run.id)


def is_cleared(outcome: Outcome) -> bool:
    """Whether nothing in the table fails the rule: all rows were asked, or a constraint holds it."""
    return outcome.status is Status.PROVEN or (
        outcome.status is Status.PASSED and not outcome.is_only_new
    )


def said(outcome: Outcome) -> str:
    """Say a finding in words, without values of rows."""
    rule = outcome.rule
    if outcome.status is Status.BROKEN:
        return f"{rule.id} could not be asked: {outcome.detail}"
    what = f"{outcome.failed:,} of {outcome.rows:,} rows"
    if rule.is_of_table:
        what = outcome.detail or f"measured {outcome.value:g}"
    return f"{rule.id}: {what} fail “{rule.text}”"
