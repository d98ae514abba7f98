"""The tables of the workloads, declared for the package."""

from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Date, Double, Integer, Numeric, String, Text, TimestampTZ


@ematix.table(schema="product")
class Orders:
    id: Annotated[BigInt, pk()]
    name: String[60]
    city: Text | None
    amount: Numeric[12, 2]
    qty: Integer
    ratio: Double | None
    day: Date
    seen: TimestampTZ


@ematix.table(schema="product")
class OrdersHistory:
    id: Annotated[BigInt, pk()]
    name: String[60]
    city: Text | None
    amount: Numeric[12, 2]
    qty: Integer
    ratio: Double | None
    day: Date
    seen: TimestampTZ


TABLES = {"orders": Orders, "orders_history": OrdersHistory}
