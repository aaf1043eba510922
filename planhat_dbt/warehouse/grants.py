"""The statements that an owner must run where a right is missing, as PostgreSQL and Redshift say which one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from planhat_dbt.warehouse.port import Dialect

_DENIED_ON: Final = re.compile(r"permission denied (?:for|to .* in) (?P<kind>\w+) (?P<name>.+)")


def grants(message: str, user: str, database: str, dialect: Dialect) -> str:
    """Say which of them a message asks for.

    Args:
        message: The server's, in English.
        user: Who was denied it.
        database: The database of the connection.
        dialect: How names are quoted.
    """
    found = _DENIED_ON.search(message)
    kind, name = (found["kind"], found["name"].strip('"')) if found else ("", "")
    role, quoted = dialect.quote(user), dialect.quote(name)
    match kind:
        case "database" if "temporary" in message:
            grant = f"grant temporary on database {dialect.quote(database)} to {role};"
        case "database":
            grant = f"grant create on database {quoted} to {role};"
        case "schema":
            grant = f"grant usage on schema {quoted} to {role}; (and create on that of the state tables)"
        case "table" | "view" | "relation":
            grant = f"grant select on {quoted} to {role}; (a state table must belong to {role})"
        case _:
            grant = f"alter table … owner to {role}; (state tables belong to the role that runs planhat-dbt)"
    return f"Let an owner run: {grant}"
