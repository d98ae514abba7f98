"""What the random loads amounted to, for the summary of a test run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts for each server and kind of load."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, server: str, kind: str, **counts: int) -> None:
        for what, number in counts.items():
            self.counts[server, kind, what] += number

    def lines(self) -> Iterator[str]:
        """One line for each server and kind: ``random loads, PostgreSQL 15, scd2: 200 examples, 511 loads, ...``."""
        for server, kind in dict.fromkeys((server, kind) for server, kind, _ in self.counts):
            found = {what: number for (on, of, what), number in self.counts.items() if (on, of) == (server, kind)}
            yield f"random loads, PostgreSQL {server}, {kind}: " + ", ".join(f"{number:,} {what}" for what, number in found.items())


TALLY = Tally()
