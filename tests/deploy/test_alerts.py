"""The alert rules: each says how bad, what, and which page helps; each is proved; each asks for what is served."""

from __future__ import annotations

import re

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ocd.api.metrics import LedgerCollector
from ocd.core.settings import PROJECT
from ocd.ledger.observe import observe

FOLDER = PROJECT / "deploy" / "prometheus"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
PROOFS = [
    check
    for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    for check in test["alert_rule_test"]
]


@pytest.mark.parametrize("name", RULES)
def test_every_alert_says_how_bad_what_and_which_page_helps(name):
    rule = RULES[name]

    assert rule["labels"]["severity"] in {"warning", "error", "critical"}
    assert rule["annotations"]["summary"]
    page = rule["annotations"]["runbook"]
    assert page.startswith("docs/how-to/")
    assert (PROJECT / page).is_file()


@pytest.mark.parametrize("name", RULES)
def test_every_alert_is_proved_to_fire_and_to_be_silent(name):
    proofs = [check["exp_alerts"] for check in PROOFS if check["alertname"] == name]

    assert [] in proofs
    assert any(proofs)


def test_alerts_ask_for_metrics_that_are_served(conn):
    collector = LedgerCollector({}, [], lambda: observe(conn, ["a.job"]), lambda: {"short": 0})
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    served = {family.name for family in registry.collect()} | {"up"}

    asked = {
        metric
        for rule in RULES.values()
        for metric in re.findall(r"\b(?:ocd_\w+|up\b)", rule["expr"])
    }

    assert asked - served == set()
    assert "ocd_runs" in asked
