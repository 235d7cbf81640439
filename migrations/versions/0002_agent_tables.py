"""Create the three agent tables, or adopt the ones that are there.

Why: agents write what they asked (agent_queries), what people judged (agent_feedback) and what waits
for a decision (agent_approvals). A live Supabase has these tables already: their columns are compared,
missing ones added, differences refused with a list of what to change.
Locks: none on an empty database. On adoption ACCESS EXCLUSIVE for the time of adding nullable or
constant-default columns (no rewrite); building the indexes blocks writers of that table meanwhile.
"""

from alembic import op
from sqlalchemy import text

from migrations.tables import AdoptionRefused, is_offline

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# (column, type, not null, default)
TABLES: dict[str, list[tuple[str, str, bool, str | None]]] = {
    "agent_approvals": [
        ("id", "bigint", True, None),
        ("conversation_id", "text", True, None),
        ("serialized", "jsonb", True, None),
        ("last_interruptions", "jsonb", False, "'[]'::jsonb"),
        ("created_at", "timestamp with time zone", True, "now()"),
        ("approved_by", "text", False, None),
        ("status", "text", True, "'pending'"),
        ("updated_at", "timestamp with time zone", True, "now()"),
        ("resolved_at", "timestamp with time zone", False, None),
        ("agent", "text", False, None),
    ],
    "agent_feedback": [
        ("id", "bigint", True, None),
        ("conversation_id", "text", True, None),
        ("input_text", "text", True, None),
        ("model_draft", "text", True, None),
        ("safe_to_send", "boolean", False, None),
        ("labels", "text[]", True, "'{}'::text[]"),
        ("rubric", "jsonb", True, "'{}'::jsonb"),
        ("annotator", "text", False, None),
        ("notes", "text", False, None),
        ("meta", "jsonb", True, "'{}'::jsonb"),
        ("created_at", "timestamp with time zone", True, "now()"),
        ("updated_at", "timestamp with time zone", True, "now()"),
    ],
    "agent_queries": [
        ("id", "bigint", True, None),
        ("query", "text", True, None),
        ("result", "jsonb", True, None),
        ("conversation_id", "text", True, None),
        ("agent", "text", True, None),
        ("approved", "boolean", False, None),
        ("human_edited", "boolean", True, "false"),
        ("latency_ms", "integer", False, None),
        ("created_at", "timestamp with time zone", True, "now()"),
        ("updated_at", "timestamp with time zone", True, "now()"),
    ],
}

INDEXES: dict[str, list[tuple[str, str]]] = {
    "agent_approvals": [
        ("agent_approvals_conversation_id_idx", "(conversation_id)"),
        ("agent_approvals_created_at_idx", "(created_at desc)"),
        ("agent_approvals_resolved_at_idx", "(resolved_at) where resolved_at is not null"),
        ("agent_approvals_pending_idx", "(created_at) where status = 'pending'"),
    ],
    "agent_feedback": [
        ("agent_feedback_conversation_id_idx", "(conversation_id)"),
        ("agent_feedback_created_at_idx", "(created_at desc)"),
        ("agent_feedback_annotator_idx", "(annotator)"),
        ("agent_feedback_labels_idx", "using gin (labels)"),
    ],
    "agent_queries": [
        ("agent_queries_conversation_id_idx", "(conversation_id)"),
        ("agent_queries_agent_created_at_idx", "(agent, created_at desc)"),
        ("agent_queries_created_at_idx", "(created_at desc)"),
        ("agent_queries_latency_idx", "(latency_ms desc) where latency_ms > 100"),
    ],
}

CHECKS: dict[str, list[tuple[str, str]]] = {
    "agent_approvals": [
        (
            "agent_approvals_status_check",
            "status in ('pending', 'approved', 'rejected', 'expired')",
        ),
        ("agent_approvals_pending_unresolved_check", "status <> 'pending' or resolved_at is null"),
    ],
    "agent_feedback": [],
    "agent_queries": [("agent_queries_latency_check", "latency_ms >= 0")],
}

_TOUCH = """
create function ocd.touch_updated_at() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end $$
"""

# On update only: a restore that inserts old rows must not change them.
_RESOLVE = """
create function ocd.set_resolved_at() returns trigger language plpgsql set search_path = '' as $$
begin
  if old.status = 'pending' and new.status <> 'pending' and new.resolved_at is null then
    new.resolved_at := now();
  elsif new.status = 'pending' then
    new.resolved_at := null;
  end if;
  return new;
end $$
"""


def _record(kind: str, name: str, table: str) -> None:
    op.execute(
        "insert into ocd.created_object (revision, kind, name, on_table) "
        f"values ('{revision}', '{kind}', '{name}', '{table}')"
    )


def _live_columns(table: str) -> dict[str, tuple[str, bool]]:
    if is_offline():
        return {}
    rows = op.get_bind().execute(
        text("""
            select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
            from pg_attribute a
            where a.attrelid = to_regclass('public.' || :t) and a.attnum > 0 and not a.attisdropped
        """),
        {"t": table},
    )
    return {name: (kind, not_null) for name, kind, not_null in rows}


def _differences(table: str, live: dict[str, tuple[str, bool]]) -> list[str]:
    """What adoption cannot mend by itself, one line each with the statement that does."""
    found = []
    for name, kind, not_null, default in TABLES[table]:
        if name not in live:
            if not_null and default is None:
                found.append(
                    f"{table}.{name} is missing and has no default: add it ({kind} not null) and fill it"
                )
            continue
        live_kind, live_not_null = live[name]
        if live_kind != kind:
            found.append(
                f"{table}.{name} is {live_kind}, expected {kind}: alter table public.{table} alter column {name} type {kind}"
            )
        if not_null and not live_not_null:
            found.append(
                f"{table}.{name} may be null: alter table public.{table} alter column {name} set not null"
            )
    keyed = (
        op.get_bind()
        .execute(
            text("""
            select 1 from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
            where i.indrelid = to_regclass('public.' || :t) and i.indisprimary and i.indnatts = 1 and a.attname = 'id'
        """),
            {"t": table},
        )
        .first()
    )
    if keyed is None:
        found.append(
            f"{table} has no primary key (id): alter table public.{table} add primary key (id)"
        )
    return found


