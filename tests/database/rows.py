"""One valid row per table, as columns and SQL expressions; `{who}` is the owner, `{n}` never repeats.

`{who}` stands wherever a policy compares a claim.
"""

from __future__ import annotations

SHA = "md5('{n}') || md5('{who}')"
PARENT = "(select run_id from public.agent_run where agent_name = 'parent')"
RUN = "(select min(id) from ocd.run)"

ROWS: dict[str, dict[str, str]] = {
    "agent_approvals": {"conversation_id": "'{who}'", "serialized": "'{{}}'"},
    "agent_feedback": {"conversation_id": "'{who}'", "input_text": "'in'", "model_draft": "'out'"},
    "agent_queries": {
        "query": "'q'",
        "result": "'1'",
        "conversation_id": "'{who}'",
        "agent": "'data'",
    },
    "agent_run": {"run_id": "gen_random_uuid()", "agent_name": "'data'"},
    "agent_qc": {"run_id": PARENT, "quality_score": "3"},
    "decision_sync_event_logs": {"decision_id": "{n}", "status": "'ok'"},
    "decision_log": {"scope": "'{scope}'", "actor": "'a'", "action": "'b'"},
    "observability_logs": {"message": "'m'", "request_id": "'{who}'"},
    "facts": {"project": "'{who}'", "topic": "'t'", "key": "'k'", "value": "'1'"},
    "dashboard_facts": {"shop_domain": "'{who}'", "fact_type": "'a.b'", "value": "'1'"},
    "metric_facts": {
        "metric": "'m{n}'",
        "period_start": "now()",
        "period_end": "now()",
        "value": "1",
        "unit": "'rows'",
        "run_id": "1",
        "computed_at": "now()",
    },
    "gold_reply_submissions": {
        "conversation_id": "'{who}{n}'",
        "original_reply": "'r'",
        "category": "'return_refund'",
        "payload_sha256": SHA,
    },
    "support_curated_replies": {"message_body": "'m'", "approver": "'a'"},
    "product_categories": {"shopify_product_id": "{n}", "category_l1": "'Fuel & Ignition'"},
    "customer_segments": {
        "shopify_customer_id": "{n}",
        "primary_segment": "'diy_builder'",
        "lifecycle_stage": "'new'",
    },
    "chatwoot_conversations": {"account_id": "1", "conversation_id": "{n}"},
    "chatwoot_messages": {"account_id": "1", "message_id": "{n}", "conversation_id": "1"},
    "shopify_orders": {"shop_domain": "'s'", "order_id": "'{n}'"},
    "shopify_order_lines": {"shop_domain": "'s'", "order_id": "'{n}'", "line_number": "1"},
    "shopify_inventory": {"shop_domain": "'s'", "variant_id": "'{n}'"},
    "ga_partitions": {
        "property": "'{who}{n}'",
        "report": "'r'",
        "day": "'2026-11-23'",
        "origin": "'live'",
        "fetched_at": "now()",
        "run_id": "1",
        "row_count": "0",
        "is_provisional": "false",
    },
    "sitemap_snapshots": {
        "site": "'s'",
        "source_url": "'u'",
        "taken_at": "now()",
        "run_id": "1",
        "file_count": "1",
        "url_count": "1",
        "duplicate_count": "0",
        "bytes_read": "1",
        "content_sha256": SHA,
        "is_lastmod_uniform": "false",
    },
    "ledger_attempt": {
        "run_id": RUN,
        "fence": "{n}",
        "generation": "1",
        "number": "1",
        "worker": "'w'",
    },
    "ledger_log_line": {
        "run_id": RUN,
        "fence": "1",
        "at": "now()",
        "level": "'info'",
        "event": "'e'",
    },
    "column_profile": {
        "run_id": RUN,
        "dataset": "'d'",
        "column_name": "'c{n}'",
        "rows": "1",
        "nulls": "0",
        "stats": "'{{}}'",
        "profiled_at": "now()",
    },
    "completeness": {
        "run_id": RUN,
        "dataset": "'d{n}'",
        "hour_at": "now()",
        "seen": "1",
        "nulls": "'{{}}'",
    },
    "cleansing_change": {
        "run_id": RUN,
        "dataset": "'d'",
        "row_key": "{n}",
        "before": "'{{}}'",
        "after": "'{{}}'",
    },
    "consistency": {
        "run_id": RUN,
        "check_name": "'c{n}'",
        "checked": "1",
        "broken": "0",
        "sample_keys": "'{{}}'",
        "figures": "'{{}}'",
        "checked_at": "now()",
    },
    "quality_result": {
        "run_id": RUN,
        "checked_at": "now()",
        "dataset": "'d'",
        "rule": "'d.r{n}'",
        "rule_version": "'v'",
        "dimension": "'validity'",
        "severity": "'error'",
        "status": "'passed'",
        "asked_rows": "1",
        "failed_rows": "0",
        "share": "0",
        "took_ms": "1",
    },
}

#: A column that an update may set to itself, where the facts name no others.
CHANGED = {
    "agent_approvals": "status",
    "agent_feedback": "notes",
    "agent_queries": "approved",
    "agent_run": "input_kind",
    "agent_qc": "notes",
    "decision_sync_event_logs": "notes",
    "decision_log": "rationale",
    "observability_logs": "message",
    "facts": "value",
    "dashboard_facts": "value",
    "metric_facts": "value",
    "gold_reply_submissions": "tags",
    "support_curated_replies": "tags",
    "product_categories": "category_l2",
    "customer_segments": "review_count",
    "chatwoot_conversations": "status",
    "chatwoot_messages": "content",
    "shopify_orders": "name",
    "shopify_order_lines": "title",
    "shopify_inventory": "quantity",
    "ga_partitions": "totals",
    "sitemap_snapshots": "warnings",
    "ledger_attempt": "outcome",
    "ledger_log_line": "event",
    "column_profile": "stats",
    "completeness": "seen",
    "consistency": "broken",
    "cleansing_change": "after",
    "quality_result": "rule",
}


def insert(dataset: str, table: str, who: str, number: int) -> str:
    """Return the statement that adds a row of `who`."""
    values = {
        column: value.format(who=who, n=number, scope={"own": "ops"}.get(who, "build"))
        for column, value in ROWS[dataset].items()
    }
    return f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"
