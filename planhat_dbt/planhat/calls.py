"""One call: as many HTTP attempts as its nature allows, ending in an answer or in a named error.

A repeated write is harmless only where the caller says so. What surely did not reach Planhat (no
connection, 429) is tried again in any case; a time-out, a broken connection, a 5xx or a garbled answer only
for repeatable calls. Once one attempt may have been applied, no later failure makes that undone: the call
ends as "outcome unknown".
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from tenacity import RetryCallState, Retrying, retry_if_exception

from planhat_dbt.planhat.answer import RESPONSE_BOUND, Answer, CallRecord
from planhat_dbt.planhat.budget import PausedTooLongError, StopRequestedError, retry_after_seconds
from planhat_dbt.planhat.errors import (
    AccessDeniedError,
    CallError,
    NotSentError,
    OutcomeUnknownError,
    StoppedError,
    UnreadableAnswerError,
)
from planhat_dbt.planhat.response import is_bulk_body, read_message
from planhat_dbt.planhat.transport import Exchange, Fault, Request, Transport, milliseconds_since

if TYPE_CHECKING:
    from collections.abc import Callable

    from planhat_dbt.planhat.answer import ClientSettings
    from planhat_dbt.planhat.budget import Budget
    from planhat_dbt.planhat.endpoint import Endpoint

_TRY_AGAIN = frozenset({408, 500, 502, 503, 504})
_LONGEST_BACKOFF = 30.0
_PATIENCE = 4.0
"""Seconds that a call may take to be tried again without a word; and between two words."""
_QUOTE = 200
"""Characters of Planhat's own words in our messages."""


class Body(Enum):
    """What the body of a 2xx must be for the call to count as answered."""

    JSON = "json"
    """JSON, or empty with 204 (planhat-api §6)."""
    RECEIPT = "receipt"
    """Anything but HTML: activities have no documented answer (§13 no. 31), a login page is none."""
    ANY = "any"
    """Nothing is asked of it: a delete (§6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request and what is known of its nature."""

    request: Request
    repeatable: bool
    writes: bool = True
    body: Body = Body.JSON
    tracking: bool = False
    """It goes to the tracking host."""


@dataclass(slots=True)
class _Progress:
    """What happened to one call so far."""

    attempts: int = 0
    waited: float = 0.0
    doubt: bool = False
    status: int | None = None


