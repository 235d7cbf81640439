"""What may be mended, per column. A table that is not named here is never cleansed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ocd.core.errors import PolicyRefused, UnknownName
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Column, Dataset
from ocd.datasets.mirrors import (
    CHATWOOT_CONVERSATIONS,
    CHATWOOT_MESSAGES,
    SHOPIFY_INVENTORY,
    SHOPIFY_ORDER_LINES,
    SHOPIFY_ORDERS,
)
from ocd.datasets.replies import GOLD_REPLY_SUBMISSIONS, SUPPORT_CURATED_REPLIES
from ocd.quality.cleanse.fixers import (
    DATE,
    DISTINCT,
    EMAIL,
    PHONE,
    SPACES,
    TRIM,
    UPPER,
    Fixer,
    at_key,
    vocabulary,
)

#: Records of what happened: what stands in them is never changed, wrong or not.
IMMUTABLE = frozenset(
    {
        "dashboard_facts",
        "decision_log",
        "decision_sync_event_logs",
        "facts",
        "metric_facts",
        "observability_logs",
    }
)


@dataclass(frozen=True)
class Fix:
    """A fixer at a column; fixes of one column are made in the order in which they stand."""

    dataset: Dataset
    column: str
    fixer: Fixer
    part: str = ""

    @property
    def id(self) -> str:
        """Name of the fix, such as `shopify_orders.currency.upper`."""
        return ".".join(filter(None, (self.dataset.name, self.column, self.part, self.fixer.name)))

    @property
    def facts(self) -> Column:
        """The column's facts."""
        return next(one for one in self.dataset.columns if one.name == self.column)


_STATUS = vocabulary(
    {"closed": "resolved", "done": "resolved", "solved": "resolved", "opened": "open"}
    | {one: one for one in ("open", "resolved", "pending", "snoozed")}
)
_SENDER = vocabulary({"agent_bot": "AgentBot", "contact": "Contact", "user": "User"})


def _at(dataset: Dataset, column: str, *fixers: Fixer) -> Iterator[Fix]:
    for fixer in fixers:
        yield Fix(dataset, column, fixer)


def _document(dataset: Dataset, column: str, key: str, *fixers: Fixer) -> Iterator[Fix]:
    for fixer in fixers:
        yield Fix(dataset, column, at_key(key, fixer), key)


FIXES: tuple[Fix, ...] = (
    *_at(AGENT_APPROVALS, "approved_by", TRIM, EMAIL),
    *_at(AGENT_APPROVALS, "agent", TRIM),
    *_at(AGENT_FEEDBACK, "annotator", TRIM, EMAIL),
    *_at(AGENT_FEEDBACK, "labels", DISTINCT),
    *_at(AGENT_QUERIES, "agent", TRIM),
    *_at(CHATWOOT_CONVERSATIONS, "status", _STATUS),
    *_at(CHATWOOT_CONVERSATIONS, "contact_name", TRIM, SPACES),
    *_at(CHATWOOT_CONVERSATIONS, "assignee_name", TRIM, SPACES),
    *_at(CHATWOOT_CONVERSATIONS, "labels", DISTINCT),
    *_document(CHATWOOT_CONVERSATIONS, "custom_attributes", "email", TRIM, EMAIL),
    *_document(CHATWOOT_CONVERSATIONS, "custom_attributes", "phone", PHONE),
    *_document(CHATWOOT_CONVERSATIONS, "custom_attributes", "purchased_on", TRIM, DATE),
    *_at(CHATWOOT_MESSAGES, "sender_type", _SENDER),
    *_at(CHATWOOT_MESSAGES, "sender_name", TRIM, SPACES),
    *_at(SHOPIFY_ORDERS, "currency", TRIM, UPPER),
    *_at(SHOPIFY_ORDERS, "display_fulfillment_status", TRIM, UPPER),
    *_at(SHOPIFY_ORDERS, "display_financial_status", TRIM, UPPER),
    *_at(SHOPIFY_ORDER_LINES, "sku", TRIM),
    *_at(SHOPIFY_ORDER_LINES, "title", TRIM, SPACES),
    *_at(SHOPIFY_INVENTORY, "sku", TRIM),
    *_at(SHOPIFY_INVENTORY, "product_title", TRIM, SPACES),
    *_at(GOLD_REPLY_SUBMISSIONS, "submitted_by", TRIM, EMAIL),
    *_at(GOLD_REPLY_SUBMISSIONS, "tags", DISTINCT),
    *_at(SUPPORT_CURATED_REPLIES, "tags", DISTINCT),
)


def chosen(dataset: Dataset, ids: Iterable[str] = ()) -> tuple[Fix, ...]:
    """Return the fixes of a dataset, or those named; raises PolicyRefused for a table that is never cleansed."""
    if dataset.name in IMMUTABLE or dataset.schema == "ocd":
        raise PolicyRefused(f"{dataset.name} records what happened; it is never cleansed")
    own = {one.id: one for one in FIXES if one.dataset == dataset}
    if not own:
        raise PolicyRefused(f"{dataset.name}: nothing is declared that may be mended in it")
    for name in ids:
        if name not in own:
            raise UnknownName(f"fix of {dataset.name}", name, own)
    named = set(ids)
    return tuple(one for one in own.values() if not named or one.id in named)
