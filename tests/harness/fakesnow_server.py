"""Starts fakesnow's server on a port of loopback, and adds what this version of it lacks.

fakesnow answers Snowflake's own connector over HTTP and runs the statements on DuckDB. Added here, as Snowflake
documents them: `alter session set` is taken, `to_char` minds the formats that we use, `to_number` reads base sixteen.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import fakesnow.cursor
import fakesnow.server
import uvicorn
from sqlglot import exp

_FORMATS: Final = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "HH24:MI:SS.FF9": "%H:%M:%S.%n",
    "YYYY-MM-DD HH24:MI:SS.FF9": "%Y-%m-%d %H:%M:%S.%n",
    'YYYY-MM-DD"T"HH24:MI:SS.FF3': "%Y-%m-%dT%H:%M:%S.%g",
}


def completed(node: Any) -> Any:
    """Put DuckDB's own function in the place of one whose format fakesnow does not mind."""
    given = node.args.get("format") if isinstance(node, exp.ToChar | exp.ToNumber) else None
    if given is None:
        return node
    if isinstance(node, exp.ToNumber):
        digits = exp.DPipe(this=exp.Literal.string("0x"), expression=node.this)
        return exp.Cast(this=exp.Paren(this=digits), to=exp.DataType.build("bigint"))
    moment = node.this
    if given.name == "HH24:MI:SS.FF9":
        moment = exp.Add(
            this=exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("date")),
            expression=moment,
        )
    return exp.Anonymous(this="strftime", expressions=[moment, exp.Literal.string(_FORMATS[given.name])])


def main(port: int) -> None:
    """Serve until the process is ended."""
    parse_one = fakesnow.cursor.parse_one
    fakesnow.cursor.parse_one = lambda command: parse_one(command).transform(completed)
    fakesnow.server.shared_fs.nop_regexes = [r"alter session set .*"]
    uvicorn.run(fakesnow.server.app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(int(sys.argv[1]))
