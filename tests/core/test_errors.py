"""Errors keep their class and attributes over a pickle, as Celery sends them."""

from __future__ import annotations

import inspect
import pickle

import pytest

from ocd.core import errors

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.OcdError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_a_pickle(kind):
    special = {
        errors.BackupMissing: lambda: kind("agent_queries", needed_after="2026-11-23T02:00Z"),
        errors.ApprovalNeeded: lambda: kind(12, "35 % of the table would go"),
        errors.UnknownName: lambda: kind("job", "purg", ["purge"]),
        errors.QuotaExhausted: lambda: kind("later", retry_after_s=30.0),
        errors.SourceUnavailable: lambda: kind("away", is_server_error=True),
        errors.TooEarly: lambda: kind("not yet", retry_after_s=30.0),
    }
    error = special.get(kind, lambda: kind("what happened", detail=1))()

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert (str(copy), vars(copy), copy.retryable) == (str(error), vars(error), error.retryable)


def test_an_unknown_name_suggests_the_nearest():
    assert "did you mean 'purge'" in str(errors.UnknownName("job", "purg", ["backup", "purge"]))


def test_a_quota_that_does_not_open_again_is_not_retried():
    assert not errors.QuotaExhausted("x", retry_after_s=None).retryable
    assert errors.QuotaExhausted("x", retry_after_s=1).retryable
