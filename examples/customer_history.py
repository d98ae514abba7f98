"""Customers as they were: a history with event time, soft deletes, a look back, and a refusal.

    EMATIX_FLOW_DSN=embedded://default python examples/customer_history.py

The example drops and makes the schema example_crm. What it prints is stored in customer_history.out, and a test compares the two.
"""

from typing import Annotated

from ematix_flow import DuplicateKeys, connect, ematix, pk
from ematix_flow.types import BigInt, String, Text, TimestampTZ


@ematix.table(schema="example_crm")
class CustomerHistory:
    customer_id: Annotated[BigInt, pk()]
    name: Text
    tier: String[10] | None
    changed_at: TimestampTZ


# A version begins when the customer changed, not when the row was loaded. Who is not in the source any more has no current version.
@ematix.pipeline(target=CustomerHistory, mode="scd2", schedule=None, event_timestamp_column="changed_at", handle_deletes="soft")
def customer_history(conn):
    return "SELECT customer_id, name, tier, changed_at FROM example_crm.customers"


def run(what):
    result = customer_history()
    print(f"{what}: {result['rows_inserted']} inserted, {result['rows_closed']} closed")


def main():
    with connect() as db:
        db.execute_in_transaction(
            [
                "DROP SCHEMA IF EXISTS example_crm CASCADE",
                "CREATE SCHEMA example_crm",
                "CREATE TABLE example_crm.customers (customer_id bigint, name text, tier text, changed_at timestamptz)",
                "INSERT INTO example_crm.customers VALUES (1, 'Ada', 'gold', '2026-01-05Z'), (2, 'Edgar', NULL, '2026-01-05Z')",
            ]
        )
        run("first load")
        run("the same again")

        db.execute("UPDATE example_crm.customers SET tier = 'silver', changed_at = '2026-03-01Z' WHERE customer_id = 2")
        run("Edgar has a tier")

        db.execute("DELETE FROM example_crm.customers WHERE customer_id = 1")
        run("Ada is gone")

        print("on 1 February:")
        for row in db.read_arrow(
            "SELECT name, tier FROM example_crm.customer_history"
            " WHERE valid_from <= '2026-02-01Z' AND (valid_to > '2026-02-01Z' OR valid_to IS NULL) ORDER BY name"
        ):
            print(" ", row)

        print("now:")
        for row in db.read_arrow("SELECT name, tier FROM example_crm.customer_history WHERE is_current"):
            print(" ", row)

        db.execute("INSERT INTO example_crm.customers VALUES (2, 'Edgar', 'gold', '2026-03-01Z')")
        try:
            run("never shown")
        except DuplicateKeys as error:
            print(f"refused: {error}")
        db.execute("DROP SCHEMA example_crm CASCADE")


if __name__ == "__main__":
    main()