def _definition(name: str, kind: str, not_null: bool, default: str | None) -> str:
    if name == "id":
        return "id bigint generated by default as identity primary key"
    return " ".join(
        part
        for part in (
            name,
            kind,
            "not null" if not_null else "",
            f"default {default}" if default else "",
        )
        if part
    )


def _create(table: str) -> None:
    columns = ", ".join(_definition(*column) for column in TABLES[table])
    op.execute(f"create table public.{table} ({columns})")
    _record("table", table, table)


def _adopt(table: str, live: dict[str, tuple[str, bool]]) -> None:
    for column in TABLES[table]:
        if column[0] not in live:
            op.execute(f"alter table public.{table} add column {_definition(*column)}")
            _record("column", column[0], table)


def _ensure(kind: str, table: str, name: str, exists: str, statement: str) -> None:
    if is_offline() or op.get_bind().execute(text(exists), {"n": name, "t": table}).first() is None:
        op.execute(statement)
        _record(kind, name, table)


def _dress(table: str) -> None:
    """Add the indexes, checks, triggers and policies that are missing."""
    for name, what in INDEXES[table]:
        _ensure(
            "index",
            table,
            name,
            "select 1 from pg_class where oid = to_regclass('public.' || :n) and :t <> ''",
            f"create index {name} on public.{table} {what}",
        )
    for name, condition in CHECKS[table]:
        _ensure(
            "constraint",
            table,
            name,
            "select 1 from pg_constraint where conname = :n and conrelid = to_regclass('public.' || :t)",
            f"alter table public.{table} add constraint {name} check ({condition})",
        )
    trigger = (
        "select 1 from pg_trigger where tgname = :n and tgrelid = to_regclass('public.' || :t)"
    )
    _ensure(
        "trigger",
        table,
        "touch_updated_at",
        trigger,
        f"create trigger touch_updated_at before update on public.{table} for each row execute function ocd.touch_updated_at()",
    )
    if table == "agent_approvals":
        _ensure(
            "trigger",
            table,
            "set_resolved_at",
            trigger,
            f"create trigger set_resolved_at before update of status on public.{table} for each row execute function ocd.set_resolved_at()",
        )
    op.execute(f"alter table public.{table} enable row level security")
    op.execute(f"alter table public.{table} force row level security")
    _ensure(
        "policy",
        table,
        "own_conversation",
        "select 1 from pg_policy where polname = :n and polrelid = to_regclass('public.' || :t)",
        f"create policy own_conversation on public.{table} for select to authenticated "
        "using (conversation_id = (select auth.jwt() ->> 'conversation_id'))",
    )
    op.execute(f"revoke all on public.{table} from anon")
    op.execute(f"grant select on public.{table} to authenticated")
    op.execute(
        f"grant select, insert, update, delete on public.{table} to ocd_worker, service_role"
    )
    op.execute(f"""
        do $$ declare s text := pg_get_serial_sequence('public.{table}', 'id'); begin
          if s is not null then execute format('grant usage, select on sequence %s to ocd_worker, service_role', s); end if;
        end $$
    """)


def upgrade() -> None:
    """Create or adopt each table, after comparing all of them."""
    live = {table: _live_columns(table) for table in TABLES}
    refused = [
        line for table, columns in live.items() if columns for line in _differences(table, columns)
    ]
    if refused:
        raise AdoptionRefused(
            "the agent tables differ from what ocd needs:\n  - " + "\n  - ".join(refused)
        )
    op.execute(_TOUCH)
    op.execute(_RESOLVE)
    op.execute("grant usage on schema public to ocd_worker, ocd_reader")
    for table, columns in live.items():
        if columns:
            _adopt(table, columns)
        else:
            _create(table)
        _dress(table)


def downgrade() -> None:
    """Drop what this revision created; refuse while a table it created still holds rows."""
    bind = op.get_bind()
    made = bind.execute(
        text("select kind, name, on_table from ocd.created_object where revision = :r"),
        {"r": revision},
    ).all()
    tables = [name for kind, name, _ in made if kind == "table"]
    for table in tables:
        if bind.execute(text(f"select 1 from public.{table} limit 1")).first():
            raise AdoptionRefused(
                f"public.{table} holds rows; back it up and empty it before going below revision {revision}"
            )
    drop = {
        "index": "drop index public.{name}",
        "constraint": "alter table public.{table} drop constraint {name}",
        "policy": "drop policy {name} on public.{table}",
        "trigger": "drop trigger {name} on public.{table}",
        "column": "alter table public.{table} drop column {name}",
    }
    for kind, name, table in reversed(made):
        if kind != "table" and table not in tables:
            op.execute(drop[kind].format(name=name, table=table))
    for table in tables:
        op.execute(f"drop table public.{table}")
    for table in set(TABLES) - set(tables):
        op.execute(f"revoke all on public.{table} from ocd_worker")
    op.execute("revoke usage on schema public from ocd_worker, ocd_reader")
    op.execute("drop function ocd.touch_updated_at()")
    op.execute("drop function ocd.set_resolved_at()")
    bind.execute(text("delete from ocd.created_object where revision = :r"), {"r": revision})