class Caller:
    """Makes calls through one transport; shared by threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ClientSettings,
        transport: Transport,
        budgets: tuple[Budget, Budget],
        on_call: Callable[[CallRecord], None] | None,
        before_call: Callable[[], None] | None = None,
        on_retry: Callable[[str], None] | None = None,
    ) -> None:
        """Make a caller; `budgets` are those of the main API and of the tracking host."""
        self._endpoint = endpoint
        self._settings = settings
        self._transport = transport
        self._main_budget, self._tracking_budget = budgets
        self._on_call = on_call
        self._before_call = before_call
        self._on_retry = on_retry
        self._told_at = -_PATIENCE

    def send(self, call: Call) -> Answer:
        """Make a call.

        Raises:
            AccessDeniedError: 401, or 403 without a bulk body.
            NotSentError: Surely not applied.
            OutcomeUnknownError: Sent, and perhaps applied.
        """
        if self._before_call:
            self._before_call()
        progress = _Progress()
        budget = self._tracking_budget if call.tracking else self._main_budget
        settings = self._settings
        # What these functions hold lives on in a cycle: not the whole body.
        repeatable, place = call.repeatable, f"{_place(call)} at {self._host(call)}"

        def wait(state: RetryCallState) -> float:
            fault = state.outcome.exception() if state.outcome else None
            if isinstance(fault, Fault) and fault.throttled:
                return budget.pause_left()
            asked = fault.retry_after if isinstance(fault, Fault) else 0.0
            return max(asked, _backoff(settings.backoff_base, state.attempt_number))

        def stop(state: RetryCallState) -> bool:
            spent = progress.waited + state.upcoming_sleep
            return progress.attempts >= settings.max_tries or spent > settings.max_wait

        def sleep(seconds: float) -> None:
            budget.sleep(seconds)
            progress.waited += seconds

        def worth_retrying(exc: BaseException) -> bool:
            return isinstance(exc, Fault) and not exc.permanent and (repeatable or not exc.sent)

        retrying = Retrying(
            retry=retry_if_exception(worth_retrying),
            wait=wait,
            stop=stop,
            sleep=sleep,
            before_sleep=partial(self._tell, place, progress),
            reraise=True,
        )
        try:
            return retrying(self._attempt, call, budget, progress)
        except Fault as fault:
            self._fail(call, progress, fault)
        except StopRequestedError:
            self._stopped(call, progress)

    def _tell(self, place: str, progress: _Progress, state: RetryCallState) -> None:
        """Say why a call takes its time; of calls that run side by side, one does."""
        now, fault = time.monotonic(), state.outcome.exception() if state.outcome else None
        lasts = now - state.start_time + state.upcoming_sleep >= _PATIENCE
        if self._on_retry and lasts and isinstance(fault, Fault) and now - self._told_at >= _PATIENCE:
            self._told_at = now
            following = f"attempt {progress.attempts + 1} of {self._settings.max_tries}"
            text = f"{place}: {fault.text}; {following} in {state.upcoming_sleep:.0f} s."
            self._on_retry(self._endpoint.redact(text))

    def _attempt(self, call: Call, budget: Budget, progress: _Progress) -> Answer:
        try:
            permit = budget.acquire(self._settings.max_wait - progress.waited)
        except PausedTooLongError as exc:
            text = f"Planhat asks for a pause of {exc.seconds:.0f} s, longer than this call may wait"
            raise Fault(text, sent=False, permanent=True, throttled=True) from exc
        progress.attempts += 1
        progress.waited += permit.paused
        started = time.monotonic()
        try:
            exchange = self._exchange(call.request)
        except Fault as fault:
            progress.status = fault.status
            progress.doubt |= fault.sent and call.writes
            self._record(call, progress, milliseconds_since(started), None, fault.text)
            raise
        progress.status = exchange.status
        self._record(call, progress, exchange.milliseconds, exchange, "")
        if exchange.status == 429:
            budget.throttled(exchange.headers, permit)
            raise Fault("too many requests (429)", sent=False, status=429, throttled=True)
        budget.answered(exchange.headers)
        try:
            return self._judge(call, progress, exchange)
        except Fault as fault:
            progress.doubt |= fault.sent and call.writes
            raise

    def _exchange(self, request: Request) -> Exchange:
        """Send, and take secrets out of the answer: it may echo them, and its words end up in tables and reports.

        Raises:
            Fault: No connection, or no complete answer.
        """
        exchange = self._transport.exchange(request)
        return replace(exchange, body=self._endpoint.redact_bytes(exchange.body))

    def _judge(self, call: Call, progress: _Progress, exchange: Exchange) -> Answer:
        """Tell answers from failures by status, and by body where the status says it worked."""
        status = exchange.status
        answer = Answer(
            status=status,
            headers=exchange.headers,
            body=exchange.body,
            attempts=progress.attempts,
            milliseconds=exchange.milliseconds,
            repeated=progress.doubt,
        )
        if status == 401 or (status == 403 and not _has_bulk_body(answer)):
            raise self._denied(call, progress, exchange)
        if 300 <= status < 400:
            target = self._endpoint.redact(exchange.headers.get("location", "nowhere"))
            raise Fault(f"a redirect ({status}) to {target}", sent=False, permanent=True, status=status)
        if status in _TRY_AGAIN or status >= 500:
            words = self._words(exchange)
            raise Fault(
                f"Planhat answered {status}" + (f": {words}" if words else ""),
                sent=True,
                permanent=status not in _TRY_AGAIN,
                status=status,
                retry_after=retry_after_seconds(exchange.headers) or 0.0,
            )
        if answer.ok and not _is_readable(call.body, answer):
            size = len(exchange.body)
            text = f"Planhat answered {status}, but the body of {size} bytes is not JSON"
            raise Fault(text, sent=True, status=status, unreadable=True)
        return answer

    def _record(
        self, call: Call, progress: _Progress, milliseconds: int, exchange: Exchange | None, error: str
    ) -> None:
        if self._on_call is None:
            return
        redact, body = self._endpoint.redact_bytes, call.request.body
        self._on_call(
            CallRecord(
                method=call.request.method,
                path=self._endpoint.redact(call.request.path),
                status=progress.status,
                milliseconds=milliseconds,
                attempt=progress.attempts,
                request_bytes=len(body or b""),
                request=None if body is None else redact(body),
                response=exchange.body[:RESPONSE_BOUND] if exchange else b"",
                error=self._endpoint.redact(error),
            )
        )

    def _denied(self, call: Call, progress: _Progress, exchange: Exchange) -> AccessDeniedError:
        host, place = self._host(call), _place(call)
        words = self._words(exchange)
        if exchange.status == 401:
            text = f"Planhat at {host} refused the API token (401 on {place})"
            hint = (
                "Check that PLANHAT_API_TOKEN is whole, its Service Account (Private App) enabled, and that "
                "PLANHAT_REGION or PLANHAT_API_URL names the tenant's cluster: no other knows the token."
            )
        else:
            text = f"The API token lacks the right to {place} at {host} (403)"
            hint = "Give its Service Account (Private App) in Planhat the rights for this object."
        return AccessDeniedError(
            self._endpoint.redact(f"{text}: {words.rstrip('.')}." if words else f"{text}."),
            hint=hint,
            status=exchange.status,
            attempts=progress.attempts,
            maybe_applied=progress.doubt,
        )

    def _fail(self, call: Call, progress: _Progress, fault: Fault) -> NoReturn:
        tries = f" after {progress.attempts} attempts" if progress.attempts > 1 else ""
        text = f"{_place(call)} at {self._host(call)} failed{tries}: {fault.text}."
        kind: type[CallError] = NotSentError
        if progress.doubt:
            kind, text = OutcomeUnknownError, f"{text} Planhat may have applied it."
        if fault.unreadable:
            kind = UnreadableAnswerError
        raise kind(
            self._endpoint.redact(text),
            hint=_hint(call, fault),
            status=progress.status,
            attempts=progress.attempts,
            maybe_applied=progress.doubt,
        ) from fault

    def _stopped(self, call: Call, progress: _Progress) -> NoReturn:
        """The stop event was set: between attempts that leaves the doubt of the former ones."""
        kind: type[CallError] = OutcomeUnknownError if progress.doubt else StoppedError
        text = f"{_place(call)} was interrupted" + (
            " between attempts. Planhat may have applied it." if progress.doubt else " before it was sent."
        )
        raise kind(
            text,
            hint="Run again; the next run goes on from here.",
            status=progress.status,
            attempts=progress.attempts,
            maybe_applied=progress.doubt,
        )

    def _words(self, exchange: Exchange) -> str:
        """Planhat's own words: redacted before they are cut, lest half a secret remain."""
        return self._endpoint.redact(read_message(exchange.body, 4 * RESPONSE_BOUND))[:_QUOTE]

    def _host(self, call: Call) -> str:
        return self._endpoint.tracking_host if call.tracking else self._endpoint.api_host


