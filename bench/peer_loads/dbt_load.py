"""One load by dbt: its project in the folder dbt/. Prints the seconds of the call. Argument: orders (an incremental model) or orders_history (a snapshot).

The server is that of the environment (PGHOST and so on), the source table that of BENCH_SOURCE, the folder of what dbt writes that of DBT_TARGET_PATH.
"""

import sys
import time
from pathlib import Path

from dbt.cli.main import dbtRunner

table = sys.argv[1]
project = str(Path(__file__).resolve().parent / "dbt")
begin = time.perf_counter()
done = dbtRunner().invoke(
    ["--quiet", "snapshot" if table == "orders_history" else "run", "--select", table, "--project-dir", project, "--profiles-dir", project]
)
if not done.success:
    sys.exit(f"dbt failed: {done.exception or [(one.status, one.message) for one in done.result]}")
print(time.perf_counter() - begin)
