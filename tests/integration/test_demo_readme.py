"""What the README and the examples show is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def printed(script: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The output of a script whose default connection is this database."""
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False, cwd=script.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_pipeline_of_the_readme_prints_what_it_shows(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    script = tmp_path / "prices.py"
    script.write_text(found[1], encoding="utf-8")

    assert len(found[1].splitlines()) < 25
    assert printed(script, dsn, monkeypatch) == found[2]
    again = printed(script, dsn, monkeypatch).splitlines()
    assert again[:2] == ["success 1 inserted 1 closed"] * 2
    assert len(again) == len(found[2].splitlines()) + 2


def test_the_frames_of_the_readme_are_made(dsn: str) -> None:
    from ematix_flow import connect

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    frames = {name: pytest.importorskip(module) for name, module in (("pl", "polars"), ("pd", "pandas"))}
    shown = re.findall(r"`((?:pl|pd)\.\S+\(sql\)\))`", readme)
    assert len(shown) == 2
    with connect(url=dsn) as db:
        for expression in shown:
            frame = eval(
                expression, {**frames, "db": db, "sql": "SELECT sum(price)::numeric(12,2) AS total FROM (VALUES (1.5), (2)) AS p (price)"}
            )
            assert [str(value) for value in frame["total"].to_list()] == ["3.50"]
        for numeric in ((38, 2), "float64"):
            (row,) = db.read_arrow("SELECT sum(price) AS total FROM (VALUES (1.5), (2)) AS p (price)", numeric=numeric).to_dicts()
            assert row["total"] == 3.5


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", readme)

    assert len(readme.splitlines()) < 120
    assert linked
    assert [path for path in linked if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_prints_its_stored_output(example: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = example.with_suffix(".out").read_text(encoding="utf-8")

    assert printed(example, dsn, monkeypatch) == stored
