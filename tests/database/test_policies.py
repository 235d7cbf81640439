"""Policies, judged by their text alone."""

from __future__ import annotations

import pytest

from ocd.database.policies import LivePolicy, adding_up, always_true, calls_per_row


def policy(using="", checked="", *, verb="select", roles=("annotator",), is_permissive=True):
    return LivePolicy("p", "public.t", roles, verb, is_permissive, using, checked)


@pytest.mark.parametrize(
    "using",
    [
        "true",
        "(a = 1)",
        "(a = ( SELECT (auth.jwt() ->> 'a'::text)))",
        "(a = ( SELECT COALESCE((auth.jwt() ->> 'a'::text), f(g(h('x'))))))",
        "((status = 'pending'::text) AND (lower(a) = 'b'::text))",
        "((a = ( SELECT auth.uid())) OR (b = ( SELECT auth.role())))",
    ],
)
def test_what_is_read_once_is_no_finding(using):
    assert list(calls_per_row([policy(using)])) == []


@pytest.mark.parametrize(
    ("using", "name"),
    [
        ("(a = (auth.jwt() ->> 'a'::text))", "auth.jwt"),
        ("(a = current_setting('app.a'::text))", "current_setting"),
        ("((a = ( SELECT auth.uid())) OR is_staff(a))", "is_staff"),
        ("(EXISTS ( SELECT 1 FROM t)) AND auth.role() = 'x'", "auth.role"),
    ],
)
def test_a_call_for_every_row_is_named(using, name):
    ((table, said),) = calls_per_row([policy(using)])

    assert (table, said) == ("public.t", f"policy p calls {name} for every row")


@pytest.mark.parametrize(
    ("one", "is_open"),
    [
        (policy("true"), False),
        (policy("true", roles=("public",)), True),
        (policy("true", roles=("authenticated",)), True),
        (policy("true", "", verb="update"), True),
        (policy("true", "(a = 1)", verb="update"), False),
        (policy("(a = 1)", "true", verb="update"), False),
        (policy("", "true", verb="insert"), True),
        (policy("true", verb="delete"), True),
        (policy("true", verb="all"), True),
        (policy("true", verb="delete", is_permissive=False), False),
    ],
)
def test_a_policy_that_leaves_nothing_out_is_found_where_that_matters(one, is_open):
    assert bool(list(always_true([one]))) is is_open


def test_policies_for_one_role_and_verb_add_up():
    found = list(adding_up([policy("a"), policy("b"), policy("c", verb="update")]))

    assert found == [("public.t", "2 policies let annotator select; they add up")]


def test_a_policy_for_everybody_counts_for_each_role():
    found = list(adding_up([policy("a"), policy("b", roles=("public",), verb="all")]))

    assert found == [("public.t", "2 policies let annotator select; they add up")]


def test_a_restrictive_policy_only_narrows():
    assert list(adding_up([policy("a"), policy("b", is_permissive=False)])) == []
