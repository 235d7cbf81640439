"""What is planned is what is mended, every old value is kept, and comes back byte by byte."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text

from ocd.core.errors import (
    ApprovalNeeded,
    ConfigError,
    LeaseLost,
    PolicyRefused,
    RunDrained,
    UnknownName,
)
from ocd.datasets.agents import AGENT_FEEDBACK
from ocd.datasets.mirrors import CHATWOOT_CONVERSATIONS, SHOPIFY_ORDERS
from ocd.datasets.registry import DATASETS
from ocd.ledger import holds
from ocd.ledger.approvals import approve
from ocd.ledger.holds import Held
from ocd.quality.cleanse import apply as cleansing
from ocd.quality.cleanse import fixes, policy
from ocd.quality.cleanse import plan as plans
from ocd.quality.cleanse import revert as reverting
from tests.factories.agents import make_feedback
from tests.factories.clock import NOW

SECRET = "Ottoline"
CONVERSATION = text("""
    insert into landing.chatwoot_conversations
      (account_id, conversation_id, status, contact_name, labels, custom_attributes, fetched_at)
    values (1, :number, :status, :name, :labels, cast(:attributes as jsonb), :at) returning id
""")
CHANGES = text("select * from ocd.cleansing_change order by id")


def conversation(conn, number, **columns):
    attributes = {"email": "a@b.example", "phone": "+13125550199", "kept": [1.50, None, {"é": ""}]}
    values = {
        "number": number,
        "status": "open",
        "name": "Ann Lee",
        "labels": ["vip"],
        "attributes": json.dumps(attributes | columns.pop("attributes", {})),
        "at": NOW,
    }
    return conn.execute(CONVERSATION, values | columns).scalar_one()


FAULTY = (
    {"status": "Closed "},
    {"name": f" {SECRET}  Brandywine "},
    {"labels": ["vip", "vip", "late"]},
    {"attributes": {"email": " Ann@B.Example", "phone": "(312) 555-0199"}},
    {"attributes": {"purchased_on": "07.03.2026"}, "status": "done", "name": "Lee\tAnn"},
)
GOOD = (
    {},
    {"status": None, "name": None, "labels": None},
    {"name": "Ann Lee-O'Neil"},
    {"status": "lost"},
)


@pytest.fixture
def desk(conn):
    """Faulty conversations among good ones; returns the keys of the faulty."""
    for number, columns in enumerate(GOOD):
        conversation(conn, number, **columns)
    keys = [conversation(conn, 100 + n, **columns) for n, columns in enumerate(FAULTY)]
    conn.commit()
    return keys


def test_a_plan_counts_what_each_fix_mends_and_changes_nothing(desk, plan, rows_of):
    before = rows_of(CHATWOOT_CONVERSATIONS)

    found = plan(CHATWOOT_CONVERSATIONS)

    assert (found.rows, found.of_rows, found.last_key) == (5, 9, desk[-1])
    mended = {
        name.removeprefix("chatwoot_conversations."): n for name, n in found.counts.items() if n
    }
    assert mended == {
        "status.vocabulary": 2,
        "contact_name.trim": 1,
        "contact_name.spaces": 2,
        "labels.distinct": 1,
        "custom_attributes.email.trim": 1,
        "custom_attributes.email.email": 1,
        "custom_attributes.phone.phone": 1,
        "custom_attributes.purchased_on.date": 1,
    }
    assert rows_of(CHATWOOT_CONVERSATIONS) == before


def test_what_is_planned_is_what_is_rehearsed_and_what_is_done(conn, desk, plan, apply, rows_of):
    before = rows_of(CHATWOOT_CONVERSATIONS)
    planned = plan(CHATWOOT_CONVERSATIONS)

    rehearsed = cleansing.rehearse(conn, planned.hash)
    assert rows_of(CHATWOOT_CONVERSATIONS) == before
    done, _ = apply(planned.hash, batch_rows=2)

    assert (rehearsed.rows, rehearsed.fixes) == (done.rows, done.fixes) == (5, planned.counts)
    changed = [
        old for old, new in zip(before, rows_of(CHATWOOT_CONVERSATIONS), strict=True) if old != new
    ]
    assert [int(row[0]) for row in changed] == desk
    row = conn.execute(
        text("select * from landing.chatwoot_conversations where id = :id"), {"id": desk[4]}
    ).one()
    assert (row.status, row.contact_name) == ("resolved", "Lee Ann")
    assert row.custom_attributes["purchased_on"] == "2026-03-07"


def test_apply_and_revert_leave_every_byte_as_it_was(desk, plan, apply, revert, rows_of):
    before = rows_of(CHATWOOT_CONVERSATIONS)
    _, run = apply(plan(CHATWOOT_CONVERSATIONS).hash)
    assert rows_of(CHATWOOT_CONVERSATIONS) != before

    report = revert(run.id, batch_rows=2)

    assert rows_of(CHATWOOT_CONVERSATIONS) == before
    assert (report.rows, report.conflicts) == (5, 0)
    assert revert(run.id).rows == 0


def test_a_table_whose_trigger_dates_changes_comes_back_but_for_that_date(
    conn, plan, apply, revert, rows_of
):
    make_feedback(conn, annotator=" Mara@Shop.Example ", labels=["a", "b", "a"], safe_to_send=True)
    make_feedback(conn, annotator="mara", labels=[])
    before = rows_of(AGENT_FEEDBACK, "updated_at")

    _, run = apply(plan(AGENT_FEEDBACK).hash)

    mended = conn.execute(
        text("select annotator, labels from agent_feedback order by id limit 1")
    ).one()
    assert tuple(mended) == ("mara@shop.example", ["a", "b"])
    revert(run.id)
    assert rows_of(AGENT_FEEDBACK, "updated_at") == before


def test_a_second_run_changes_nothing(conn, desk, plan, apply, rows_of):
    planned = plan(CHATWOOT_CONVERSATIONS)
    apply(planned.hash)
    after = rows_of(CHATWOOT_CONVERSATIONS)

    again, _ = apply(planned.hash)

    assert again.rows == plan(CHATWOOT_CONVERSATIONS).rows == 0
    assert rows_of(CHATWOOT_CONVERSATIONS) == after
    assert len(conn.execute(CHANGES).all()) == 5


def test_every_old_and_new_value_is_kept_and_no_other(conn, desk, plan, apply):
    apply(plan(CHATWOOT_CONVERSATIONS).hash)

    changes = conn.execute(CHANGES).all()

    assert [one.row_key for one in changes] == desk
    assert (changes[0].before, changes[0].after) == ({"status": "Closed "}, {"status": "resolved"})
    assert set(changes[4].before) == {"status", "contact_name", "custom_attributes"}
    assert [one.conversation_id for one in changes] == ["100", "101", "102", "103", "104"]


CHANGED = {
    "another faulty row": "update landing.chatwoot_conversations set status = 'DONE' where conversation_id = 0",
    "another fault": "update landing.chatwoot_conversations set status = 'Solved' where conversation_id = 100",
    "a fault that somebody mended": "update landing.chatwoot_conversations set status = 'open' where conversation_id = 100",
    "a row that is gone": "delete from landing.chatwoot_conversations where conversation_id = 102",
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_rows_that_changed_since_the_plan_are_not_mended(conn, desk, plan, apply, change):
    planned = plan(CHATWOOT_CONVERSATIONS)
    conn.execute(text(change))
    conn.commit()

    with pytest.raises(PolicyRefused, match="changed since plan"):
        cleansing.rehearse(conn, planned.hash)
    with pytest.raises(PolicyRefused, match="changed since plan"):
        apply(planned.hash)

    assert conn.execute(CHANGES).all() == []


def test_rows_that_came_since_the_plan_do_not_disturb_it_and_are_not_mended(
    conn, desk, plan, apply
):
    planned = plan(CHATWOOT_CONVERSATIONS)
    late = conversation(conn, 500, status="Closed")
    conn.commit()

    report, _ = apply(planned.hash)

    assert report.rows == 5
    assert late not in {one.row_key for one in conn.execute(CHANGES)}


def test_a_fix_that_does_otherwise_since_is_refused(conn, desk, plan, apply, monkeypatch):
    planned = plan(CHATWOOT_CONVERSATIONS, "chatwoot_conversations.status.vocabulary")
    other = tuple(
        replace(one, fixer=replace(one.fixer, mends="'gone'")) if one.column == "status" else one
        for one in fixes.FIXES
    )
    monkeypatch.setattr(fixes, "FIXES", other)

    with pytest.raises(PolicyRefused, match="mend otherwise"):
        apply(planned.hash)


def test_only_the_fixes_that_were_named_are_made(conn, desk, plan, apply):
    apply(plan(CHATWOOT_CONVERSATIONS, "chatwoot_conversations.status.vocabulary").hash)

    assert {tuple(one.before) for one in conn.execute(CHANGES)} == {("status",)}


def test_what_was_changed_since_is_left_alone_and_listed(conn, desk, plan, apply, revert, rows_of):
    before = rows_of(CHATWOOT_CONVERSATIONS)
    _, run = apply(plan(CHATWOOT_CONVERSATIONS).hash)
    conn.execute(
        text("update landing.chatwoot_conversations set contact_name = 'New' where id = :id"),
        {"id": desk[4]},
    )
    conn.execute(
        text("update landing.chatwoot_conversations set priority = 'high' where id = :id"),
        {"id": desk[0]},
    )
    conn.execute(text("delete from landing.chatwoot_conversations where id = :id"), {"id": desk[2]})
    conn.commit()

    rehearsed = reverting.rehearse(conn, run.id)
    report = revert(run.id)

    assert (rehearsed.rows, rehearsed.conflicts) == (report.rows, report.conflicts) == (3, 2)
    assert report.conflict_keys == (desk[2], desk[4])
    row = conn.execute(
        text("select * from landing.chatwoot_conversations where id = :id"), {"id": desk[4]}
    ).one()
    assert (row.contact_name, row.status) == ("New", "resolved")
    back = {row[0]: row for row in rows_of(CHATWOOT_CONVERSATIONS)}
    assert back[str(desk[1])] == next(row for row in before if row[0] == str(desk[1]))


def test_a_plan_over_the_limit_asks_and_goes_on_once_somebody_consents(conn, plan, new_run):
    for number in range(policy.LEAST_ROWS):
        conversation(conn, number, status="Closed" if number < 21 else "open")
    planned = plan(CHATWOOT_CONVERSATIONS)
    run = new_run()

    with pytest.raises(ApprovalNeeded, match="21 of 100 rows"):
        cleansing.apply(conn, planned.hash, run=run)
    assert conn.execute(CHANGES).all() == []
    approve(conn, run.id, reason="agreed", approved_by="tobin", may_be_same=True)
    conn.commit()

    assert cleansing.apply(conn, planned.hash, run=run).rows == 21


def test_a_held_conversation_stays_as_it_is(conn, desk, plan, apply, revert, rows_of):
    holds.place(
        conn, CHATWOOT_CONVERSATIONS, Held(conversation_id="101"), reason="case", placed_by="mara"
    )
    planned = plan(CHATWOOT_CONVERSATIONS)

    report, _ = apply(planned.hash)

    assert planned.rows == report.rows == 4
    assert desk[1] not in {one.row_key for one in conn.execute(CHANGES)}


def test_a_table_that_is_held_whole_is_not_cleansed(conn, desk, plan):
    holds.place(conn, CHATWOOT_CONVERSATIONS, Held(), reason="case", placed_by="mara")

    assert plan(CHATWOOT_CONVERSATIONS).rows == 0


@pytest.mark.parametrize(
    "dataset",
    [one for one in DATASETS if one.name in fixes.IMMUTABLE or one.schema == "ocd"],
    ids=lambda one: one.name,
)
def test_records_of_what_happened_are_never_cleansed(dataset):
    with pytest.raises(PolicyRefused, match="never cleansed"):
        fixes.chosen(dataset)


def test_samples_show_shapes_of_personal_values_and_the_rest_as_it_is(conn, desk):
    found = plans.samples(conn, fixes.chosen(CHATWOOT_CONVERSATIONS))

    shown = {(one.column, one.before, one.after) for one in found}
    assert ("status", "Closed·", "resolved") in shown
    assert ("contact_name", "·Xxxxxxxx··Xxxxxxxxxx·", "Xxxxxxxx·Xxxxxxxxxx") in shown
    assert SECRET not in str(found)
    assert "Ann" not in str(found)


def test_reports_and_plans_hold_no_value(conn, desk, plan, apply, revert):
    planned = plan(CHATWOOT_CONVERSATIONS)
    report, run = apply(planned.hash)
    said = f"{planned} {report} {revert(run.id)} {conn.execute(text('select * from ocd.cleansing_plan')).all()}"

    assert SECRET not in said


def test_an_attempt_that_ended_between_batches_is_gone_on_with(conn, desk, plan, new_run):
    planned = plan(CHATWOOT_CONVERSATIONS)
    run = new_run()
    batches = itertools.count(1)
    draining = replace(run, is_draining=lambda: next(batches) == 7)

    with pytest.raises(RunDrained):
        cleansing.apply(conn, planned.hash, run=draining, batch_rows=1)
    mark = conn.execute(
        text("select checkpoint from ocd.run where id = :id"), {"id": run.id}
    ).scalar()
    report = cleansing.apply(conn, planned.hash, run=replace(run, checkpoint=mark), batch_rows=1)

    assert mark["rows"] == 3
    assert (report.rows, report.fixes) == (5, planned.counts)
    assert [one.row_key for one in conn.execute(CHANGES)] == desk


@pytest.fixture
def read(conn):
    """Rows of a table that were read so far, by whatever scan."""

    def deed(dataset):
        conn.execute(text("select pg_stat_force_next_flush()"))
        conn.commit()
        found = conn.execute(
            text("""
                select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables
                where relid = to_regclass(:table)
            """),
            {"table": dataset.table},
        ).scalar()
        conn.rollback()
        return found

    return deed


@pytest.mark.parametrize("every", [6, 500], ids=["many faults", "few faults"])
def test_a_batch_costs_what_it_looks_at_however_large_the_table(
    conn, db, plan, apply, revert, read, every
):
    rows = 3_000
    conn.execute(
        text("""
            insert into landing.chatwoot_conversations (account_id, conversation_id, contact_name, fetched_at)
            select 1, n, case when n % :every = 0 then ' Ann' else 'Ann' end, now() from generate_series(1, :rows) n
        """),
        {"every": every, "rows": rows},
    )
    conn.commit()
    planned = plan(CHATWOOT_CONVERSATIONS)
    before = read(CHATWOOT_CONVERSATIONS)

    with psycopg.connect(db.owner_url) as owner:  # as large as a table that was never analysed
        owner.execute("select pg_clear_relation_stats('landing', 'chatwoot_conversations')")
    _, run = apply(planned.hash, batch_rows=50)
    applied = read(CHATWOOT_CONVERSATIONS)
    revert(run.id, batch_rows=50)

    # Once to count again, once for the keys, once to mend; and each mended row by its key.
    assert applied - before < 5 * rows
    assert read(CHATWOOT_CONVERSATIONS) - applied < 3 * planned.rows + 100


def test_who_lost_the_lease_mends_nothing(conn, desk, plan, new_run, rows_of):
    planned = plan(CHATWOOT_CONVERSATIONS)
    before = rows_of(CHATWOOT_CONVERSATIONS)
    run = new_run()

    with pytest.raises(LeaseLost):
        cleansing.apply(conn, planned.hash, run=replace(run, fence=run.fence - 1))

    assert rows_of(CHATWOOT_CONVERSATIONS) == before
    assert conn.execute(CHANGES).all() == []


def test_unknown_plans_fixes_and_runs_say_what_to_do(conn, desk):
    with pytest.raises(ConfigError, match="cleanse plan TABLE"):
        cleansing.rehearse(conn, "0" * 16)
    with pytest.raises(UnknownName, match=r"status\.vocabulary"):
        fixes.chosen(CHATWOOT_CONVERSATIONS, ["chatwoot_conversations.status.vocabulry"])
    with pytest.raises(ConfigError, match="mended nothing"):
        reverting.rehearse(conn, 1)


@pytest.mark.parametrize(
    "dataset", dict.fromkeys(one.dataset for one in fixes.FIXES), ids=lambda one: one.name
)
def test_every_table_with_fixes_can_be_planned(plan, dataset):
    assert plan(dataset).rows == 0


def test_orders_keep_money_and_instants_to_the_last_digit(conn, plan, apply, revert, rows_of):
    conn.execute(
        text("""
            insert into landing.shopify_orders (shop_domain, order_id, currency, total_amount, created_at)
            values ('s', '1', ' usd ', 10.5000, '2026-11-01 00:00:00.123456Z'), ('s', '2', 'USD', 1, null)
        """)
    )
    before = rows_of(SHOPIFY_ORDERS)

    _, run = apply(plan(SHOPIFY_ORDERS).hash)

    assert conn.execute(
        text("select distinct currency from landing.shopify_orders")
    ).scalars().all() == ["USD"]
    revert(run.id)
    assert rows_of(SHOPIFY_ORDERS) == before
