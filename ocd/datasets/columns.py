"""Columns that many tables have."""

from __future__ import annotations

from ocd.datasets.facts import Column, Pii

INSTANT = "timestamp with time zone"

ID = Column("id", "bigint", "Identity.", nullable=False)
CONVERSATION_ID = Column(
    "conversation_id", "text", "Chatwoot conversation this belongs to.", Pii.ID, nullable=False
)
CREATED_AT = Column(
    "created_at", INSTANT, "When the row was written.", nullable=False, default="now()"
)
UPDATED_AT = Column(
    "updated_at",
    INSTANT,
    "Last change of the row; kept by a trigger.",
    nullable=False,
    default="now()",
)
FETCHED_AT = Column(
    "fetched_at",
    INSTANT,
    "When the outside last showed this row.",
    nullable=False,
    default="now()",
)
