"""Open the GA4 backend that the settings name; never a silent substitute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from ocd.core.errors import ConfigError, UnknownName
from ocd.core.settings import Settings
from ocd.sources.ga4.client import GaClient
from ocd.sources.ga4.recorded import RecordedClient
from ocd.sources.ga4.rest import RestClient, service_account_token

BACKENDS = ("rest", "mcp", "recorded")


@contextmanager
def opened(settings: Settings, backend: str | None = None) -> Iterator[GaClient]:
    """Give the client of a backend, by default the one that is set; raises ConfigError naming what is missing."""
    chosen = backend or settings.ga_backend
    if chosen is None:
        raise ConfigError(
            "no GA4: set OCD_GA_BACKEND=rest with OCD_GA_PROPERTY and a credential (docs/how-to/connect-real-ga4.md)"
        )
    if chosen not in BACKENDS:
        raise UnknownName("GA4 backend", chosen, BACKENDS)
    if chosen == "recorded":
        yield _recorded(settings)
    elif settings.ga_property is None:
        raise ConfigError(f"OCD_GA_BACKEND={chosen} needs OCD_GA_PROPERTY, the property's digits")
    elif chosen == "mcp":
        from ocd.sources.ga4.mcp import open_mcp

        yield open_mcp(settings)
    else:
        with closing(RestClient(settings.ga_api_url, _token(settings))) as client:
            yield client


def origin_of(backend: str | None) -> str:
    """Return what a backend's data is: `live` or `recorded`."""
    return "recorded" if backend == "recorded" else "live"


def _recorded(settings: Settings) -> RecordedClient:
    if settings.ga_recordings is None:
        raise ConfigError(
            "OCD_GA_BACKEND=recorded needs OCD_GA_RECORDINGS, a folder of recorded reports"
        )
    return RecordedClient(settings.ga_recordings)


def _token(settings: Settings) -> Callable[[], str]:
    if settings.ga_access_token is not None:
        token = settings.ga_access_token
        return lambda: token
    if settings.ga_credentials_file is not None:
        return service_account_token(settings.ga_credentials_file)
    raise ConfigError("OCD_GA_BACKEND=rest needs OCD_GA_CREDENTIALS_FILE or OCD_GA_ACCESS_TOKEN")
