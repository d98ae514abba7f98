"""What type checkers, and so editors, make of declarations. Nothing here is run: mypy and pyright read it (tests/policy/test_typing.py)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, assert_type

from ematix_flow import Column, Connection, Source, config, connect, ematix, natural_key, nullable, pipeline, pk, types
from ematix_flow.namespace import Target
from ematix_flow.result import Result
from ematix_flow.strategy import SCD2, MergeUpsert
from ematix_flow.types import BigInt, Numeric, String, Text, TimestampTZ


@ematix.table(schema="warehouse", mode="scd2", ttl=timedelta(days=1))
class CustomerDim:
    """Customers as they were."""

    customer_id: Annotated[BigInt, pk()]
    email: Annotated[String, 256, natural_key("email")]
    balance: Annotated[Numeric, 12, 2] | None
    nick: Annotated[Text, nullable()]
    changed_at: TimestampTZ

    @classmethod
    def greeting(cls) -> str:
        return "hello"


# A decorated class is the class that was written; its columns are columns.
assert_type(CustomerDim, type[CustomerDim])
assert_type(CustomerDim.customer_id, Column)
assert_type(CustomerDim.email, Column)
assert_type(CustomerDim.nick, Column)
assert_type(CustomerDim.balance, Column | None)  # | None is the checker's: at run time it is a Column with nullable=True
assert_type(CustomerDim.email.name, str)
assert_type(CustomerDim.email.type, types.ColumnType)
assert_type(CustomerDim.greeting(), str)
CustomerDim.phone  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


# A decorated function is called without arguments, and is still there.
@ematix.pipeline(target=CustomerDim, schedule="0 3 * * *", on_drift="evolve", lag=None)
def customers(conn: Connection) -> str:
    """Loads the customers."""
    return "SELECT 1"


assert_type(customers(), dict[str, Any])
assert_type(customers.__wrapped__(connect()), str)
assert_type(customers.__name__, str)
assert_type(customers.__doc__, str | None)
customers.preview
customers.dry_run
customers(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
customers.previews  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@ematix.pipeline(
    target=CustomerDim, strategy=SCD2(versions="all"), schedule=None, source_table="crm.customers", column_map={"nick": "alias"}
)
def from_a_table() -> None: ...


@ematix.pipeline(target=CustomerDim, mode="merge", schedule=None, keys=("customer_id",), source_connection="crm")
def from_another_database(source: Connection, target: Connection) -> Source:
    return Source(source, "SELECT 1")


@ematix.pipeline(targets=[ematix.target(CustomerDim, mode="merge"), ematix.target(CustomerDim, strategy=MergeUpsert())], schedule=None)
async def several(conn: Connection) -> str:
    return "SELECT 1"


@ematix.pipeline(target=CustomerDim, mode="append", schedule=None)
def its_own_result(conn: Connection) -> dict[str, int]:
    return {"rows": 1}


assert_type(several(), dict[str, Any])  # awaited already
assert_type(ematix.target(CustomerDim, mode="append"), Target)
assert_type(pipeline.run_pipeline("customers"), Any)
assert_type(config.connect("crm"), Connection)
assert_type(
    pipeline.sync(target=CustomerDim, source=Source(connect(), "SELECT 1"), target_connection=connect(), mode="merge"),
    Result,
)


# What is refused at run time is an error here too.
ematix.table(name="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ematix.table("warehouse")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ematix.pipeline(target=CustomerDim, mode="merge")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ematix.pipeline(target=CustomerDim, mode="upsert", schedule=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ematix.pipeline(target="customers", mode="merge", schedule=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ematix.pipeline(target=CustomerDim, schedule=None, on_busy="skp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ematix.pipeline(target=CustomerDim, schedule=None, key=["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
SCD2(versions="every")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@ematix.pipeline(target=CustomerDim, schedule=None)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
def three(a: Connection, b: Connection, c: Connection) -> str:
    return "SELECT 1"


@ematix.pipeline(target=CustomerDim, schedule=None)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
def number(conn: Connection) -> int:
    return 1
