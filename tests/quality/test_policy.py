"""What is asked how, and what answers mean, decided without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ocd.quality.policy import Known, Mode, Point, Proofs, burn, only_new, plan, scores
from ocd.quality.rule import Dimension, Kind, Severity, Slo
from tests.factories.clock import NOW
from tests.quality.conftest import rule_of

UNIQUE = rule_of(Kind.UNIQUE, "u", "code", "part")
REFERENCE = rule_of(
    Kind.REFERENCE, "ref", "code", "part", params={"table": "play.parent", "to": ("b", "a")}
)
SCANNED = rule_of(Kind.FILLED, "f", "name")


def key(*columns, table="play.thing"):
    return Proofs(unique=frozenset({(table, frozenset(columns))}))


@pytest.mark.parametrize(
    ("proofs", "is_proven"),
    [
        (key("code", "part"), True),
        (key("code"), True),
        (key("code", "part", "name"), False),
        (key("code", "part", table="play.other"), False),
        (Proofs(), False),
    ],
)
def test_an_index_over_no_more_than_its_columns_proves_uniqueness(proofs, is_proven):
    (found,) = plan([UNIQUE], proofs)

    assert (found.proven == (UNIQUE,)) is is_proven
    assert (found.apart == (UNIQUE,)) is not is_proven


def test_a_unique_rule_with_a_filter_is_not_proven_by_less():
    filtered = rule_of(Kind.UNIQUE, "u", "code", filter="is_ok")

    assert not Proofs().holds(filtered)


@pytest.mark.parametrize(
    ("reference", "is_proven"),
    [
        (("play.thing", ("code", "part"), "play.parent", ("b", "a")), True),
        (("play.thing", ("code", "part"), "play.parent", ("a", "b")), False),
        (("play.thing", ("code",), "play.parent", ("b",)), False),
        (("play.thing", ("code", "part"), "play.other", ("b", "a")), False),
    ],
)
def test_a_validated_reference_of_the_same_pairs_proves_one(reference, is_proven):
    (found,) = plan([REFERENCE, SCANNED], Proofs(references=frozenset({reference})))

    assert found.proven == ((REFERENCE,) if is_proven else ())
    assert found.scan == ((SCANNED,) if is_proven else (REFERENCE, SCANNED))


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("mode", "known", "cost", "expected"),
    [
        (Mode.FULL, Known(5, NOW), 1e9, False),
        (Mode.NEW, Known(), 1e9, False),
        (Mode.NEW, Known(5, NOW - DAY), 1, True),
        (Mode.NEW, Known(5, NOW - 7 * DAY), 1, False),
        (Mode.NEW, Known(5, None), 1, False),
        (Mode.AUTO, Known(5, NOW - DAY), 1, False),
        (Mode.AUTO, Known(5, NOW - DAY), 1e9, True),
        (Mode.AUTO, Known(5, NOW - 7 * DAY), 1e9, False),
    ],
)
def test_which_rows_are_asked(mode, known, cost, expected):
    assert only_new(mode, known, cost=cost, now=NOW) is expected


def test_scores_weigh_by_severity_and_leave_out_what_informs():
    found = scores(
        [
            Point("t", Dimension.VALIDITY, Severity.ERROR, 0.5),
            Point("t", Dimension.VALIDITY, Severity.WARN, 0.0),
            Point("t", Dimension.VALIDITY, Severity.INFO, 1.0),
            Point("t", Dimension.VOLUME, Severity.BLOCK, 1.0),
        ]
    )

    assert found == {
        ("t", Dimension.VALIDITY): pytest.approx(62.5),
        ("t", Dimension.VOLUME): 0,
        ("t", None): pytest.approx(100 * 2.5 / 9),
    }


@pytest.mark.parametrize(
    ("target", "answers", "expected"),
    [
        (0.99, [(1000, 5), (1000, 5)], 0.5),
        (0.99, [(100, 2)], 2.0),
        (1.0, [(100, 0)], 0.0),
        (1.0, [(100, 1)], 1.0),
        (0.99, [], None),
        (0.99, [(0, 0)], None),
    ],
)
def test_what_may_fail_is_used_up(target, answers, expected):
    assert burn(Slo(target), answers) == (expected if expected is None else pytest.approx(expected))
