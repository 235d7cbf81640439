"""Settings: every fault named, secrets hidden, nothing foreign reached by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocd.core.errors import ConfigError
from ocd.core.settings import PROJECT, Settings, local_environment

URLS = {
    "OCD_DATABASE_URL": "postgresql://u:pw-secret@h/d",
    "OCD_REDIS_URL": "redis://:pw-secret@h/0",
}


def test_without_urls_the_embedded_servers_are_meant():
    assert Settings.from_env({}).is_embedded


def test_secrets_do_not_show_in_repr():
    assert "pw-secret" not in repr(Settings.from_env(URLS))


def test_a_secret_may_come_from_a_file(tmp_path):
    path = tmp_path / "url"
    path.write_text("postgresql://u:p@h/d\n")

    found = Settings.from_env({"OCD_DATABASE_URL_FILE": str(path), "OCD_REDIS_URL": "redis://h"})

    assert found.worker_url() == "postgresql://u:p@h/d"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OCD_DATABASE_URL": "postgresql://h/d"}, "OCD_REDIS_URL is not"),
        ({"OCD_REDIS_URL": "redis://h"}, "OCD_DATABASE_URL is not"),
        ({**URLS, "OCD_REDIS_URL": "http://h"}, "expected redis://"),
        ({"OCD_LOG_FORMAT": "xml"}, "console, json"),
        ({"OCD_PURGE_ENABLED": "perhaps"}, "neither true nor false"),
        ({"OCD_ARTIFACT_DAYS": "0"}, "at least 1"),
        ({"OCD_GA_PROPERTY": "properties/1"}, "digits only"),
        (
            {"OCD_DATABASE_URL_FILE": "/does/not/exist", "OCD_REDIS_URL": "redis://h"},
            "OCD_DATABASE_URL",
        ),
        ({**URLS, "OCD_DATABASE_URL_FILE": "/x"}, "not both"),
        ({"OCD_PURGE_ENABLE": "true"}, "did you mean 'OCD_PURGE_ENABLED'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_named(env, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        Settings.from_env(env)


def test_several_faults_are_named_at_once():
    with pytest.raises(
        ConfigError, match=r"OCD_LEASE_S.*OCD_LOG_FORMAT|OCD_LOG_FORMAT.*OCD_LEASE_S"
    ):
        Settings.from_env({"OCD_LEASE_S": "x", "OCD_LOG_FORMAT": "y"})


def test_the_local_environment_names_no_server():
    env = URLS | {
        "CELERY_BROKER_URL": "redis://x",
        "PGHOST": "x",
        "FLOWER_PORT": "1",
        "PATH": "/bin",
    }

    assert local_environment(env, Path("/h")) == {"PATH": "/bin", "OCD_HOME": "/h"}


def test_every_setting_has_a_line_in_the_reference():
    page = (PROJECT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    assert all(f"`OCD_{name.upper()}`" in page for name in Settings.__dataclass_fields__)
