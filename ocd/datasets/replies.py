"""Facts about gold replies: what is proposed as a model answer, and what was approved as one."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import ADD, READ, SERVICES
from ocd.datasets.columns import CONVERSATION_ID, CREATED_AT, ID, INSTANT, UPDATED_AT
from ocd.datasets.facts import (
    Access,
    Column,
    Dataset,
    Feed,
    Pii,
    Retention,
    RetentionRule,
    Scope,
)

#: A reviewed submission still holds what the customer was told word for word.
REVIEWED_WINDOW = timedelta(days=180)
_EMPTY = "'{}'::jsonb"
_NO_TAGS = "'{}'::text[]"

GOLD_REPLY_SUBMISSIONS = Dataset(
    name="gold_reply_submissions",
    table="public.gold_reply_submissions",
    description="Replies that somebody proposes as a model, until a person decides.",
    owner="support",
    grain="one row per delivered payload",
    key="id",
    event_time="created_at",
    columns=(
        ID,
        Column("shop_domain", "text", "Shop that it is about.", Pii.ID),
        CONVERSATION_ID,
        Column("original_reply", "text", "What the customer was told.", Pii.TEXT, nullable=False),
        Column("sanitized_reply", "text", "The same with placeholders for people.", Pii.TEXT),
        Column(
            "category",
            "text",
            "shipping_delay, product_inquiry, return_refund, order_modification, technical_support or general_inquiry.",
            nullable=False,
        ),
        Column("tags", "text[]", "Further words to find it by.", nullable=False, default=_NO_TAGS),
        Column("customer_issue_summary", "text", "What the customer wanted.", Pii.TEXT),
        Column(
            "status",
            "text",
            "pending, approved, rejected or archived.",
            nullable=False,
            default="'pending'",
        ),
        Column("submitted_by", "text", "Who proposed it.", Pii.DIRECT),
        Column("reviewed_by", "text", "Who decided; null while it is pending.", Pii.DIRECT),
        Column("reviewed_at", INSTANT, "When it was decided; null while it is pending."),
        Column("quality_score", "smallint", "Mark from 1 to 5."),
        Column("usage_count", "integer", "How often it was used.", nullable=False, default="0"),
        Column(
            "metadata",
            "jsonb",
            "What else the sender said.",
            Pii.TEXT,
            nullable=False,
            default=_EMPTY,
        ),
        Column("evidence_url", "text", "Where the conversation can be read.", Pii.ID),
        Column("delivery_id", "text", "Id of the delivery, the same when it is repeated."),
        Column(
            "payload_sha256",
            "text",
            "Hash of the payload: the same never counts twice.",
            nullable=False,
        ),
        CREATED_AT,
        UPDATED_AT,
    ),
    retention=Retention(
        (
            RetentionRule("pending", "reviewed_at is null", "created_at", None),
            RetentionRule("reviewed", None, "reviewed_at", REVIEWED_WINDOW),
        )
    ),
    is_backed_up=True,
    access=(
        *SERVICES,
        Access(
            "support_webhook",
            ADD,
            Scope.UNDECIDED,
            (
                "shop_domain",
                "conversation_id",
                "original_reply",
                "category",
                "tags",
                "customer_issue_summary",
                "submitted_by",
                "metadata",
                "evidence_url",
                "delivery_id",
                "payload_sha256",
            ),
        ),
    ),
    feed=Feed(("chatwoot",)),
)

SUPPORT_CURATED_REPLIES = Dataset(
    name="support_curated_replies",
    table="public.support_curated_replies",
    description="Model answers that a named person approved; agents learn from them.",
    owner="support",
    grain="one row per approved reply",
    key="id",
    event_time="approved_at",
    columns=(
        ID,
        Column("message_body", "text", "The reply, with placeholders.", Pii.TEXT, nullable=False),
        Column("tags", "text[]", "Words to find it by.", nullable=False, default=_NO_TAGS),
        Column("approver", "text", "Who approved it.", Pii.DIRECT, nullable=False),
        Column("approved_at", INSTANT, "When.", nullable=False, default="now()"),
        Column("source_message_id", "text", "Chatwoot message that it was made from.", Pii.ID),
        Column("conversation_id", "text", "Chatwoot conversation this belongs to.", Pii.ID),
        Column("submission_id", "bigint", "Submission it came from; null once that expired."),
        CREATED_AT,
        UPDATED_AT,
    ),
    is_backed_up=True,
    access=(*SERVICES, Access("ai_readonly", READ)),
    feed=Feed(("gold_reply_submissions",)),
)
