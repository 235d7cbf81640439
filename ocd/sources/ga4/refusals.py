"""What a refusal of the Data API means, whichever way it came: the status, and Google's own words."""

from __future__ import annotations

import re

from ocd.core.errors import ConfigError, ContractBroken, OcdError, QuotaExhausted, SourceUnavailable
from ocd.sources.ga4.policy import quota_of

#: As much of Google's words as is shown: they name the quota or the field.
MAX_WORDS = 300
#: A status, and what was asked, before the reason.
_STATUS = re.compile(r"\b([45]\d\d)\b(?: POST \S+)?:?\s*")


def refusal(status: int, said: str) -> OcdError:
    """Return the error of a status. `said` holds no secret; the caller saw to it."""
    said = said[:MAX_WORDS]
    if status == 429:
        quota, retry_after_s = quota_of(said)
        return QuotaExhausted(
            f"GA4 quota: {said or 'exhausted'}", retry_after_s=retry_after_s, quota=quota
        )
    if status == 401:
        return ConfigError(
            "GA4 refuses the credential (401): renew OCD_GA_ACCESS_TOKEN or check OCD_GA_CREDENTIALS_FILE"
        )
    if status == 403:
        return ConfigError(
            "GA4 denies access (403): enable the Data API in the Google project and give the service account "
            "the Viewer role on the property of OCD_GA_PROPERTY"
        )
    if status >= 500:
        return SourceUnavailable(f"GA4 answered {status}", is_server_error=True)
    if status == 408:
        return SourceUnavailable(f"GA4 answered {status}")
    return ContractBroken(f"GA4 answered {status}: {said or 'no reason given'}")


def refusal_in_words(said: str) -> OcdError:
    """Return the error of a refusal that came as text, such as `429 POST …: Exhausted …`."""
    status = _STATUS.search(said)
    if status is None:
        return ContractBroken(f"GA4 refused: {said[:MAX_WORDS]}")
    return refusal(int(status.group(1)), said[status.end() :])
