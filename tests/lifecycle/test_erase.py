"""Who asks to be forgotten is gone from tables, archives and receipts, and no restore brings them back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError, ContractBroken, PolicyRefused
from ocd.core.store import FolderStore
from ocd.datasets.agents import AGENT_FEEDBACK
from ocd.datasets.mirrors import SHOPIFY_ORDERS
from ocd.datasets.subjects import TRACED, Kind
from ocd.ledger import holds
from ocd.ledger.evidence import to_evidence
from ocd.ledger.holds import Held
from ocd.lifecycle import copying, erase, erasures, manifest, portions, tombstones
from ocd.lifecycle.restore import BACKUP, PURGE
from ocd.lifecycle.verify import verify
from tests.conftest import KEYS
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.clock import NOW
from tests.lifecycle.conftest import ERASURE_KEY
from tests.lifecycle.rows import add_queries, ids
from tests.lifecycle.test_unpurge import purge_run

OLD = NOW.replace(hour=0) - timedelta(days=31)
#: Ids that stand nowhere by chance.
TALK, NUMBER, CUSTOMER, ORDER = "talk-zebra-7f3a", "918273645546", "736455463728", "555000111222"
SAID = (f"conversation:{TALK}", f"conversation:{NUMBER}", f"customer:{CUSTOMER}")
ROWS = f"""
    insert into gold_reply_submissions (conversation_id, original_reply, category, payload_sha256)
      values ('{TALK}', 'r', 'return_refund', repeat('a', 64));
    insert into support_curated_replies (message_body, approver, conversation_id, submission_id)
      select 'm', 'a', '{TALK}', id from gold_reply_submissions;
    insert into landing.chatwoot_conversations (account_id, conversation_id) values (1, {NUMBER}), (1, 5);
    insert into landing.chatwoot_messages (account_id, message_id, conversation_id) values (1, 1, {NUMBER});
    insert into decision_log (scope, actor, action, external_ref) values ('ops', 'a', 'b', 'chatwoot:{NUMBER}');
    insert into observability_logs (message, metadata) values ('m', '{{"conversation_id": {NUMBER}}}');
    insert into facts (topic, key, value)
      values ('t', 'k', '{{"customer_id": "{CUSTOMER}"}}'), ('t', 'k', '"conversation_id"');
    insert into customer_segments (shopify_customer_id, primary_segment, lifecycle_stage)
      values ({CUSTOMER}, 'diy_builder', 'new');
    insert into landing.shopify_orders (shop_domain, order_id, customer_id)
      values ('s', 'gid://shopify/Order/{ORDER}', 'gid://shopify/Customer/{CUSTOMER}'),
             ('s', 'gid://shopify/Order/6', 'gid://shopify/Customer/7');
    insert into landing.shopify_order_lines (shop_domain, order_id, line_number)
      values ('s', 'gid://shopify/Order/{ORDER}', 1), ('s', 'gid://shopify/Order/6', 1);
    insert into agent_run (run_id, agent_name, metadata)
      values ('00000000-0000-4000-8000-000000000001', 'a', '{{"conversation_id": "{TALK}"}}'),
             (gen_random_uuid(), 'a', '{{"conversation_id": [1]}}');
    insert into agent_qc (run_id, quality_score) values ('00000000-0000-4000-8000-000000000001', 3);
