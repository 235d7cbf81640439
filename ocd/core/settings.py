"""All settings, read once from the environment by an entrance, validated, frozen.

Every variable is `OCD_<NAME>`; secrets may come from a file instead, `OCD_<NAME>_FILE`. Without
`OCD_DATABASE_URL` the program uses the embedded servers of its home folder. The reference page
docs/reference/settings.md is generated from this file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ocd.core.errors import ConfigError, UnknownName
from ocd.core.signing import MIN_CHARACTERS, SigningKeys

PROJECT = Path(__file__).resolve().parents[2]
#: Variables that can name a server: ours, Celery's, Flower's, libpq's.
_SERVER_VARIABLES = ("OCD_", "CELERY_", "FLOWER_", "PG")


def _setting(
    default: Any, text: str, *, secret: bool = False, choices: tuple[str, ...] = ()
) -> Any:
    """Declare one setting; `text` becomes its line in the reference."""
    return field(
        default=default,
        metadata={"text": text, "secret": secret, "choices": choices},
        repr=not secret,
    )


@dataclass(frozen=True)
class Settings:
    """Everything that can be set; see each field's text. Secrets never show in `repr`."""

    home: Path = _setting(
        PROJECT / ".ocd", "Folder for embedded servers, artifacts, logs and generated secrets."
    )
    database_url: str | None = _setting(
        None,
        "PostgreSQL URL of the worker login (bypasses row security). Unset: the home's embedded server.",
        secret=True,
    )
    owner_database_url: str | None = _setting(
        None,
        "PostgreSQL URL of the owner login, used by `ocd db` only. Default: OCD_DATABASE_URL.",
        secret=True,
    )
    redis_url: str | None = _setting(
        None, "Redis URL of the message broker. Unset: the home's embedded server.", secret=True
    )
    artifact_url: str | None = _setting(
        None,
        "Where artifacts go: a folder, or s3://bucket/prefix (credentials from AWS_* variables). Default: <home>/artifacts.",
    )
    artifact_days: int = _setting(90, "Days until an artifact expires.")
    signing_key: tuple[str, ...] = _setting(
        (),
        "Keys for the signatures of backup manifests, comma separated, 32 characters or more each: the first signs, all are accepted. The home's embedded servers have one of their own.",
        secret=True,
    )
    age_recipients: tuple[str, ...] = _setting(
        (),
        "Public age keys (age1…), comma separated, that rows in backups and archives are encrypted for; needs the crypto extra. Unset: not encrypted.",
    )
    age_identity_file: Path | None = _setting(
        None,
        "File of age private keys, to read what is encrypted; only where verify and restore run (queue restore).",
    )
    backup_keep_last: int = _setting(7, "Backups kept whatever their age: the newest ones.")
    backup_keep_daily: int = _setting(14, "Days of which the last backup is kept.")
    backup_keep_weekly: int = _setting(8, "Weeks of which the last backup is kept.")
    backup_keep_monthly: int = _setting(12, "Months of which the last backup is kept.")
    backup_hold_days: int = _setting(
        7, "Days that the backup stays on which a purge leaned, whatever rotation says."
    )
    reread_gb: int = _setting(
        10, "Gigabytes of older backups and archives that are read again every week."
    )
    scratch_database_url: str | None = _setting(
        None,
        "PostgreSQL URL of a login that may create databases, where backups are restored to be verified. Unset: a throw-away server of this machine.",
        secret=True,
    )
    log_format: str = _setting("console", "How log lines look.", choices=("console", "json"))
    log_level: str = _setting(
        "INFO", "Lowest level that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    worker_concurrency: int = _setting(2, "Processes per worker of `ocd up` and `make nightly`.")
    lease_s: int = _setting(30, "Seconds after which a silent worker's run may be taken over.")
    retry_backoff_s: int = _setting(
        10, "Seconds before the first retry of a run; the second waits three times as long."
    )
    purge_enabled: bool = _setting(
        False, "Whether lifecycle.purge may delete. Always on for the embedded database."
    )
    purge_batch_rows: int = _setting(
        5000, "Rows per purge batch at the start; adapted to about 40 ms a batch."
    )
    purge_minutes: int = _setting(
        120, "Minutes that a purge of one table may take; the next night goes on with the rest."
    )
    purge_max_share_percent: int = _setting(
        20, "Share of a table above which a purge needs an approval."
    )
    purge_max_rows: int = _setting(1_000_000, "Rows above which a purge needs an approval.")
    purge_max_jump_days: int = _setting(
        14, "Days that a cutoff may move since the last purge without an approval."
    )
    backup_trust_hours: int = _setting(
        26, "Age at which a verified backup no longer allows a purge."
    )
    erasure_key: str | None = _setting(
        None,
        "Key of the hashes that stand for erased ids, 32 characters or more; where the queue restore is worked on. Keep it apart from the backups. The home's embedded servers have one of their own.",
        secret=True,
    )
    reconcile_s: int = _setting(
        60,
        "Seconds between two sweeps of the reconciler; a message not picked up for as long is sent again.",
    )
    canary_s: int = _setting(
        60, "Seconds between two canaries, from beat through Redis to a worker."
    )
    shop_time_zone: str = _setting(
        "UTC",
        "Time zone of the shop, such as America/Los_Angeles: its days are the night's windows.",
    )
    webhook_url: str | None = _setting(
        None, "Where incidents are reported by HTTP POST (JSON).", secret=True
    )
    notify_urls: tuple[str, ...] = _setting(
        (),
        "Where else incidents are told: Apprise URLs, comma separated; needs the notify extra.",
        secret=True,
    )
    ga_backend: str | None = _setting(
        None,
        "Where GA4 data comes from: rest and mcp are live, recorded replays files.",
        choices=("rest", "mcp", "recorded"),
    )
    ga_property: str | None = _setting(None, "GA4 property id, digits only.")
    ga_api_url: str = _setting("https://analyticsdata.googleapis.com", "Base URL of the Data API.")
    ga_credentials_file: Path | None = _setting(
        None, "Service account JSON for GA4; needs the google extra."
    )
    ga_access_token: str | None = _setting(
        None, "OAuth access token for GA4, instead of a service account.", secret=True
    )
    ga_mcp_url: str | None = _setting(
        None, "Address of a GA4 MCP server (streamable HTTP), for the mcp backend."
    )
    ga_mcp_token: str | None = _setting(
        None, "Bearer token for OCD_GA_MCP_URL, where it wants one.", secret=True
    )
    ga_mcp_command: str | None = _setting(
        None, "Command line of a GA4 MCP server that speaks on stdio, instead of OCD_GA_MCP_URL."
    )
    ga_mcp_allow_commands: tuple[str, ...] = _setting(
        ("analytics-mcp",),
        "Exact programs, comma separated, that OCD_GA_MCP_COMMAND may start.",
    )
    ga_recordings: Path | None = _setting(
        None, "Folder of recorded GA4 reports, for the recorded backend."
    )
    sitemap_url: str | None = _setting(
        None,
        "The shop's address, whose robots.txt names its sitemaps, or that of one sitemap: what sources.snapshot_sitemap reads.",
    )
    sitemap_sample_pages: int = _setting(
        5,
        "Pages of the sitemap that are fetched each time to see whether they are there; 0 for none.",
    )
    sitemap_allow_hosts: tuple[str, ...] = _setting(
        (), "Exact host:port pairs, comma separated, that may be private addresses. Default: none."
    )
    quality_max_cost: int = _setting(
        50_000_000,
        "Planner's cost from which on the nightly check leaves a table out and says so; 0 for no limit. `ocd quality run` asks every table.",
    )
    reader_database_url: str | None = _setting(
        None,
        "PostgreSQL URL of the reader login, used by `ocd api`. Default: OCD_DATABASE_URL.",
        secret=True,
    )
    api_port: int = _setting(
        8080, "Port of `ocd api` on 127.0.0.1; `ocd up` takes the next free one if it is busy."
    )
    flower_port: int = _setting(
        5555, "Port of Flower on 127.0.0.1; the next free one is taken if it is busy."
    )

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the process's environment; for entrances only."""
        return cls.from_env(os.environ)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Parse and check; raises ConfigError naming every fault at once."""
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        faults: list[str] = _unknown_variables(env)
        for item in fields(cls):
            try:
                raw = _raw(env, item)
                if raw is not None:
                    values[item.name] = _parse(raw, hints[item.name], item.metadata["choices"])
            except (ValueError, OSError) as error:
                faults.append(f"{variable(item.name)}: {error}")
        if not faults:
            settings = cls(**values)
            faults = settings.faults()
        if faults:
            raise ConfigError("settings: " + "; ".join(faults))
        return settings

    def faults(self) -> list[str]:
        """Return what is wrong between settings, in words; empty when all is well."""
        wrong = self._wrong_servers() | self._wrong_words() | self._wrong_numbers()
        return [text for text, is_wrong in wrong.items() if is_wrong]

    def _wrong_servers(self) -> dict[str, bool]:
        both = "set both, or none for the embedded servers"
        redis = "redis://, rediss:// or redis+socket://"
        postgres = "postgresql://user:password@host/database"
        addresses = {
            "OCD_REDIS_URL": (self.redis_url, ("redis://", "rediss://", "redis+socket://"), redis),
            **{
                name: (url, ("postgresql://", "postgres://"), postgres)
                for name, url in {
                    "OCD_DATABASE_URL": self.database_url,
                    "OCD_OWNER_DATABASE_URL": self.owner_database_url,
                    "OCD_READER_DATABASE_URL": self.reader_database_url,
                    "OCD_SCRATCH_DATABASE_URL": self.scratch_database_url,
                }.items()
            },
        }
        alone = {
            f"OCD_DATABASE_URL is set but OCD_REDIS_URL is not; {both}": (
                self.database_url,
                self.redis_url,
            ),
            f"OCD_REDIS_URL is set but OCD_DATABASE_URL is not; {both}": (
                self.redis_url,
                self.database_url,
            ),
            f"OCD_OWNER_DATABASE_URL is set but OCD_DATABASE_URL is not; {both}": (
                self.owner_database_url,
                self.database_url,
            ),
            "OCD_READER_DATABASE_URL is set but OCD_DATABASE_URL is not; set both": (
                self.reader_database_url,
                self.database_url,
            ),
        }
        return {text: bool(own and not other) for text, (own, other) in alone.items()} | {
            f"{name}: expected {expected}": not _starts(url, schemes)
            for name, (url, schemes, expected) in addresses.items()
        }

    def _wrong_words(self) -> dict[str, bool]:
        makes = "`openssl rand -base64 33`"
        zone = f"OCD_SHOP_TIME_ZONE: {self.shop_time_zone!r} is no time zone"
        return {
            "OCD_GA_PROPERTY: digits only, as shown in GA4's admin": bool(
                self.ga_property and not self.ga_property.isdigit()
            ),
            f"OCD_ERASURE_KEY: at least 32 characters, such as {makes} gives": bool(
                self.erasure_key and len(self.erasure_key) < MIN_CHARACTERS
            ),
            f"OCD_SIGNING_KEY: a key has at least 32 characters; {makes} makes one": any(
                len(key) < MIN_CHARACTERS for key in self.signing_key
            ),
            "OCD_AGE_RECIPIENTS: expected public keys such as age1…; never a private one": any(
                not key.startswith("age1") for key in self.age_recipients
            ),
            f"{zone}; expected a name such as America/Los_Angeles": not _is_zone(
                self.shop_time_zone
            ),
        }

    def _wrong_numbers(self) -> dict[str, bool]:
        at_least_one = (
            "lease_s",
            "artifact_days",
            "worker_concurrency",
            "purge_batch_rows",
            "purge_minutes",
            "purge_max_share_percent",
            "purge_max_rows",
            "purge_max_jump_days",
            "backup_trust_hours",
            "backup_keep_last",
            "backup_hold_days",
            "reread_gb",
            "reconcile_s",
            "canary_s",
        )
        return {
            f"{variable(name)}: must be at least 1": getattr(self, name) < 1
            for name in at_least_one
        }

    @property
    def is_embedded(self) -> bool:
        """Whether the servers are our own, of this home."""
        return self.database_url is None

    def owner_url(self) -> str:
        """URL of the owner login; raises ConfigError where no database is configured."""
        url = self.owner_database_url or self.database_url
        if url is None:
            raise ConfigError(
                "no database: set OCD_DATABASE_URL, or use `ocd`, which starts the embedded one"
            )
        return url

    def worker_url(self) -> str:
        """URL of the worker login; raises ConfigError where no database is configured."""
        if self.database_url is None:
            raise ConfigError(
                "no database: set OCD_DATABASE_URL, or use `ocd`, which starts the embedded one"
            )
        return self.database_url

    def reader_url(self) -> str:
        """URL of the reader login, else of the worker's; raises ConfigError where no database is configured."""
        return self.reader_database_url or self.worker_url()

    def signing_keys(self) -> SigningKeys:
        """The keys that sign manifests; none where none is set."""
        return SigningKeys(self.signing_key)

    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.shop_time_zone)

    def broker_url(self) -> str:
        """URL of Redis; raises ConfigError where none is configured."""
        if self.redis_url is None:
            raise ConfigError(
                "no Redis: set OCD_REDIS_URL, or use `ocd up`, which starts the embedded one"
            )
        return self.redis_url

    def artifact_location(self) -> str:
        """Folder or bucket URL of the artifact store."""
        return self.artifact_url or str(self.home / "artifacts")

    def replace(self, **changes: Any) -> Settings:
        """Return a copy with these fields changed."""
        return dataclasses.replace(self, **changes)


