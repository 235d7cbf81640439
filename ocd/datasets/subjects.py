"""Where people stand in the tables: which columns name a conversation, a customer, or what is theirs.

Derived from the facts of the datasets, so that a new table with a conversation is found without being told;
what follows no rule is said here. A test holds that every column with personal data is reached, or says why not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ocd.datasets.facts import Dataset, Pii
from ocd.datasets.registry import DATASETS


class Kind(StrEnum):
    """What an id is the id of."""

    CONVERSATION = "conversation"
    CUSTOMER = "customer"
    ORDER = "order"
    AGENT_RUN = "agent_run"


#: Kinds that a person can name; the others are found from these.
NAMED = frozenset({Kind.CONVERSATION, Kind.CUSTOMER, Kind.ORDER})
#: Kinds that rows of other tables are known by: whoever finds a row of a subject finds one of these beside it.
RELATED = frozenset({Kind.ORDER, Kind.AGENT_RUN})


@dataclass(frozen=True, order=True)
class Subject:
    """Something of a person's, by the id that the outside gave it."""

    kind: Kind
    id: str


@dataclass(frozen=True)
class Trace:
    """A column that names a subject: its value is `prefix` and the id, or stands in it under `key` (jsonb)."""

    column: str
    kind: Kind
    prefix: str = ""
    key: str | None = None


#: Ids of Shopify's begin so in its own API; people and other tables know the number behind it.
CUSTOMER_PREFIX = "gid://shopify/Customer/"
ORDER_PREFIX = "gid://shopify/Order/"

_SAID: dict[str, tuple[Trace, ...]] = {
    "decision_log": (Trace("external_ref", Kind.CONVERSATION, "chatwoot:"),),
    "customer_segments": (Trace("shopify_customer_id", Kind.CUSTOMER),),
    "shopify_orders": (
        Trace("customer_id", Kind.CUSTOMER, CUSTOMER_PREFIX),
        Trace("order_id", Kind.ORDER, ORDER_PREFIX),
    ),
    "shopify_order_lines": (Trace("order_id", Kind.ORDER, ORDER_PREFIX),),
    "agent_run": (Trace("run_id", Kind.AGENT_RUN),),
    "agent_qc": (Trace("run_id", Kind.AGENT_RUN),),
}
#: Names under which payloads carry ids, in tables that have no column for them.
_KEYS = {
    "conversation_id": Kind.CONVERSATION,
    "customer_id": Kind.CUSTOMER,
    "order_id": Kind.ORDER,
}


def traces(dataset: Dataset) -> tuple[Trace, ...]:
    """Return where a dataset's rows name a subject; empty where they never do."""
    own = tuple(
        Trace(one.name, Kind.CONVERSATION)
        for one in dataset.columns
        if one.name == "conversation_id"
    )
    in_payloads = tuple(
        Trace(one.name, kind, key=key)
        for one in dataset.columns
        if one.type == "jsonb" and one.pii is Pii.TEXT and not own
        for key, kind in _KEYS.items()
    )
    return own + _SAID.get(dataset.name, ()) + in_payloads


#: Datasets in which a person can stand, in the registry's order.
TRACED: tuple[Dataset, ...] = tuple(one for one in DATASETS if traces(one))


def id_in(trace: Trace, value: str) -> str:
    """Return the id that a trace's value names: without its prefix, where it has one."""
    return value.removeprefix(trace.prefix)


def parse(line: str) -> Subject | None:
    """Return the subject of a line such as `conversation:1042`; None for anything else."""
    kind, _, value = line.strip().partition(":")
    value = value.strip()
    for prefix in (CUSTOMER_PREFIX, ORDER_PREFIX):
        value = value.removeprefix(prefix)
    return Subject(Kind(kind), value) if kind in NAMED and value else None
