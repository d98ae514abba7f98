"""How long ``flow`` takes to start: whole processes, from exec to exit.

    python bench/startup.py [RUNS]

``flow --help``; ``flow list`` of a module of 200 pipelines; ``flow preview`` of one of them, without a database. Bytecode is written before, as it
is after an installation. Prints the median and the least of the runs in milliseconds, and whether the median keeps to its limit.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINES = 200

HEAD = """\
from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Text
"""

ONE = """

@ematix.table(schema="warehouse")
class Table{n}:
    id: Annotated[BigInt, pk()]
    name: Text


@ematix.pipeline(target=Table{n}, mode="merge", schedule="{minute} 3 * * *")
def pipeline_{n}(conn):
    return "SELECT id, name FROM shop.table_{n}"
"""

LIMITS = {  # milliseconds
    "flow --help": 150,
    "flow list --module many": 250,
    "flow preview pipeline_7 --module many": 250,
}


def milliseconds(words: list[str], folder: Path, environment: dict[str, str]) -> float:
    """One process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "ematix_flow.cli", *words], cwd=folder, env=environment, capture_output=True, check=False)
    taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"flow {' '.join(words)}: exit status {done.returncode}\n{done.stderr.decode()}")
    return taken * 1000


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    from ematix_flow.cli._main import commands

    built = {command.name for command in commands()}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        environment |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "HOME": made}
        source = HEAD + "".join(ONE.format(n=n, minute=n % 60) for n in range(PIPELINES))
        (folder / "many.py").write_text(source)
        print(f"{'command':40}{'median':>10}{'least':>10}{'limit':>10}   kept")
        for line, limit in LIMITS.items():
            words = line.split()[1:]
            if words[0] in built or words[0].startswith("-"):
                milliseconds(words, folder, environment)
                taken = [milliseconds(words, folder, environment) for _ in range(runs)]
                median = statistics.median(taken)
                print(f"{line:40}{median:>7.0f} ms{min(taken):>7.0f} ms{limit:>7} ms   {'yes' if median < limit else 'no'}")
            else:
                print(f"{line:40} is not built")


if __name__ == "__main__":
    main()
