"""The MCP backend's own: both transports, one long session, old servers, and what a server may know."""

from __future__ import annotations

import shlex
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from ocd.core.errors import ConfigError, ContractBroken, QuotaExhausted, SourceUnavailable
from ocd.core.settings import PROJECT
from ocd.sources.ga4.backends import opened
from ocd.sources.ga4.mcp import close_sessions
from ocd.sources.ga4.reports import LANDING_PAGES
from tests.fakes.ga4 import LIMITS
from tests.fakes.ga_mcp import command_line, running_ga_mcp
from tests.sources.ga4 import pages, read, rows_of, settings_for

WANTED = "a-bearer-token"


@pytest.fixture
def over_http(ga4, tmp_path):
    """Open a client of a server over HTTP: over_http(url, token=None)."""

    def make(url, token=None):
        changed = {"ga_mcp_command": None, "ga_mcp_url": url, "ga_mcp_token": token}
        return opened(settings_for(ga4, "mcp", tmp_path, **changed))

    yield make
    close_sessions()


@pytest.fixture
def over_stdio(ga4, tmp_path):
    def make(*options):
        command = shlex.join(command_line(ga4.url, *options))
        return opened(settings_for(ga4, "mcp", tmp_path, ga_mcp_command=command))

    close_sessions()
    yield make
    close_sessions()


def servers():
    """The MCP servers that this process started."""
    return [
        process
        for process in psutil.Process().children()
        if process.status() != psutil.STATUS_ZOMBIE and "tests.fakes.ga_mcp" in process.cmdline()
    ]


def test_over_http_the_same_rows_come(ga4, over_http):
    ga4.set(rows={"date": pages(5)})

    with running_ga_mcp(ga4.url) as url, over_http(url) as client:
        found = read(client, LANDING_PAGES)

    assert rows_of(found) == [("20261123", f"/page-{n}", str(n + 1)) for n in range(5)]


def test_over_http_the_token_is_sent_and_a_wrong_one_is_named(ga4, over_http):
    ga4.set(rows={"date": pages(1)})

    with running_ga_mcp(ga4.url, "--token", WANTED) as url:
        with over_http(url, WANTED) as client:
            assert len(rows_of(read(client, LANDING_PAGES))) == 1
        for token in ("another", None):
            with (
                over_http(url, token) as client,
                pytest.raises(ConfigError, match="OCD_GA_MCP_TOKEN"),
            ):
                read(client, LANDING_PAGES)


@pytest.mark.parametrize("options", [(), ("--errors-as-data",)], ids=["errors", "errors as data"])
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ([400, "Field x is not a valid metric."], ContractBroken),
        ([403, "no"], ConfigError),
        ([429, "Exhausted concurrent requests quota."], QuotaExhausted),
        ([503, "no"], SourceUnavailable),
    ],
)
def test_an_error_is_one_even_where_the_server_calls_it_a_result(
    ga4, over_stdio, options, refusal, error
):
    ga4.set(refusal=refusal)

    with over_stdio(*options) as client, pytest.raises(error) as caught:
        read(client, LANDING_PAGES)

    assert type(caught.value) is error
    assert ga4.url not in str(caught.value)


def test_a_refused_day_says_so_through_an_old_server(ga4, over_stdio):
    ga4.set(remaining=LIMITS | {"tokensPerDay": 0})

    with over_stdio("--errors-as-data") as client, pytest.raises(QuotaExhausted) as caught:
        read(client, LANDING_PAGES)

    assert (caught.value.quota, caught.value.retryable) == ("tokensPerDay", False)


def test_one_server_serves_every_client_of_the_process(ga4, over_stdio):
    ga4.set(rows={"date": pages(5)})

    for _ in range(3):
        with over_stdio() as client:
            read(client, LANDING_PAGES)

    assert len(servers()) == 1
    assert len(ga4.journal) == 3 * 3


def test_a_server_that_died_is_started_again(ga4, over_stdio):
    ga4.set(rows={"date": pages(1)})
    with over_stdio() as client:
        read(client, LANDING_PAGES)
        (server,) = servers()
        server.kill()
        server.wait()

        with pytest.raises(SourceUnavailable):
            read(client, LANDING_PAGES)
        found = read(client, LANDING_PAGES)

    assert len(rows_of(found)) == 1
    assert [one.pid for one in servers()] != [server.pid]


def test_a_server_ends_with_its_process(ga4):
    """Also where the process is killed: its end of the pipe is gone then."""
    code = (
        "import os, signal; from pathlib import Path; from tests.sources.ga4 import *;"
        "from tests.fakes.ga4 import Ga4; from ocd.sources.ga4.backends import opened;"
        f"g = Ga4({ga4.url!r}); c = opened(settings_for(g, 'mcp', Path('.'))).__enter__();"
        "read(c, REPORTS[0]); import psutil;"
        "print(psutil.Process().children()[0].pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60)  # fmt: skip
    server = int(done.stdout)

    with suppress(psutil.NoSuchProcess):
        psutil.Process(server).wait(timeout=20)

    assert not psutil.pid_exists(server)


def test_a_server_knows_nothing_that_it_need_not_know(ga4, over_stdio, monkeypatch, tmp_path):
    monkeypatch.setenv("OCD_DATABASE_URL", "postgresql://u:secret@h/d")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ga4.set(rows={"date": pages(1)})
    settings = settings_for(ga4, "mcp", tmp_path, ga_credentials_file=tmp_path / "key.json")

    with opened(settings) as client:
        read(client, LANDING_PAGES)
        (server,) = servers()
        environment = server.environ()

    assert "secret" not in str(environment)
    assert environment["GOOGLE_APPLICATION_CREDENTIALS"] == str(tmp_path / "key.json")


@pytest.mark.parametrize("command", ["sh -c 'echo'", "./analytics-mcp", "analytics-mcp; sh", ""])
def test_only_programs_on_the_list_are_started(ga4, tmp_path, command):
    settings = settings_for(ga4, "mcp", tmp_path, ga_mcp_command=command, ga_mcp_allow_commands=("analytics-mcp",))  # fmt: skip

    with pytest.raises(ConfigError, match="OCD_GA_MCP"), opened(settings):
        pass


def test_a_program_that_is_not_there_is_a_setting_to_fix(ga4, tmp_path):
    settings = settings_for(ga4, "mcp", tmp_path, ga_mcp_command="no-such-program", ga_mcp_allow_commands=("no-such-program",))  # fmt: skip

    with opened(settings) as client, pytest.raises(ConfigError, match="OCD_GA_MCP_COMMAND"):
        read(client, LANDING_PAGES)
    close_sessions()
