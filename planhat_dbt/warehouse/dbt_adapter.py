"""Connections through the dbt adapter of a profile: all that its author knows of hosts, roles and certificates counts.

The adapter's classes are used, not dbt itself: neither `dbt.cli` nor `dbt.config` is imported, which saves seconds.
What is used of them is used by every adapter's author too: `load_plugin`, the credentials class, the connection
manager's `open`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from planhat_dbt.errors import FailedError, UsageError

if TYPE_CHECKING:
    from planhat_dbt.warehouse.profile import AdapterTarget

_OURS: Final = ("type", "threads")
"""Keys of a target that are dbt's, not the adapter's."""
_TEXTS: Final = ("pass", "password", "user")
"""Keys whose digits are a text: YAML reads `password: 1234` as a number."""


class Adapter:
    """The adapter of one target, loaded."""

    def __init__(self, target: AdapterTarget) -> None:
        """Load it and check the target's settings; nothing is connected.

        Raises:
            UsageError: It is not installed, or a setting is missing or wrong.
        """
        from dbt.adapters.factory import FACTORY, load_plugin  # noqa: PLC0415 - half a second

        self._target = target
        try:
            load_plugin(target.type)
        except Exception as error:  # whatever a package raises on import
            raise UsageError(
                f"Target {target.name!r} in {target.file} needs the adapter dbt-{target.type}, which cannot be loaded "
                f"({type(error).__name__}).",
                hint=f"Install it in the same environment: pip install dbt-{target.type}",
            ) from error
        plugin = FACTORY.get_plugin_by_name(target.type)
        self._manager: Any = plugin.adapter.ConnectionManager
        self._credentials: Any = self._read(plugin.credentials)

    @property
    def database(self) -> str:
        """The database that is connected to."""
        return str(self._credentials.database)

    def setting(self, name: str) -> Any:
        """What the profile says under a key, as the adapter reads it; None: nothing."""
        return getattr(self._credentials, name, None)

    def default(self, name: str, value: object) -> None:
        """Say what counts where the profile leaves a key open."""
        if self.setting(name) is None:
            setattr(self._credentials, name, value)

    def connect(self) -> Any:
        """Make a new connection of the driver.

        Raises:
            FailedError: The server cannot be reached, or lets nobody of that name in.
        """
        connection = self._unopened()
        try:
            opened: Any = self._manager.open(connection)
        except Exception as error:  # each adapter has its own
            raise self.unreachable(error) from error
        return opened.handle

    def unreachable(self, error: Exception) -> FailedError:
        """What to tell of a target to which there is no way."""
        return FailedError(
            f"Target {self._target.name!r} ({self._target.type}) cannot be reached: {_reason(error)}",
            hint="Check it with `dbt debug`, then run the command again.",
        )

    def _unopened(self) -> Any:
        from dbt.adapters.contracts.connection import Connection  # noqa: PLC0415

        # That of Databricks has more in it than dbt's, which its `open` asks for.
        of_its_own = getattr(sys.modules[self._manager.__module__], "DatabricksDBTConnection", None)
        kind: Any = of_its_own or Connection
        connection = kind(type=self._target.type, name="planhat_dbt", credentials=self._credentials)
        if of_its_own:
            connection.http_path = self._credentials.http_path
        return connection

    def _read(self, credentials: Any) -> Any:
        from dbt_common.dataclass_schema import ValidationError  # noqa: PLC0415

        stated = {k: v for k, v in self._target.output.items() if k not in _OURS}
        stated |= {k: str(stated[k]) for k in _TEXTS if isinstance(stated.get(k), int | float)}
        port = stated.get("port")
        if isinstance(port, str) and port.isdecimal():
            stated["port"] = int(port)
        place = f"Target {self._target.name!r} in {self._target.file}"
        try:
            data = credentials.translate_aliases(stated)
            credentials.validate(data)
            return credentials.from_dict(data)
        except ValidationError as error:
            # Its message quotes values, which may be secrets; but of a key that lacks, the name alone.
            what = error.message if error.validator == "required" else f"a wrong value of {_path(error)}"
            raise UsageError(f"{place}: {what}.", hint="Check it with `dbt debug`.") from None
        except Exception as error:  # noqa: BLE001 - as above
            raise UsageError(
                f"{place} is not of the form that dbt-{self._target.type} wants ({type(error).__name__}).",
                hint="Check it with `dbt debug`.",
            ) from None


def _path(error: Any) -> str:
    return ".".join(str(part) for part in error.path) or "a key"


def _reason(error: Exception) -> str:
    """What a driver says, without the heading that dbt gives it."""
    lines = [line.strip() for line in str(getattr(error, "msg", error)).splitlines() if line.strip()]
    return lines[0].rstrip(".") + "." if lines else type(error).__name__
