"""Makes python/ematix_flow/demo/airports.csv again, byte for byte, from releases of the Python package airportsdata.

    python scripts/make_demo_data.py            # writes the file
    python scripts/make_demo_data.py --check    # only says whether it would change

Each release holds one table of the world's airports. The cut is a rule, not a choice of rows: airports with an IATA code, the columns that
all releases have, values as they stand. The rows of all releases are sorted by airport and release, so that a reader of the file sees what
changed (and the compression of the wheel finds it).
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: Version of the package -> SHA-256 of its wheel. The version is the date of the release.
RELEASES = {
    "20220406": "05964c3e96587725d841a87e342e27cd2806935ca15b684e41aea7b96b704f95",
    "20230630": "758b7aab29942fe0c4335577252ea8f8cc1c296d3dd24c387056081772b995c0",
    "20240806": "946964d1ccc12f5095d85f4e633ae11d5b2403bb21f955c31cf3c134bec65a00",
    "20260905": "d7eaa9a57d373b0adaaae0d52da2af0bb0edf73f7baa170f7c415d3342bf4868",
}
COLUMNS = ("icao", "iata", "name", "city", "subd", "country", "elevation", "lat", "lon", "tz")
DEMO = Path(__file__).resolve().parent.parent / "python" / "ematix_flow" / "demo"


def wheel(version: str, folder: Path) -> zipfile.ZipFile:
    """The wheel of a release, fetched with pip and checked."""
    subprocess.run(
        (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder), f"airportsdata=={version}"),
        check=True,
    )
    path = folder / f"airportsdata-{version}-py3-none-any.whl"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != RELEASES[version]:
        sys.exit(f"{path.name} is not the file this data was made from: its SHA-256 is {found}")
    return zipfile.ZipFile(path)


def rows(archive: zipfile.ZipFile, version: str) -> list[list[str]]:
    """The rows of a release that the rule keeps, each beginning with the airport and the release."""
    released = f"{version[:4]}-{version[4:6]}-{version[6:]}"
    text = archive.read("airportsdata/airports.csv").decode("utf-8")
    found = csv.DictReader(io.StringIO(text, newline=""))
    return [[row["icao"], released, *(row[column] for column in COLUMNS[1:])] for row in found if row["iata"]]


def table(folder: Path) -> bytes:
    """The whole file."""
    every = sorted(row for version in RELEASES for row in rows(wheel(version, folder), version))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["icao", "released", *COLUMNS[1:]])
    writer.writerows(every)
    return out.getvalue().encode("utf-8")


def main() -> int:
    """Write the file, or compare."""
    path = DEMO / "airports.csv"
    with tempfile.TemporaryDirectory() as folder:
        made = table(Path(folder))
    same = path.exists() and path.read_bytes() == made
    if "--check" not in sys.argv[1:]:
        path.write_bytes(made)
    print(f"{path.name}: {len(made):,} bytes, {'unchanged' if same else 'changed'}")
    return 0 if same or "--check" not in sys.argv[1:] else 1


if __name__ == "__main__":
    sys.exit(main())
