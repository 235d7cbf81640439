"""The mutants fit the code: `make mutants` would change what it means to change."""

from __future__ import annotations

import pytest

from ocd.core.settings import PROJECT
from tests.crash.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.promise} {one.what}")
def test_a_mutant_changes_one_place_and_names_a_test(mutant):
    source = (PROJECT / mutant.file).read_text()
    file, _, test = mutant.test.partition("[")[0].partition("::")

    assert source.count(mutant.text) == 1
    assert mutant.instead not in (mutant.text, source)
    assert f"def {test}(" in (PROJECT / "tests" / file).read_text()


def test_every_promise_has_a_mutant():
    assert {one.promise for one in MUTANTS} == {
        *(f"A{number}" for number in range(1, 13)),
        *(f"L{number}" for number in range(1, 10)),
    }
