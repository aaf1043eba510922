"""The step that asks for the tenant's custom fields: once per run, and only if values are about to be sent to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from planhat_dbt.declaration.types import Constant
from planhat_dbt.deliver.typed import remarks, typed
from planhat_dbt.errors import FailedError
from planhat_dbt.objects import OBJECTS
from planhat_dbt.plan import Operation
from planhat_dbt.planhat import AccessDeniedError, CallError, read_definitions
from planhat_dbt.planhat.definitions import SELECT

if TYPE_CHECKING:
    from planhat_dbt.planhat import CustomFields
    from planhat_dbt.run.compare_step import Compared
    from planhat_dbt.run.context import Listener
    from planhat_dbt.run.desk import Desk


@dataclass(slots=True)
class Known:
    """What a run knows of the tenant's custom fields, and has said of them."""

    asked: bool = False
    fields: CustomFields | None = None
    """None although it was asked: this tenant or token does not tell."""
    told: set[tuple[str, ...]] = field(default_factory=set)

    def forget(self) -> None:
        """Ask again before the next values are sent: definitions were changed by this run itself."""
        self.asked, self.fields = False, None


def wants_types(compared: Compared) -> bool:
    """Whether values are about to be sent to custom fields; a clear sends none to those that hold a constant."""
    custom = [f for f in compared.sync.fields if f.custom_name]
    clears = any(not isinstance(f.source, Constant) for f in custom)
    plan = compared.plan
    return bool((custom and plan.changes) or (clears and plan.count(Operation.CLEAR)))


def with_types(desk: Desk, compared: Compared, listener: Listener) -> Compared:
    """Give a sync's custom fields the types that the tenant gives them, and say what is odd about them.

    Raises:
        CallError: The definitions could not be read; nothing was sent.
        FailedError: A column can never become what its field is in Planhat.
    """
    known = desk.custom
    if not known.asked:
        desk.enter_batch(compared.sync.name, None)
        known.fields = _read(desk, listener)
        known.asked = True
    if known.fields is None:
        return compared
    inserts = compared.plan.count(Operation.INSERT) > 0
    for remark in remarks(compared.sync, known.fields, inserts=inserts):
        if remark.subject not in known.told:
            known.told.add(remark.subject)
            listener.notice(remark.text)
    return replace(compared, sent_as=typed(compared.bound, known.fields))


def _read(desk: Desk, listener: Listener) -> CustomFields | None:
    definitions = OBJECTS["custom_field"]
    try:
        pages = desk.calls.list(definitions.path, {"select": SELECT}, limit=definitions.page_size)
        return read_definitions(chain.from_iterable(pages))
    except FailedError as error:
        forbidden = isinstance(error, AccessDeniedError) and error.status == 403
        if isinstance(error, CallError) and not forbidden:
            raise
        listener.notice(
            f"The types of custom fields cannot be read, so values are sent in the form of their columns' types, "
            f"unchecked. {error.message}"
        )
        return None
