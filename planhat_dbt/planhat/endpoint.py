"""Where Planhat is, and who we are there: hosts, token and tenant, read from the environment.

The tracking host is one for every region (planhat-api §1.1). Secrets are wrapped, so that no repr, log line
or error can show them by accident; `Endpoint.redact` removes them from text that came from elsewhere. Knows
nothing of HTTP libraries, so that commands which only name the tenant start fast.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from planhat_dbt.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

REDACTED = "***"
DEFAULT_API_URL = "https://api.planhat.com"
DEFAULT_TRACKING_URL = "https://analytics.planhat.com"

_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TENANT = re.compile(r"[A-Za-z0-9_-]+")
_TOKEN = re.compile(r"[\x21-\x7e]+")


class Secret:
    """Text that shows itself only to those who ask for it by name.

    Not a dataclass: `dataclasses.asdict` would lay its value open.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: for request headers and paths only."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return REDACTED if self._value else "''"

    __str__ = __repr__


class Fingerprint(NamedTuple):
    """Short hashes of host and tenant; the tenant's is empty where its UUID is not known."""

    host: str
    tenant: str

    def contradicts(self, other: Fingerprint) -> bool:
        """Whether both surely belong to different tenants: a UUID that becomes known is no contradiction."""
        both_known = bool(self.tenant and other.tenant)
        return self.host != other.host or (both_known and self.tenant != other.tenant)

    def __str__(self) -> str:
        return f"{self.host}:{self.tenant}"

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read what `str` wrote."""
        host, _, tenant = text.partition(":")
        return cls(host, tenant)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Planhat tenant: base URLs without a trailing slash, API token and tenant UUID."""

    api_url: str
    tracking_url: str
    token: Secret
    tenant_uuid: Secret = field(default_factory=lambda: Secret(""))

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, need_token: bool = True) -> Endpoint:
        """Read `PLANHAT_*` variables.

        Args:
            environ: Usually `os.environ`.
            need_token: False where nothing is sent, as in `plan`.

        Raises:
            UsageError: A variable is missing or malformed; its value is not repeated if it is a secret.
        """
        region = environ.get("PLANHAT_REGION", "").strip().lower()
        if region and not _REGION.fullmatch(region):
            raise UsageError(
                f"PLANHAT_REGION is {region!r}, which is not the name of a region.",
                hint="Take it from the address of the app: app-us1.planhat.com means us1; leave it empty for "
                "app.planhat.com. For a full address set PLANHAT_API_URL.",
            )
        regional = f"https://api-{region}.planhat.com" if region else DEFAULT_API_URL
        return cls(
            api_url=_base_url(environ, "PLANHAT_API_URL", regional),
            tracking_url=_base_url(environ, "PLANHAT_TRACKING_URL", DEFAULT_TRACKING_URL),
            token=Secret(_token(environ, need=need_token)),
            tenant_uuid=Secret(_tenant(environ)),
        )

    @property
    def api_host(self) -> str:
        """Host of the main API, with its port where one is given; for messages."""
        return urlsplit(self.api_url).netloc

    @property
    def tracking_host(self) -> str:
        """Host of the tracking endpoints, with its port where one is given; for messages."""
        return urlsplit(self.tracking_url).netloc

    def require_tenant(self) -> str:
        """The tenant UUID, which only metrics and activities need.

        Raises:
            UsageError: It is not set.
        """
        if not self.tenant_uuid:
            raise UsageError(
                "PLANHAT_TENANT_UUID is not set; metrics and user activities cannot be sent without it.",
                hint="Find the tenant token in Planhat under Developer, and set it: "
                "export PLANHAT_TENANT_UUID=<tenant token>",
            )
        return self.tenant_uuid.reveal()

    def fingerprint(self) -> Fingerprint:
        """What tells tenants apart: API host (and port on loopback), tenant UUID where set."""
        parts = urlsplit(self.api_url)
        host = (parts.hostname or "").lower()
        place = f"{host}:{parts.port or _default_port(parts)}" if is_loopback(host) else host
        tenant = self.tenant_uuid.reveal().lower()
        return Fingerprint(_short_hash(place), _short_hash(tenant) if tenant else "")

    def redact(self, text: str) -> str:
        """`text` with token, its Basic form and the tenant UUID replaced."""
        pattern = _secrets_pattern(self.token.reveal(), self.tenant_uuid.reveal())
        return pattern.sub(REDACTED, text) if pattern else text

    def redact_bytes(self, data: bytes) -> bytes:
        """`data` with secrets replaced; the same object when it holds none (request bodies are large)."""
        if not any(form.encode() in data for form in _forms(self.token.reveal(), self.tenant_uuid.reveal())):
            return data
        return self.redact(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_loopback(host: str) -> bool:
    """Whether `host` (no port, no brackets) is this machine, by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _default_port(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


def _token(environ: Mapping[str, str], *, need: bool) -> str:
    token = environ.get("PLANHAT_API_TOKEN", "").strip()
    if not token and need:
        raise UsageError(
            "PLANHAT_API_TOKEN is not set; nothing can be sent to Planhat without it.",
            hint="In Planhat, create a Service Account (Private App) with rights to your objects, and "
            "set its token: export PLANHAT_API_TOKEN=<token>",
        )
    if token and not _TOKEN.fullmatch(token):
        raise UsageError(
            "PLANHAT_API_TOKEN holds blanks or characters that no token has.",
            hint="Set the bare token, without quotes, line breaks or the word Bearer.",
        )
    return token


def _tenant(environ: Mapping[str, str]) -> str:
    tenant = environ.get("PLANHAT_TENANT_UUID", "").strip()
    # It becomes a segment of a path, so nothing that could change the path may pass.
    if tenant and not _TENANT.fullmatch(tenant):
        raise UsageError(
            "PLANHAT_TENANT_UUID holds characters that no tenant UUID has.",
            hint="Set the tenant token as Planhat shows it under Developer, without quotes.",
        )
    return tenant


def _base_url(environ: Mapping[str, str], variable: str, default: str) -> str:
    raw = environ.get(variable, "").strip() or default
    try:
        parts = urlsplit(raw)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise _bad_url(variable, "is not an address that can be read") from None
    if parts.username is not None or parts.password is not None:
        raise _bad_url(variable, "carries a user or password; secrets belong in PLANHAT_API_TOKEN")
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise _bad_url(variable, "is not an http or https address")
    if parts.query or parts.fragment:
        raise _bad_url(variable, "carries a query or fragment, which a base address cannot have")
    if parts.scheme == "http" and not is_loopback(host):
        raise _bad_url(
            variable, f"is plain http to {host}; the token would travel readable. Only this machine may"
        )
    return raw.rstrip("/")


def _bad_url(variable: str, fault: str) -> UsageError:
    return UsageError(
        f"{variable} {fault}.",
        hint=f"Set {variable} to an address such as {DEFAULT_API_URL} (http only for localhost), "
        "or unset it for the default.",
    )


@lru_cache(maxsize=16)
def _forms(token: str, tenant: str) -> tuple[str, ...]:
    """Every spelling of the secrets that may turn up in text, longest first."""
    forms: set[str] = set()
    for secret in (token, tenant):
        if secret:
            basic = base64.b64encode(f"{secret}:".encode()).decode()
            # Some write a slash in JSON as `\\/`.
            forms |= {secret, basic, quote(secret, safe=""), secret.replace("/", "\\/")}
    if tenant:
        forms |= {tenant.lower(), tenant.upper()}
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=16)
def _secrets_pattern(token: str, tenant: str) -> re.Pattern[str] | None:
    forms = _forms(token, tenant)
    return re.compile("|".join(map(re.escape, forms)), re.IGNORECASE) if forms else None
