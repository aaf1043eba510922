"""All objects by rank, and how a word in a declaration finds one."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from planhat_dbt.objects import engagement, events, records, revenue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from planhat_dbt.objects.types import ObjectType

OBJECTS: Mapping[str, ObjectType] = MappingProxyType(
    {
        o.name: o
        for o in sorted(
            (
                records.ASSET,
                records.CAMPAIGN,
                records.COMPANY,
                records.CUSTOM_FIELD,
                records.ENDUSER,
                engagement.NPS,
                records.OBJECTIVE,
                records.PROJECT,
                records.USER,
                records.WORKSPACE,
                revenue.CHURN,
                revenue.INVOICE,
                revenue.LICENSE,
                revenue.OPPORTUNITY,
                revenue.SALE,
                engagement.CONVERSATION,
                engagement.ISSUE,
                engagement.NOTE,
                engagement.TASK,
                engagement.TICKET,
                events.METRIC,
                events.USER_ACTIVITY,
            ),
            key=lambda o: o.rank,
        )
    }
)
"""Name → object, by rank: parents before children (DESIGN §4)."""


def _bare(word: str) -> str:
    return re.sub(r"[\s_-]", "", word.casefold())


_BY_WORD: Mapping[str, ObjectType] = MappingProxyType(
    {_bare(word): o for o in OBJECTS.values() for word in (o.name, o.plural, *o.aliases)}
)


def find_object(word: str) -> ObjectType | None:
    """The object a word means: singular, plural or another usual spelling; case and `_`, `-` do not count."""
    return _BY_WORD.get(_bare(word))


def object_words() -> tuple[str, ...]:
    """The words to suggest when one is not known: names, and plurals where they differ."""
    return tuple(dict.fromkeys(word for o in OBJECTS.values() for word in (o.name, o.plural)))
