"""The one tuple of all datasets, parents before the tables that refer to them."""

from __future__ import annotations

from ocd.core.errors import UnknownName
from ocd.datasets.agent_runs import AGENT_QC, AGENT_RUN
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.cleansing import CLEANSING_CHANGE
from ocd.datasets.commerce import CUSTOMER_SEGMENTS, PRODUCT_CATEGORIES
from ocd.datasets.dashboard import DASHBOARD_FACTS, FACTS, METRIC_FACTS
from ocd.datasets.decisions import DECISION_LOG, DECISION_SYNC_EVENT_LOGS, OBSERVABILITY_LOGS
from ocd.datasets.facts import Dataset
from ocd.datasets.ledger import ATTEMPT, LOG_LINE
from ocd.datasets.measured import COLUMN_PROFILE, COMPLETENESS, CONSISTENCY
from ocd.datasets.mirrors import (
    CHATWOOT_CONVERSATIONS,
    CHATWOOT_MESSAGES,
    SHOPIFY_INVENTORY,
    SHOPIFY_ORDER_LINES,
    SHOPIFY_ORDERS,
)
from ocd.datasets.quality import QUALITY_RESULT
from ocd.datasets.replies import GOLD_REPLY_SUBMISSIONS, SUPPORT_CURATED_REPLIES
from ocd.datasets.sources import GA_PARTITIONS, SITEMAP_SNAPSHOTS

DATASETS: tuple[Dataset, ...] = (
    AGENT_APPROVALS,
    AGENT_FEEDBACK,
    AGENT_QUERIES,
    ATTEMPT,
    LOG_LINE,
    COLUMN_PROFILE,
    COMPLETENESS,
    CONSISTENCY,
    CLEANSING_CHANGE,
    QUALITY_RESULT,
    AGENT_RUN,
    AGENT_QC,
    DECISION_SYNC_EVENT_LOGS,
    DECISION_LOG,
    OBSERVABILITY_LOGS,
    FACTS,
    DASHBOARD_FACTS,
    METRIC_FACTS,
    GOLD_REPLY_SUBMISSIONS,
    SUPPORT_CURATED_REPLIES,
    PRODUCT_CATEGORIES,
    CUSTOMER_SEGMENTS,
    CHATWOOT_CONVERSATIONS,
    CHATWOOT_MESSAGES,
    SHOPIFY_ORDERS,
    SHOPIFY_ORDER_LINES,
    SHOPIFY_INVENTORY,
    GA_PARTITIONS,
    SITEMAP_SNAPSHOTS,
)


def dataset(name: str) -> Dataset:
    """Return the dataset of that name; raises UnknownName with the nearest one."""
    for candidate in DATASETS:
        if candidate.name == name:
            return candidate
    raise UnknownName("dataset", name, (d.name for d in DATASETS))