def local_environment(env: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return `env` with every setting of ours, Celery's, Flower's and libpq's taken out but the home.

    No foreign server can be reached by accident, whatever the shell's environment names.
    """
    kept = {key: value for key, value in env.items() if not key.startswith(_SERVER_VARIABLES)}
    return kept | {"OCD_HOME": str(home)}


def process_environment() -> dict[str, str]:
    """Return a copy of this process's environment, to hand to a child process."""
    return dict(os.environ)


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"OCD_{name.upper()}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _starts(url: str | None, schemes: tuple[str, ...]) -> bool:
    return url is None or url.startswith(schemes)


def _unknown_variables(env: Mapping[str, str]) -> list[str]:
    known = {variable(item.name) for item in fields(Settings)}
    known |= {f"{variable(item.name)}_FILE" for item in fields(Settings) if item.metadata["secret"]}
    given = (
        {key for key in env if key.startswith("OCD_")} - known - {"OCD_STACK"}
    )  # supervisord's mark
    return [str(UnknownName("setting", key, known)) for key in sorted(given)]


def _raw(env: Mapping[str, str], item: dataclasses.Field[Any]) -> str | None:
    name = variable(item.name)
    from_file = env.get(f"{name}_FILE") if item.metadata["secret"] else None
    if from_file and env.get(name):
        raise ValueError(f"set {name} or {name}_FILE, not both")
    if from_file:
        return Path(from_file).read_text(encoding="utf-8").strip()
    return env.get(name) or None


def _parse(raw: str, hint: Any, choices: tuple[str, ...]) -> Any:
    kinds = set(get_args(hint)) or {hint}
    if hint == tuple[str, ...]:
        return tuple(part.strip() for part in raw.replace("\n", ",").split(",") if part.strip())
    if Path in kinds:
        return Path(raw).expanduser().absolute()
    if bool in kinds:
        return _parse_bool(raw)
    if int in kinds:
        return int(raw)
    if choices and raw not in choices:
        raise ValueError(f"{raw!r} is not one of {', '.join(choices)}")
    return raw


def _parse_bool(raw: str) -> bool:
    word = raw.lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise ValueError(f"{raw!r} is neither true nor false")
