"""One HTTP exchange: a request goes out, a whole answer or a `Fault` comes back.

Every foreign exception is sorted here by the only thing that matters to a writer: can Planhat have applied
the request? If no connection came about, it cannot. Once bytes have left, it can, whatever broke
afterwards.
"""

from __future__ import annotations

import logging
import ssl
import time
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import httpx

from planhat_dbt.errors import UsageError
from planhat_dbt.planhat.endpoint import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from planhat_dbt.planhat.answer import ClientSettings
    from planhat_dbt.planhat.endpoint import Endpoint

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
_WHAT_HAPPENED: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection came about in time"),
    (httpx.PoolTimeout, "no connection became free in time"),
    (httpx.ConnectError, "no connection"),
    (httpx.ProxyError, "the proxy refused the connection"),
    (httpx.ReadTimeout, "no answer in time"),
    (httpx.WriteTimeout, "the request could not be sent in time"),
    (httpx.RemoteProtocolError, "the connection broke off before the answer was complete"),
    (httpx.NetworkError, "the connection broke off"),
    (httpx.DecodingError, "the answer is garbled"),
)

_CERTIFICATE_HINT = (
    "Check that the address is right; behind a proxy that opens TLS, set SSL_CERT_FILE to its certificates."
)
_LOGGERS = (
    "httpx",  # each URL at INFO, and those of the tracking host hold the tenant UUID
    *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")),  # headers at DEBUG
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out; `path` is the form for logs, without the tenant."""

    method: str
    url: str = field(repr=False)
    path: str
    body: bytes | None = field(default=None, repr=False)


@dataclass(eq=False)
class Fault(Exception):  # noqa: N818 (never leaves the package; an error is what becomes of it)
    """An attempt that brought no usable answer."""

    text: str
    """What happened, in words for the user and without secrets."""
    _: KW_ONLY
    sent: bool
    """Whether Planhat may have applied the request."""
    permanent: bool = False
    """Trying again cannot help."""
    status: int | None = None
    """The HTTP status, if one was read."""
    throttled: bool = False
    """It was a 429, or a pause after one."""
    unreadable: bool = False
    """A 2xx whose body cannot be understood."""
    retry_after: float = 0.0
    """Seconds the server asked to wait; 0 if it did not."""
    hint: str = ""
    """The next step, where it follows from what happened."""

    def __str__(self) -> str:
        return self.text


class Transport:
    """An `httpx.Client` (keep-alive, proxies and certificates from the environment) behind one method."""

    def __init__(self, endpoint: Endpoint, settings: ClientSettings) -> None:
        self._settings = settings
        try:
            self._http = _http_client(endpoint, settings)
        except (ValueError, ImportError, OSError) as exc:
            # The text of the cause may repeat a proxy's password, so it is not told.
            raise UsageError(
                f"The network settings of the environment cannot be used ({type(exc).__name__}).",
                hint="Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
            ) from None
        self._redaction = _Redaction(endpoint.redact)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._redaction)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._redaction)

    def exchange(self, request: Request) -> Exchange:
        """Send `request` and read the whole answer.

        Raises:
            Fault: No connection, or no complete answer.
        """
        started = time.monotonic()
        status: int | None = None
        try:
            with self._http.stream(request.method, request.url, content=request.body) as response:
                status = response.status_code
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = self._read(response)
            # It and its stream hold each other, and the request's body: megabytes, until some collection.
            response.stream = httpx.ByteStream(b"")
        except (httpx.TransportError, httpx.DecodingError) as exc:
            # Cut off from its cause, whose text may quote what came over the wire.
            raise self._fault(exc, status) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            # An address that passed our reading of it and yet cannot be called.
            raise Fault(f"the address cannot be called ({exc})", sent=False, permanent=True) from None
        return Exchange(status, headers, body, milliseconds_since(started))

    def _read(self, response: httpx.Response) -> bytes:
        """The body, which must be complete within the read time-out: a trickle is a silence too."""
        deadline = time.monotonic() + self._settings.read_timeout
        try:
            return b"".join(_until(response.iter_bytes(), deadline))
        except (httpx.TransportError, httpx.DecodingError):
            if response.status_code in {401, 429}:
                return b""  # the status says it all
            raise

    def _fault(self, exc: Exception, status: int | None) -> Fault:
        what = next((text for kind, text in _WHAT_HAPPENED if isinstance(exc, kind)), "the exchange failed")
        reason = self._redaction.redact(_innermost(exc))
        certificate = any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(exc))
        return Fault(
            f"{what} ({reason})" if reason else what,
            sent=not isinstance(exc, _NOT_SENT),
            permanent=certificate or isinstance(exc, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)),
            status=status,
            hint=_CERTIFICATE_HINT if certificate else "",
        )


def _http_client(endpoint: Endpoint, settings: ClientSettings) -> httpx.Client:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "planhat-dbt"}
    if endpoint.token:
        headers["Authorization"] = f"Bearer {endpoint.token.reveal()}"
    addresses = (endpoint.api_url, endpoint.tracking_url)
    return httpx.Client(
        headers=headers,
        verify=any(
            httpx.URL(url).scheme == "https" for url in addresses
        ),  # reading all certificates takes time
        timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=5.0),
        mounts=dict.fromkeys(_loopback_mounts(endpoint)),
        follow_redirects=False,
    )


def milliseconds_since(started: float) -> int:
    """Whole milliseconds since `started` on the monotonic clock."""
    return round((time.monotonic() - started) * 1000)


def _until(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer trickles")


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    while link is not None:
        yield link
        # httpcore cuts the cause off; what the operating system or TLS said is left as the context.
        context = link.__context__ if isinstance(link.__context__, OSError) else None
        link = link.__cause__ or context


def _innermost(exc: BaseException) -> str:
    """The most telling words of an exception chain: those of the operating system, if there are any."""
    texts = [str(link) for link in _chain(exc) if str(link)]
    return texts[-1] if texts else ""


def _loopback_mounts(endpoint: Endpoint) -> list[str]:
    """URL patterns that go around any proxy: a proxy cannot reach this machine's loopback."""
    hosts = {httpx.URL(url).host for url in (endpoint.api_url, endpoint.tracking_url)}
    return [
        f"all://[{host}]" if ":" in host else f"all://{host}" for host in sorted(hosts) if is_loopback(host)
    ]


class _Redaction(logging.Filter):
    """Takes secrets out of log records."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self.redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.redact(record.getMessage()), ()
        return True
