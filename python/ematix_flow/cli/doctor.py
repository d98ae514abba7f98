"""``flow doctor``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, FOUND, Command
from ematix_flow.cli._connection import add_columns_argument, add_connection_argument, connected

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="the table, as schema.table")
    parser.add_argument("--keys", metavar="A,B", help="the columns of its key; by default those of its indexes")
    parser.add_argument(
        "--from",
        dest="made_by",
        choices=["ematix", "dbt", "dlt", "sqlmesh"],
        help="the tool that made the history, for the names of its columns; by default those that its guards tell",
    )
    add_columns_argument(parser)
    add_connection_argument(parser)
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default) or json")


def _run(args: argparse.Namespace) -> int:
    keys = None if args.keys is None else [name.strip() for name in args.keys.split(",")]
    with connected(args.connection) as connection:
        report = connection.doctor(args.table, keys=keys, made_by=args.made_by, scd2_columns=args.scd2_columns)
    if args.format == "json":
        about = {"table": report.table, "keys": report.keys, "rows": report.rows, "healthy": report.healthy}
        print(json.dumps(about | {"findings": report.to_dicts()}))
    else:
        print(report)
    return DONE if report.healthy else FOUND


COMMAND = Command(
    name="doctor",
    help="look for what is wrong with a history, made by whatever tool, and print the SQL that repairs it",
    example="flow doctor warehouse.customers\nflow doctor snapshots.orders --from dbt --keys order_id\nflow doctor warehouse.customers --format json",
    add_arguments=_add_arguments,
    run=_run,
)
