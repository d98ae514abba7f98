"""The pipelines of a shop's data team: from the databases of shop and logistics into the warehouse.

The connection ``default`` is the warehouse, ``shop`` the database of the shop; README.md says how to run them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from ematix_flow import Connection, Source, ematix, natural_key, nullable, pipeline, pk
from ematix_flow.strategy import SCD2, MergeUpsert, TruncateReplace
from ematix_flow.types import BigInt, Date, Integer, Numeric, String, Text, TimestampTZ

Sku = Annotated[String, 16]

# Orders: every order once, as it came in; and their present state.


@ematix.table(schema="warehouse")
class OrdersReceived:
    order_id: Annotated[BigInt, pk()]
    customer_no: BigInt | None
    total: Annotated[Numeric, 12, 2] | None
    created_at: TimestampTZ


@ematix.pipeline(
    target=OrdersReceived, mode="append", schedule="*/15 * * * *", source_connection="shop", incremental_column="created_at", on_busy="skip"
)
def orders_received(conn: Connection) -> str:
    """Appends the orders that are younger than the last one that was loaded."""
    return "SELECT order_id, customer_no, total, created_at FROM shop.orders"


@ematix.table(schema="warehouse", mode="merge")
class Orders:
    order_id: Annotated[BigInt, pk()]
    customer_no: BigInt | None
    status: Annotated[String, 20]
    total: Annotated[Numeric, 12, 2] | None
    updated_at: TimestampTZ


@ematix.pipeline(
    target=Orders, schedule="*/15 * * * *", source_connection="shop", incremental_column="updated_at", lag=timedelta(minutes=10)
)
def orders(conn: Connection) -> str:
    """Reads ten minutes back behind the watermark: writers of the shop commit late."""
    return "SELECT order_id, customer_no, status, total, updated_at FROM shop.orders"


# Customers: who there is, and who they were.


@ematix.table(schema="warehouse")
class Customers:
    customer_no: Annotated[BigInt, pk()]
    name: Text
    mail: Annotated[String, 120, natural_key()] | None
    segment: Annotated[Text, nullable()]


@ematix.pipeline(
    target=Customers,
    strategy=MergeUpsert(keys=["customer_no"], handle_deletes="soft", deleted_column="has_left"),
    schedule="CRON_TZ=Europe/Rome 0 3 * * *",
    source_connection="shop",
    max_delete_fraction=0.2,
    lock_timeout=timedelta(seconds=10),
)
def customers(conn: Connection) -> str:
    """Who is gone from the shop is marked, unless that is more than a fifth of all."""
    return "SELECT customer_no, name, mail, segment FROM shop.customers"


@ematix.table(schema="warehouse", event_timestamp_column="happened_at")
class CustomerHistory:
    customer_no: Annotated[BigInt, pk()]
    segment: Text | None
    city: Text | None
    happened_at: TimestampTZ


@ematix.pipeline(
    target=CustomerHistory,
    strategy=SCD2(versions="all", late="splice", closures=True),
    schedule="CRON_TZ=Europe/Rome 10 3 * * *",
    source_connection="shop",
)
def customer_history(conn: Connection) -> str:
    """Every event is a version; those that come late find their place. What was known when is kept beside it."""
    return "SELECT customer_no, segment, city, happened_at FROM shop.customer_events"


# Products: the catalogue, its prices over time, offers that end, stock.


@ematix.table(schema="warehouse")
class Products:
    sku: Annotated[Sku, pk()]
    title: Annotated[String, 200]
    price: Annotated[Numeric, 10, 2]
    weight_g: Integer | None


@ematix.pipeline(
    target=Products, mode="scd1", schedule="@hourly", source_connection="shop", on_drift="evolve", update_columns=["title", "price"]
)
def products(conn: Connection) -> str:
    """The table is older than this declaration: the first load widens and adds columns. The weight is written once."""
    return "SELECT sku, title, price, weight_g FROM shop.products"


@ematix.table(schema="warehouse", name="price_history")
class Prices:
    sku: Annotated[Sku, pk()]
    price: Annotated[Numeric, 10, 2]


@ematix.pipeline(
    target=Prices,
    strategy=SCD2(
        guards="full",
        handle_deletes="soft",
        scd2_columns={"valid_from": "from_time", "valid_to": "to_time", "is_current": "is_now", "row_hash": "price_hash"},
    ),
    schedule="@hourly",
    source_connection="shop",
)
def prices(conn: Connection) -> str:
    """Column names of our own; an exclusion constraint keeps prices from overlapping, whoever writes."""
    return "SELECT sku, price FROM shop.products -- all of them"


@ematix.table(schema="warehouse", mode="scd2", event_timestamp_column="offered_at", ttl=timedelta(days=14))
class Offers:
    sku: Annotated[Sku, pk()]
    price: Annotated[Numeric, 10, 2]
    offered_at: TimestampTZ


@ematix.pipeline(target=Offers, schedule="@daily", source_connection="shop")
def offers(conn: Connection) -> str:
    """An offer ends after two weeks."""
    return "SELECT sku, price, offered_at FROM shop.offers;"


@ematix.table(schema="warehouse")
class Stock:
    sku: Annotated[Sku, pk()]
    stock: Integer


@ematix.pipeline(target=Stock, strategy=TruncateReplace(replace="diff"), schedule="*/5 8-20 * * 1-5", source_connection="shop")
async def stock(conn: Connection) -> str:
    """Replaces the table by writing only what differs, so that readers and indexes hardly notice."""
    return "SELECT sku, stock FROM shop.products"


# Logistics.


@ematix.table(schema="warehouse")
class Carriers:
    carrier: Annotated[Text, pk()]
    phone: Text | None


@ematix.pipeline(
    target=Carriers,
    mode="merge",
    handle_deletes="hard",
    max_delete_fraction=0.5,
    schedule="@daily",
    source_connection="shop",
    source_table="logistics.carriers",
)
def carriers() -> None:
    """A small table, taken as it is: no SQL at all."""


@ematix.table(schema="warehouse")
class Shipments:
    shipment_no: Annotated[BigInt, pk()]
    order_id: BigInt
    carrier: Text | None
    weight_kg: Annotated[Numeric, 8, 3] | None


@ematix.pipeline(
    target=Shipments,
    mode="merge",
    schedule="@hourly",
    source_connection="shop",
    source_table="logistics.Shipments",
    column_map={"shipment_no": "Shipment No", "weight_kg": "Weight (kg)"},
)
def shipments() -> None:
    """Only the declared columns come over, under our names."""


@ematix.table(schema="warehouse")
class Scans:
    scan_id: Annotated[BigInt, pk()]
    shipment_no: BigInt
    place: Text | None
    scanned_at: TimestampTZ


@ematix.pipeline(target=Scans, mode="append", schedule="*/5 * * * *", source_connection="shop")
def scans(source: Connection, target: Connection) -> str:
    """Asks the warehouse what it has already, and the shop for the rest."""
    there = target.fetch_scalar_int("SELECT CASE WHEN to_regclass('warehouse.scans') IS NULL THEN 0 ELSE 1 END")
    last = target.fetch_scalar_int("SELECT coalesce(max(scan_id), 0) FROM warehouse.scans") if there else 0
    return f"SELECT scan_id, shipment_no, place, scanned_at FROM logistics.scans WHERE scan_id > {last}"


@ematix.table(schema="warehouse")
class Returns:
    return_id: Annotated[BigInt, pk()]
    order_id: BigInt
    reason: Text | None


@ematix.pipeline(target=Returns, mode="merge", schedule=None, source_connection="shop", force_path="cross_db")
def returns(conn: Connection) -> Source:
    """Runs when somebody asks for it."""
    return Source.postgres_table(conn, "shop", "returns", ["return_id", "order_id", "reason"])


# Reports: two tables from one query, one of them back in the shop's own database for its dashboard.


@ematix.table(schema="warehouse")
class RevenueByDay:
    day: Annotated[Date, pk()]
    status: Annotated[String, 20, pk()]
    orders: BigInt
    revenue: Annotated[Numeric, 14, 2]


@ematix.table(schema="dashboard", name="revenue")
class DashboardRevenue:
    day: Annotated[Date, pk()]
    status: Annotated[String, 7, pk()]  # too short for "cancelled", as the second day will show
    orders: BigInt
    revenue: Annotated[Numeric, 14, 2]


@ematix.pipeline(
    targets=[
        ematix.target(DashboardRevenue, mode="truncate", target_connection="shop"),
        ematix.target(RevenueByDay, mode="merge", handle_deletes="hard"),
    ],
    schedule="CRON_TZ=Europe/Rome 0 6 * * 1-5",
    continue_on_failure=True,
)
def revenue(conn: Connection) -> str:
    """One target that fails does not keep the other from being loaded."""
    return """
        SELECT (updated_at AT TIME ZONE 'UTC')::date AS day, status, count(*) AS orders, sum(total) AS revenue
        FROM warehouse.orders
        GROUP BY 1, 2
        ORDER BY 1, 2
    """


# A table that another team declared: described as data, without a class.

countries = pipeline.Pipeline(
    name="countries",
    source=pipeline.Source("shop", "SELECT code, country FROM shop.countries"),
    target=pipeline.Target("default", "warehouse", "countries"),
    mode="merge",
    keys=("code",),
    schedule="@weekly",
)


# A pipeline that loads nothing: what it returns is its result.


@ematix.pipeline(target=Orders, schedule="@daily", name="orders_without_customer")
def check_orders(conn: Connection) -> dict[str, Any]:
    """Counts orders whose customer the warehouse does not know."""
    missing = (
        "SELECT count(*) FROM warehouse.orders o WHERE NOT EXISTS (SELECT FROM warehouse.customers c WHERE c.customer_no = o.customer_no)"
    )
    return {"status": "success", "missing": conn.fetch_scalar_int(missing)}
