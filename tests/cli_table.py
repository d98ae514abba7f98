"""Every command of ``flow`` in four situations, as data: what is typed, and what comes of it.

``ROWS`` has one row for each command; a command without one fails tests/integration/test_cli_table.py. tests/integration/test_secrets.py types the
same words with passwords in every place where one can stand.

The words are typed in a folder with ``pipelines.py`` (below), ``broken.py``, and a ``.ematix-flow.toml`` whose connection ``default`` is a fresh
database, or in the situation ``unreachable`` a port where nobody listens. In the texts ``{redacted}`` is that connection as it is shown, ``{here}``
the folder, ``{home}`` the home folder; ids of runs are RUN and durations 0.0.
"""

from __future__ import annotations

from dataclasses import dataclass

PIPELINES = """\
from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Text


@ematix.table(schema="warehouse")
class Customers:
    id: Annotated[BigInt, pk()]
    name: Text


@ematix.pipeline(target=Customers, mode="merge", schedule="* * * * *")
def customers(conn):
    return "VALUES (1, 'Ada')" if False else "SELECT 1 AS id, 'Ada' AS name"
""".replace("\"VALUES (1, 'Ada')\" if False else ", "")

BROKEN = "import nothing_of_the_kind\n"

SITUATIONS = ("success", "unknown", "unreachable", "broken")


@dataclass(frozen=True)
class Says:
    """What is typed after ``flow``; what comes of it. ``@name`` stands for a text of tests/cli_outputs, which EMATIX_GOLDEN=write writes anew."""

    words: str
    status: int
    out: str = ""
    err: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """Words whose outcome another test asserts."""

    words: str
    test: str


class Never:
    """The situation cannot come up: the command takes no name, no connection, or no module."""


NEVER = Never()

_NO_SERVER = (
    "No connection to database dwh on 127.0.0.1 port 1 as loader. Nothing listens there: connect: connection refused.",
    "Check host and port, and that the server is running.",
)
_NO_CONNECTION = """\
There is no connection "nope". Searched, in this order:
  1. the environment variable EMATIX_FLOW_DSN_NOPE
  2. {here}/.ematix-flow.toml (has no [connections.nope] with a dsn)
  3. {home}/.ematix-flow/connections.toml (does not exist)
hint: The files define: default. A new one is stored with `flow connections set NAME=URL`.
"""
_LOADED = (
    '"run_id": "RUN", "status": "success", "path": "same_db", "rows_inserted": 1, "rows_updated": 0, "rows_unchanged": 0, '
    '"duration_seconds": 0.0, "pipeline": "customers"'
)
_BROKEN = (
    "error: cannot import the module 'broken': ModuleNotFoundError: No module named 'nothing_of_the_kind'\n"
    "hint: raised in {here}/broken.py, line 1\n"
)

