"""``flow init``."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ematix_flow.cli._command import WRONG_REQUEST, Command, CommandError, program

if TYPE_CHECKING:
    import argparse

PIPELINES = '''\
"""One table and one pipeline, to start from. Run it:  flow run --module pipelines customers"""

from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Numeric, String, TimestampTZ


# A table is a class. It is created by the first load; afterwards it is compared with this declaration.
@ematix.table(schema="warehouse")
class Customers:
    customer_id: Annotated[BigInt, pk()]
    name: String[64]
    balance: Numeric[12, 2]
    since: TimestampTZ | None  # may be NULL


# A pipeline is a function that returns the SQL of its source. mode="merge" inserts new customers and updates those that differ;
# "scd2" would keep every version, "truncate" would replace all rows, "append" would add them. schedule=None: it runs when it is called.
@ematix.pipeline(target=Customers, mode="merge", schedule=None)
def customers(conn):
    return """
        SELECT customer_id, name, balance, since::timestamptz AS since
        FROM (VALUES
            (1, 'Ada',    120.50, '2026-01-05 09:00+00'),
            (2, 'Edgar',   80.00, '2026-02-11 16:30+00'),
            (3, 'Grace', 4012.99, NULL)
        ) AS source (customer_id, name, balance, since)
    """
'''

README = """\
`flow run --module pipelines customers` loads the table `warehouse.customers`; `flow list --module pipelines` shows what is declared.
The connection `default` stands in `.ematix-flow.toml`, which may hold a password: keep it out of version control.
Change the table and the query in `pipelines.py` to your own.
"""

GITIGNORE = """\
.ematix-flow.toml
__pycache__/
"""

CONNECTION = """\
# Connections of this project. ${{NAME}} in a DSN is replaced by the environment variable, so that a password need not stand here.
[connections.default]
dsn = {dsn}
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="where the project is written (default: here)")
    parser.add_argument("--dsn", help="the connection of the project (default: embedded://default, a private server)")


def _run(args: argparse.Namespace) -> int:
    if args.dsn is not None and not args.dsn.strip():
        raise CommandError(
            "--dsn is empty", exit_code=WRONG_REQUEST, hint="Leave it out for a private server, or give postgresql://USER@HOST/DATABASE."
        )
    folder = Path(args.folder)
    files = {
        folder / "pipelines.py": PIPELINES,
        folder / "README.md": README,
        # A JSON string is a TOML string too, but for DEL, which JSON leaves as it is.
        folder / ".ematix-flow.toml": CONNECTION.format(
            dsn=json.dumps(args.dsn or "embedded://default", ensure_ascii=False).replace("\x7f", "\\u007F")
        ),
    }
    try:
        present = [str(path) for path in files if os.path.lexists(path)]
        if present:
            verb = "exists" if len(present) == 1 else "exist"
            raise CommandError(
                f"{', '.join(present)} {verb} already; nothing was written", exit_code=WRONG_REQUEST, hint="Choose another folder."
            )
        if not os.path.lexists(folder / ".gitignore"):  # a folder that is a repository already has its own
            files[folder / ".gitignore"] = GITIGNORE
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            _write(path, text)
    except OSError as error:
        hint = "Choose a folder that you may write to." if isinstance(error, PermissionError) else ""
        raise CommandError(f"cannot write {error.filename}: {error.strerror}", exit_code=WRONG_REQUEST, hint=hint) from error
    for path in files:
        print(f"wrote {path}")
    print("\nnext:")
    if folder.resolve() != Path.cwd():
        print(f"  cd {shlex.quote(args.folder)}")
    flow = program(folder.resolve())
    print(f"  {flow} connections check default\n  {flow} run --module pipelines customers")
    if not args.dsn:
        print("\nembedded://default is a private server, started at its first use. It needs: pip install 'ematix-flow[embedded]'")
    return 0


def _write(path: Path, text: str) -> None:
    """Write a new file; the one with the connection is readable by its owner only, from its first byte on."""
    mode = 0o600 if path.suffix == ".toml" else 0o666
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


COMMAND = Command(
    name="init",
    help="write a small project that runs at once",
    example="flow init my-project\nflow init my-project --dsn postgresql://loader@localhost/dwh",
    add_arguments=_add_arguments,
    run=_run,
)
