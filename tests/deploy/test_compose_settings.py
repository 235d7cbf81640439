"""docker-compose.yml passes every setting on, with the default that it has everywhere."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
import yaml

from ocd.core.settings import PROJECT, Settings, variable

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
PASSED = COMPOSE["x-settings"]
#: Not in `x-settings`, and why.
ELSEWHERE = {
    "home": "the image says it",
    "log_format": "the image says it",
    "owner_database_url": "for `migrate` alone",
    "reader_database_url": "for `api` alone, as its OCD_DATABASE_URL",
    "signing_key": "for the workers alone",
    "age_recipients": "for the workers alone",
    "age_identity_file": "for the worker that restores alone",
    "erasure_key": "for the worker that restores alone",
    "scratch_database_url": "a secret that not everybody has",
    "api_port": "in the command of `api`",
    "flower_port": "in the command of `flower`",
    "worker_concurrency": "in the commands of the workers",
    "webhook_url": "a secret that not everybody has",
    "notify_urls": "a secret that not everybody has",
    "ga_access_token": "a secret that not everybody has",
    "ga_credentials_file": "a file that not everybody has",
    "ga_recordings": "a folder, to try things out with",
    "ga_mcp_url": "needs the mcp extra, which the image does not have",
    "ga_mcp_token": "needs the mcp extra, which the image does not have",
    "ga_mcp_command": "needs the mcp extra, which the image does not have",
    "ga_mcp_allow_commands": "needs the mcp extra, which the image does not have",
    "ga_api_url": "another one than Google's is for tests",
}
#: The image's, not the program's.
IMAGE = {"artifact_url": "/artifacts"}


def names():
    """The settings that are passed on; a secret as the file that holds it."""
    return {name.removeprefix("OCD_").removesuffix("_FILE").lower() for name in PASSED}


def test_every_setting_is_passed_on_or_said_to_be_elsewhere():
    every = {one.name for one in fields(Settings)}

    assert names() | set(ELSEWHERE) == every
    assert names() & set(ELSEWHERE) == set()


@pytest.mark.parametrize("name", sorted(names() - {"database_url", "redis_url"}))
def test_what_is_not_set_has_the_programs_default(name):
    default = re.fullmatch(rf"\$\{{{variable(name)}:-(.*)\}}", PASSED[variable(name)])[1]

    said = getattr(Settings.from_env({variable(name): default}), name)

    assert said == IMAGE.get(name, getattr(Settings(), name))


def test_secrets_come_from_files_alone():
    secret = {one.name for one in fields(Settings) if one.metadata["secret"]}

    plain = {name for name in names() & secret if variable(name) in PASSED}

    assert plain == set()
    for name in names() & secret:
        assert PASSED[f"{variable(name)}_FILE"] == f"/run/secrets/{name}"
