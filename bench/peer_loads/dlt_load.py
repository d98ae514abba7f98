"""One load by dlt, as its users do it: a table of a database, read with the pyarrow backend, merged into PostgreSQL. Prints the seconds of the call.

Arguments: table of the source, table of the target, merge or scd2, folder of dlt's own state. The DSNs are those of BENCH_SOURCE_DSN and BENCH_DSN.
"""

import os
import sys
import time

import dlt
from dlt.sources.helpers.transform import add_row_hash_to_table
from dlt.sources.sql_database import sql_table

source_table, target_table, mode, folder = sys.argv[1:]
source_dsn = os.environ["BENCH_SOURCE_DSN"].replace("postgresql://", "postgresql+psycopg2://", 1)
schema, _, table = source_table.partition(".")

rows = sql_table(source_dsn, table=table, schema=schema, backend="pyarrow", reflection_level="full_with_precision")
if mode == "scd2":
    rows.add_map(add_row_hash_to_table("row_hash"))
    # merge_key: a key that the source lacks is left alone, as in a delta
    rows.apply_hints(
        table_name=target_table,
        merge_key="id",
        write_disposition={"disposition": "merge", "strategy": "scd2", "row_version_column_name": "row_hash"},
    )
else:
    rows.apply_hints(table_name=target_table, primary_key="id", write_disposition={"disposition": "merge", "strategy": "upsert"})
pipeline = dlt.pipeline(
    f"bench_{mode}", pipelines_dir=folder, destination=dlt.destinations.postgres(credentials=os.environ["BENCH_DSN"]), dataset_name="dlt"
)
begin = time.perf_counter()
pipeline.run(rows).raise_on_failed_jobs()
print(time.perf_counter() - begin)