"""


@pytest.fixture
def person(db):
    """Rows of one person in every table where one can stand, old and new, beside rows of others."""
    with db.engine.begin() as conn:
        for created_at in (OLD, NOW - timedelta(days=1)):
            for _ in range(3):
                make_query(
                    conn,
                    conversation_id=TALK,
                    query=f"about {TALK}",
                    latency_ms=1,
                    created_at=created_at,
                )
                make_feedback(conn, conversation_id=TALK, created_at=created_at)
            make_approval(conn, conversation_id=TALK, status="approved", created_at=created_at)
        conn.exec_driver_sql(ROWS)
    with db.engine.connect() as conn:
        add_queries(conn, 1200, created_at=OLD)
        add_queries(conn, 300, created_at=NOW)


def theirs(found: str | bytes) -> list[str]:
    """Ids of the person that stand in a text."""
    said = found if isinstance(found, str) else found.decode("utf-8", "replace")
    return [one for one in (TALK, NUMBER, CUSTOMER, ORDER) if one in said]


def dump(url: str) -> bytes:
    """Every row of every table of ours and of the shop, as text."""
    with psycopg.connect(url) as conn:
        tables = conn.execute("""
            select format('%I.%I', schemaname, tablename) from pg_tables
            where schemaname not in ('pg_catalog', 'information_schema')
        """).fetchall()
        rows = [
            row
            for (table,) in tables
            for (row,) in conn.execute(f"select t::text from {table} t").fetchall()
        ]
    return "\n".join(rows).encode()


def unpacked(store: FolderStore, *folders: str) -> bytes:
    """Every object of the store, as it lies there and as it unpacks."""
    names = [name for folder in folders for name in store.list(folder)]
    raw = [store.path(name).read_bytes() + name.encode() for name in names]
    raw += [b"".join(copying.read_back(store, name)) for name in names if name.endswith(".zst")]
    return b"\n".join(raw)


def test_nothing_of_the_person_is_left_in_tables_archives_or_the_ledger(
    db, conn, store, person, prove, delete, ask, forget
):
    prove()
    delete()
    before = ids(conn, "agent_queries")
    assert theirs(unpacked(store, "archives"))

    report = forget(ask(*SAID))

    assert theirs(dump(db.superuser_url)) == []
    assert theirs(unpacked(store, "archives", "erasures")) == []
    assert theirs(json.dumps(to_evidence(report))) == []
    assert report.tables == {
        "agent_approvals": 2,
        "agent_feedback": 6,
        "agent_queries": 3,
        "agent_run": 1,
        "agent_qc": 1,
        "decision_log": 1,
        "observability_logs": 1,
        "facts": 1,
        "gold_reply_submissions": 1,
        "support_curated_replies": 1,
        "customer_segments": 1,
        "chatwoot_conversations": 1,
        "chatwoot_messages": 1,
        "shopify_orders": 1,
        "shopify_order_lines": 1,
    }
    assert report.archived == {"agent_queries": 3}
    assert len(before) - len(ids(conn, "agent_queries")) == 3
    for table in (
        "landing.chatwoot_conversations",
        "landing.shopify_orders",
        "landing.shopify_order_lines",
        "agent_run",
        "facts",
    ):
        assert len(ids(conn, table)) == 1, f"{table} kept the rows of others"


def test_the_dry_run_lists_what_the_real_one_takes_and_changes_nothing(
    conn, store, person, prove, delete, back_up, ask, forget
):
    folder = back_up()
    prove()
    delete()
    number = ask(*SAID)
    before = {one.name: ids(conn, one.table) for one in TRACED}, unpacked(store, "archives")

    dry = forget(number, is_dry=True)

    assert (
        {one.name: ids(conn, one.table) for one in TRACED},
        unpacked(store, "archives"),
    ) == before
    real = forget(number)
    assert (dry.tables, dry.archived, dry.backups) == (real.tables, real.archived, real.backups)
    assert dry.backups == {folder: 26}


def test_the_archive_without_the_person_still_brings_the_others_back(
    conn, store, person, prove, delete, ask, forget, wish, undo
):
    prove()
    delete()
    run, left = purge_run(conn), ids(conn, "agent_queries")
    forget(ask(*SAID))

    report = undo(wish(PURGE, run))

    assert report.rows == 1200
    assert len(ids(conn, "agent_queries")) == len(left) - 3 + 1200
    kept = set(
        conn.execute(
            text("select name from ocd.artifact where kind = 'archive' and removed_at is null")
        ).scalars()
    )
    assert {name for name in store.list("archives") if name.endswith(".zst")} == kept


def test_what_the_ledger_said_of_the_archive_before_stays(
    conn, store, person, prove, delete, ask, forget
):
    prove()
    delete()
    before = conn.execute(text("select * from ocd.purge_chunk order by number")).all()

    number = ask(*SAID)
    forget(number)

    assert conn.execute(text("select * from ocd.purge_chunk order by number")).all() == before
    rewrite = conn.execute(text("select * from ocd.archive_rewrite")).one()
    assert (rewrite.request_id, rewrite.removed) == (number, 3)
    assert rewrite.rows + rewrite.removed in {one.rows for one in before}


def test_a_backup_of_before_never_brings_the_person_back(
    conn, db, store, person, back_up, ask, forget, wish, bring_back, scratch
):
    folder = back_up()
    forget(ask(*SAID))

    live = bring_back(wish(BACKUP, folder))
    urls = []
    context = scratch()
    urls.append(context.__enter__())
    there = bring_back(wish(BACKUP, folder, target="scratch"), kept_server=lambda name: urls[0])

    assert theirs(dump(db.superuser_url)) == []
    assert theirs(dump(urls[0])) == []
    assert (
        sum(one.erased for one in live.returned) == sum(one.erased for one in there.returned) == 26
    )
    context.__exit__(None, None, None)


def test_backups_that_hold_the_person_expire_within_the_laws_time(
    conn, person, back_up, ask, forget
):
    folder = back_up()
    now = conn.execute(text("select clock_timestamp()")).scalar_one()

    report = forget(ask(*SAID, received_at=now))

    due = conn.execute(text("select due_at from ocd.erasure_request")).scalar_one()
    assert report.gone_by == due == now + timedelta(days=30)
    latest = conn.execute(
        text("select max(expires_at) from ocd.artifact where starts_with(name, :folder)"),
        {"folder": folder},
    ).scalar_one()
    assert latest <= due


def test_a_backup_without_the_person_keeps_its_time(conn, back_up, ask, forget):
    back_up()
    before = conn.execute(text("select name, expires_at from ocd.artifact")).all()

    report = forget(ask(*SAID))

    after = dict(conn.execute(text("select name, expires_at from ocd.artifact")).all())
    assert {name: after[name] for name, _ in before} == dict(before)
    assert report.gone_by is None


def test_a_backup_at_work_meanwhile_expires_within_the_laws_time(
    conn, store, person, back_up, ask, forget, start_run, monkeypatch
):
    """Its manifest is written when the erasure has looked at all backups; its snapshot is of before."""
    now = conn.execute(text("select clock_timestamp()")).scalar_one()
    before = back_up("2026-11-22")
    write = manifest.write

    def erase_then_write(*given):
        forget(ask(f"order:{ORDER}", received_at=now))
        conn.execute(text("update ocd.artifact set expires_at = expires_at + interval '1 year'"))
        conn.commit()
        return write(*given)

    monkeypatch.setattr(manifest, "write", erase_then_write)
    at_work = back_up("2026-11-23")
    monkeypatch.undo()
    after = back_up("2026-11-24")

    report = erasures.watch(conn, run=start_run("lifecycle.watch_erasures"), now=now)

    early = set(
        conn.execute(
            text("select name from ocd.artifact where expires_at <= :due"),
            {"due": now + timedelta(days=30)},
        ).scalars()
    )
    assert early == {name for name in store.list("backups") if name.startswith(f"{at_work}/")}
    assert report.shortened == len(early) > 0
    assert {before, after} <= set(portions.folders(store))
    again = erasures.watch(conn, run=start_run("lifecycle.watch_erasures", "2026-11-24"), now=now)
    assert again.shortened == 0


def test_verification_still_proves_every_byte_and_counts_the_persons_rows(
    conn, store, keeper_for, person, back_up, ask, forget, start_run, scratch
):
    back_up()
    forget(ask(*SAID))
    run = start_run("lifecycle.verify")

    report = verify(
        conn,
        run=run,
        store=store,
        keeper=keeper_for(run),
        keys=KEYS,
        scratch=scratch,
        erased=tombstones.standing(conn, store, ERASURE_KEY),
    )

    assert report.level == 4
    assert all(one.is_equal for one in report.compared)
    assert report.erased == 26


def test_a_damaged_backup_stops_no_erasure_and_expires_early(
    conn, store, person, back_up, ask, forget
):
    folder = back_up()
    for name in ("shopify_orders", "agent_queries"):
        path = store.path(f"{folder}/{name}.copy.zst")
        path.write_bytes(path.read_bytes()[:-9])

    report = forget(ask(*SAID))

    assert report.backups == {folder: 0}
    assert report.tables["shopify_order_lines"] == 1
    latest = conn.execute(
        text("select max(expires_at) from ocd.artifact where starts_with(name, :folder)"),
        {"folder": folder},
    ).scalar_one()
    assert latest <= report.gone_by


def test_a_backup_with_a_table_of_another_name_stops_no_erasure(
    conn, store, person, back_up, ask, forget
):
    """As one has that was made before a dataset was renamed, or by a later version."""
    folder = back_up()
    made = manifest.read(store, f"{folder}/manifest.json", KEYS)
    old = f"{folder}-old"
    parts = (replace(made.parts[0], dataset="agent_drafts"), *made.parts[1:])
    manifest.write(store, replace(made, name=f"{old}/manifest.json", parts=parts), KEYS)

    report = forget(ask(*SAID))

    assert report.backups == {folder: 26, old: 0}


def test_new_rows_of_somebody_who_comes_again_are_restored(
    conn, db, person, ask, forget, back_up, wish, bring_back
):
    forget(ask(*SAID))
    make_query(conn, conversation_id=TALK, query="hello again")
    conn.commit()
    folder = back_up()
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute("truncate agent_queries")

    bring_back(wish(BACKUP, folder, dataset="agent_queries", condition="query = 'hello again'"))

    assert len(ids(conn, "agent_queries")) == 1


def test_a_lost_database_learns_from_the_receipts_who_was_erased(
    conn, db, store, person, back_up, ask, forget, wish, bring_back
):
    folder = back_up()
    forget(ask(*SAID))
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute("truncate ocd.erasure_request cascade")
        owner.execute("truncate agent_queries")

    bring_back(wish(BACKUP, folder, dataset="agent_queries"))

    assert theirs(dump(db.superuser_url)) == []
    assert len(ids(conn, "agent_queries")) == 1500


def test_a_restore_without_the_key_is_refused(
    conn, store, person, back_up, ask, forget, wish, bring_back, monkeypatch
):
    folder = back_up()
    forget(ask(*SAID))

    for key in (None, "another key, just as long as the first"):
        monkeypatch.setattr("tests.lifecycle.conftest.ERASURE_KEY", key)
        with pytest.raises(ConfigError, match="OCD_ERASURE_KEY"):
            bring_back(wish(BACKUP, folder))


def test_a_damaged_receipt_stops_every_restore(
    conn, store, person, back_up, ask, forget, wish, bring_back
):
    folder = back_up()
    forget(ask(*SAID))
    (name,) = store.list("erasures")
    store.path(name).write_text("{")

    with pytest.raises(ContractBroken, match="receipt"):
        bring_back(wish(BACKUP, folder))


def test_the_receipt_proves_the_deed_to_who_has_key_and_id(conn, store, person, ask, forget):
    report = forget(ask(f"conversation:{TALK}"))

    receipt = json.loads(store.path(report.receipt).read_text())
    hashed = tombstones.key_of(ERASURE_KEY).hashed(Kind.CONVERSATION, TALK)
    assert hashed in {one["subject_hmac"] for one in receipt["tombstones"]}
    assert receipt["tables"]["agent_queries"] == 6
    kept = conn.execute(
        text("select expires_at - created_at from ocd.artifact where kind = 'erasure-receipt'")
    ).scalar_one()
    assert kept > timedelta(days=2 * 365)


@pytest.mark.parametrize("conversation", [TALK, None], ids=["conversation", "table"])
def test_a_legal_hold_stops_everything_before_the_first_row(
    conn, store, person, prove, delete, ask, forget, conversation
):
    prove()
    delete()
    number = ask(*SAID)
    holds.place(conn, AGENT_FEEDBACK, Held(conversation), reason="case 7", placed_by="mara")
    conn.commit()
    before = {one.name: ids(conn, one.table) for one in TRACED}, store.list("archives")

    for is_dry in (True, False):
        with pytest.raises(PolicyRefused, match="legal hold covers rows in agent_feedback"):
            forget(number, is_dry=is_dry)

    assert ({one.name: ids(conn, one.table) for one in TRACED}, store.list("archives")) == before
    assert conn.execute(text("select count(*) from ocd.tombstone")).scalar_one() == 0


def test_a_released_hold_lets_it_go_on_and_forgets_the_id(conn, db, person, ask, forget):
    number = ask(*SAID)
    hold = holds.place(conn, AGENT_FEEDBACK, Held(TALK), reason="case 7", placed_by="mara")
    conn.commit()
    with pytest.raises(PolicyRefused):
        forget(number)
    holds.release(conn, hold, released_by="mara")
    conn.commit()

    forget(number)

    assert theirs(dump(db.superuser_url)) == []


def test_a_hold_on_a_table_without_the_person_does_not_matter(conn, person, ask, forget):
    holds.place(conn, SHOPIFY_ORDERS, Held(), reason="case 8", placed_by="mara")
    conn.commit()

    report = forget(ask(f"conversation:{TALK}"))

    assert report.tables["agent_queries"] == 6


def test_other_stores_are_asked_through_what_the_entrance_passes_in(person, ask, forget):
    class Lake:
        name = "lake"

        def __init__(self):
            self.rows = 7

        def count(self, subjects):
            return self.rows if any(one.id == TALK for one in subjects) else 0

        def erase(self, subjects):
            found, self.rows = self.count(subjects), 0
            return found

    lake, number = Lake(), ask(*SAID)

    assert forget(number, is_dry=True, erasers=(lake,)).others == {"lake": 7}
    assert forget(number, erasers=(lake,)).others == {"lake": 7}
    assert lake.rows == 0


def test_rows_that_come_in_meanwhile_leave_it_undone(conn, db, person, ask, forget):
    class Leaky:
        name = "a source that still sends"

        def count(self, subjects):
            return 0

        def erase(self, subjects):
            with db.engine.begin() as other:
                make_query(other, conversation_id=TALK)
            return 0

    number = ask(*SAID)

    with pytest.raises(ContractBroken, match="rows came into agent_queries"):
        forget(number, erasers=(Leaky(),))

    conn.rollback()
    assert erasures.open_request(conn, number).number == number


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", ["_mark_erased", "_erase_archives", "_finish", "_receipt"])
def test_a_killed_erasure_is_finished_by_the_next_run(
    conn, db, store, person, prove, delete, ask, forget, start_run, monkeypatch, place
):
    prove()
    delete()
    number = ask(*SAID)
    zombie = start_run("lifecycle.erase", subject={"request": number}, lease_s=0)

    def crash(*given):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(erase, place, crash)
        with pytest.raises(Crash):
            forget(number, run=zombie)
    conn.rollback()
    assert [one["id"] for one in erasures.requests(conn)] == [number], "half done does not count"

    heir = start_run("lifecycle.erase", subject={"request": number})
    report = forget(number, run=heir)

    assert heir.id == zombie.id
    assert theirs(dump(db.superuser_url)) == []
    assert theirs(unpacked(store, "archives", "erasures")) == []
    assert (sum(report.tables.values()), report.archived) == (23, {"agent_queries": 3})


def test_an_old_archive_whose_bytes_outlived_a_kill_goes_with_the_next_run(
    conn, store, person, prove, delete, ask, forget, start_run, monkeypatch
):
    prove()
    delete()
    number = ask(*SAID)
    zombie = start_run("lifecycle.erase", subject={"request": number}, lease_s=0)

    class Dying(FolderStore):
        def delete(self, name):
            raise Crash

    with pytest.raises(Crash):
        forget(number, run=zombie, store=Dying(store.root))
    conn.rollback()
    assert theirs(unpacked(store, "archives"))

    forget(number, run=start_run("lifecycle.erase", subject={"request": number}))

    assert theirs(unpacked(store, "archives")) == []


def test_bytes_that_are_gone_are_not_looked_after_again(
    conn, store, person, prove, delete, ask, forget
):
    prove()
    delete()
    forget(ask(f"conversation:{TALK}"))
    conn.execute(
        text(
            "update ocd.artifact set deleted_at = clock_timestamp() where removed_at is not null"  # as rotation does
        )
    )
    conn.commit()
    asked = []

    class Listening(FolderStore):
        def delete(self, name):
            asked.append(name)

    forget(ask("conversation:nobody"), store=Listening(store.root))

    assert asked == []


def test_every_batch_goes_on_behind_the_one_before(conn, person, ask, forget, monkeypatch):
    monkeypatch.setattr(erase, "BATCH_ROWS", 2)

    report = forget(ask(*SAID))

    assert report.tables["agent_queries"] == 6
    assert len(ids(conn, "agent_queries")) == 1500


def test_an_archive_that_does_not_read_back_stays(conn, store, person, prove, delete, ask, forget):
    prove()
    delete()
    before = unpacked(store, "archives")

    class Lying(FolderStore):
        def open_stored(self, name):
            for block in super().open_stored(name):
                yield block[:-9] + bytes(9) if "/without-" in name else block

    with pytest.raises(ContractBroken):
        forget(ask(*SAID), store=Lying(store.root))

    for name in store.list("archives"):
        if "/without-" in name:
            store.delete(name)
    assert unpacked(store, "archives") == before


def test_without_a_key_nothing_is_erased(conn, person, ask, forget):
    with pytest.raises(ConfigError, match="OCD_ERASURE_KEY"):
        forget(ask(*SAID), key=None)

    assert len(ids(conn, "agent_queries")) == 1506


def test_done_withdrawn_and_unknown_requests_are_told(conn, person, ask, forget):
    done, taken_back = ask(f"conversation:{TALK}"), ask(f"customer:{CUSTOMER}")
    forget(done)
    erasures.withdraw(conn, taken_back)
    conn.commit()

    for number in (done, taken_back, 99):
        with pytest.raises(ConfigError, match="no open erasure"):
            forget(number)
    assert (
        conn.execute(
            text("select count(*) from ocd.erasure_request where subjects is not null")
        ).scalar_one()
        == 0
    )


def test_what_has_begun_cannot_be_taken_back(conn, person, ask, forget, monkeypatch):
    number = ask(*SAID)

    def crash(*given):
        raise Crash

    monkeypatch.setattr(erase, "_mark_erased", crash)
    with pytest.raises(Crash):
        forget(number)
    conn.rollback()

    with pytest.raises(ConfigError, match="cannot be taken back"):
        erasures.withdraw(conn, number)
