"""Choose the GA4 backend that the settings name; never a silent substitute."""

from __future__ import annotations

from ocd.core.errors import ConfigError
from ocd.core.settings import Settings
from ocd.sources.ga4.client import GaClient
from ocd.sources.ga4.recorded import RecordedClient
from ocd.sources.ga4.rest import RestClient, service_account_token


def open_client(settings: Settings) -> tuple[GaClient, str]:
    """Return the client and the origin of its data, `live` or `recorded`; raises ConfigError."""
    if settings.ga_backend == "recorded":
        if settings.ga_recordings is None:
            raise ConfigError(
                "OCD_GA_BACKEND=recorded needs OCD_GA_RECORDINGS, a folder of recorded reports"
            )
        return RecordedClient(settings.ga_recordings), "recorded"
    if settings.ga_backend is None:
        raise ConfigError(
            "no GA4: set OCD_GA_BACKEND=rest with OCD_GA_PROPERTY and a credential (docs/how-to/connect-real-ga4.md)"
        )
    if settings.ga_property is None:
        raise ConfigError("OCD_GA_BACKEND=rest needs OCD_GA_PROPERTY, the property's digits")
    if settings.ga_access_token is not None:
        token = settings.ga_access_token
        return RestClient(settings.ga_api_url, lambda: token), "live"
    if settings.ga_credentials_file is not None:
        return RestClient(
            settings.ga_api_url, service_account_token(settings.ga_credentials_file)
        ), "live"
    raise ConfigError("OCD_GA_BACKEND=rest needs OCD_GA_CREDENTIALS_FILE or OCD_GA_ACCESS_TOKEN")
