"""Sign what must not change unseen, with keys that can be replaced one after the other."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from ocd.core.errors import ConfigError, ContractBroken

#: A key is text of at least this many characters; `openssl rand -base64 33` gives 44.
MIN_CHARACTERS = 32


@dataclass(frozen=True)
class Signature:
    """HMAC-SHA256 (hex) and the id of the key that it was made with."""

    key_id: str
    hmac_sha256: str


@dataclass(frozen=True)
class SigningKeys:
    """Keys in use: the first signs, every one of them is accepted."""

    keys: tuple[str, ...] = field(repr=False)

    def sign(self, content: bytes) -> Signature:
        """Sign with the first key; raises ConfigError where there is none."""
        if not self.keys:
            raise ConfigError(
                "no signing key: set OCD_SIGNING_KEY, or OCD_SIGNING_KEY_FILE, to the same text wherever jobs run"
            )
        return Signature(key_id(self.keys[0]), _mac(self.keys[0], content))

    def check(self, content: bytes, signature: Signature, what: str) -> None:
        """Raise ContractBroken unless one of the keys made this signature of this content."""
        for key in self.keys:
            if key_id(key) == signature.key_id:
                said = str(
                    signature.hmac_sha256
                ).encode()  # as it was read: of any type, in any letters
                if hmac.compare_digest(_mac(key, content).encode(), said):
                    return
                raise ContractBroken(f"{what}: its signature does not fit: it was changed")
        raise ContractBroken(
            f"{what}: signed with key {signature.key_id}, which is not among OCD_SIGNING_KEY"
        )


def key_id(key: str) -> str:
    """Return the public name of a key; it tells nothing of the key."""
    return hashlib.sha256(b"ocd signing key " + key.encode()).hexdigest()[:12]


def _mac(key: str, content: bytes) -> str:
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()