def _place(call: Call) -> str:
    return f"{call.request.method} {call.request.path.partition('?')[0]}"


def _hint(call: Call, fault: Fault) -> str:
    if fault.hint:
        return fault.hint
    if fault.throttled:
        return "All integrations of a tenant share its quota: lower max_calls_per_minute, or run again later."
    if fault.status is None or 300 <= fault.status < 400 or fault.unreadable:
        setting = "PLANHAT_TRACKING_URL" if call.tracking else "PLANHAT_REGION or PLANHAT_API_URL"
        return f"Check network and proxy, and that {setting} names the right host; then run again."
    return "The fault is on Planhat's side: run again later."


def _backoff(base: float, attempt: int) -> float:
    """Exponential with jitter: between half and whole of the base, twice the base and so on."""
    whole = min(_LONGEST_BACKOFF, base * 2.0 ** min(attempt - 1, 10))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


def _has_bulk_body(answer: Answer) -> bool:
    try:
        return is_bulk_body(answer.json())
    except UnreadableAnswerError:
        return False


def _is_readable(wanted: Body, answer: Answer) -> bool:
    if wanted is Body.ANY or (answer.status == 204 and not answer.body):
        return True
    if wanted is Body.RECEIPT:
        return not answer.body.lstrip().startswith(b"<")
    try:
        answer.json()
    except UnreadableAnswerError:
        return False
    return True
