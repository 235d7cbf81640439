"""One pair of servers for all crash tests, emptied for each; a failed test shows its processes' logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.stack import Stack, running_stack


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


@pytest.fixture
def stack(servers: Stack) -> Iterator[Stack]:
    """Empty servers without a process; every process that the test starts is ended."""
    servers.reset()
    yield servers
    servers.end_processes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("processes and open runs", stack.told()))
    return report