ROWS: dict[str, tuple[Says | Elsewhere | Never, ...]] = {
    "list": (
        Says("list --module pipelines", 0, "customers  pipeline  * * * * *\n"),
        NEVER,
        Says("list --module pipelines --format json", 0, '[{"name": "customers", "kind": "pipeline", "schedule": "* * * * *"}]\n'),
        Says("list --module broken", 2, "", _BROKEN),
    ),
    "run": (
        Says(
            "run --module pipelines customers",
            0,
            f"{{{_LOADED}}}\n",
        ),
        Says("run --module pipelines nope", 2, "", "error: no pipeline named 'nope'\nhint: pipelines declares customers.\n"),
        Says(
            "run --module pipelines customers",
            1,
            "",
            f"error: {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n",
        ),
        Says("run --module broken customers", 2, "", _BROKEN),
    ),
    "run-due": (
        Says(
            "run-due --module pipelines",
            0,
            f'{{"ran": [{{{_LOADED}, "_pipeline": "customers"}}], "failed": []}}\n',
            "firing: customers\n",
        ),
        Says(
            "run-due --module pipelines --claim nope",
            2,
            "",
            f"error: Nothing was run. --claim nope: {_NO_CONNECTION}",
        ),
        Says(
            "run-due --module pipelines",
            1,
            f'{{"ran": [], "failed": [{{"pipeline": "customers", "error": "{_NO_SERVER[0]}\\n{_NO_SERVER[1]}"}}]}}\n',
            f"firing: customers\nfailed: customers: {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n",
        ),
        Says("run-due --module broken", 2, "", _BROKEN),
    ),
    "preview": (
        Says("preview --module pipelines customers", 0, "@preview.txt"),
        Says("preview --module pipelines nope", 2, "", "error: no pipeline named 'nope'\nhint: pipelines declares customers.\n"),
        Says("preview --module pipelines customers --live", 0, "@preview_unreachable.txt"),
        Says("preview --module broken customers", 2, "", _BROKEN),
    ),
    "dry-run": (
        Says("dry-run --module pipelines customers", 0, "@dry_run.txt"),
        Says("dry-run --module pipelines nope", 2, "", "error: no pipeline named 'nope'\nhint: pipelines declares customers.\n"),
        Says(
            "dry-run --module pipelines customers",
            1,
            "@dry_run_unreachable.txt",
            "error: the dry run of 'customers' failed for warehouse.customers\n",
        ),
        Says("dry-run --module broken customers", 2, "", _BROKEN),
    ),
    "validate": (
        Says("validate --module pipelines customers", 0, "customers: ok\n"),
        Says("validate --module pipelines nope", 2, "", "error: no pipeline named 'nope'\nhint: pipelines declares customers.\n"),
        Says(
            "validate --module pipelines customers",
            1,
            "",
            f"customers: failed\n  - connection 'default': {_NO_SERVER[0]}\n    {_NO_SERVER[1]}\n",
        ),
        Says("validate --module broken customers", 2, "", _BROKEN),
    ),
    "transform list": (
        Says("transform list --module pipelines", 0),
        NEVER,
        Says("transform list --module pipelines --format json", 0, "[]\n"),
        Says("transform list --module broken", 2, "", _BROKEN),
    ),
    "transform run": (
        NEVER,  # there are no transforms yet
        Says("transform run --module pipelines nope", 2, "", "error: no transform named 'nope'\nhint: pipelines declares no transform.\n"),
        NEVER,
        Says("transform run --module broken nope", 2, "", _BROKEN),
    ),
    "history": (
        Says("history", 0, "", "note: No run has been recorded in this database.\n"),
        Says(
            "history warehouse.nope --key 1",
            2,
            "",
            "error: There is no table warehouse.nope in the database.\nhint: Check the name and the connection.\n",
        ),
        Says("history", 2, "", f"error: {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n"),
        NEVER,
    ),
    "doctor": (
        Elsewhere("doctor h.customers", "tests/integration/test_cli_history.py"),
        Says(
            "doctor warehouse.nope",
            2,
            "",
            "error: There is no table warehouse.nope in the database.\nhint: Check the name and the connection.\n",
        ),
        Says("doctor warehouse.customers", 2, "", f"error: {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n"),
        NEVER,
    ),
    "connections list": (
        Says("connections list", 0, "default  {redacted}\n"),
        NEVER,
        Says("connections list", 0, "default  {redacted}\n"),
        NEVER,
    ),
    "connections check": (
        Says("connections check", 0, "default: ok ({redacted})\n"),
        Says(
            "connections check nope",
            2,
            "",
            f"error: {_NO_CONNECTION}",
        ),
        Says(
            "connections check default",
            2,
            "",
            f"error: default: unreachable — {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n",
        ),
        NEVER,
    ),
    "connections set": (
        Says("connections set dwh=embedded://dwh", 0, "dwh: written to {home}/.ematix-flow/connections.toml\n"),
        Says(
            "connections set dwh",
            2,
            "",
            "error: the argument has no '='\nhint: The form is NAME=DSN, or NAME=- to read the DSN from standard input.\n",
        ),
        Says("connections set dwh=postgresql://127.0.0.1:1/d", 0, "dwh: written to {home}/.ematix-flow/connections.toml\n"),
        NEVER,
    ),
    "init": (
        Says(
            "init new --dsn postgresql://h/d",
            0,
            "wrote new/pipelines.py\nwrote new/README.md\nwrote new/.ematix-flow.toml\nwrote new/.gitignore\n\n"
            "next:\n  cd new\n  flow connections check default\n  flow run --module pipelines customers\n",
        ),
        Says("init .", 2, "", "error: pipelines.py, .ematix-flow.toml exist already; nothing was written\nhint: Choose another folder.\n"),
        NEVER,
        NEVER,
    ),
    "demo": (
        Elsewhere("demo --connection default", "tests/integration/test_demo.py"),
        Says(
            "demo --connection nope",
            2,
            "",
            f"error: {_NO_CONNECTION}",
        ),
        Says(
            "demo --connection default",
            2,
            "",
            f"error: {_NO_SERVER[0]}\nhint: {_NO_SERVER[1]}\n",
        ),
        NEVER,
    ),
    "embedded status": (
        Says("embedded status", 0, "no embedded servers: the first connection to embedded://NAME makes one\n"),
        Says("embedded status nope", 0, "nope  stopped  no data yet  {here}/embedded/nope\n"),
        NEVER,
        NEVER,
    ),
    "embedded stop": (
        Says("embedded stop", 0, "default: was not running\n"),
        Says("embedded stop nope", 0, "nope: was not running\n"),
        NEVER,
        NEVER,
    ),
    "completion": (
        Elsewhere("completion bash", "tests/unit/test_cli_completion.py"),
        Says(
            "completion tcsh",
            2,
            "",
            "usage: flow completion [-h] SHELL\n"
            "flow completion: error: argument SHELL: invalid choice: 'tcsh' (choose from bash, zsh, fish)\n",
        ),
        NEVER,
        NEVER,
    ),
}
