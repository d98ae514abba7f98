"""What a person sees: a program on a terminal of some width, and HTML in a browser.

The terminal is emulated by pyte, behind a real pty; the browser is a headless Chromium, which lays the page out and says itself what overlaps,
is cut or cannot be read. ``picture`` stores what it shows.
"""

from __future__ import annotations

import fcntl
import html as markup
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(frozen=True)
class Shown:
    """What a program left on its terminal."""

    status: int
    #: As it came, escape sequences included.
    written: str
    #: The lines of the screen, from the top, without blanks at their ends.
    lines: list[str]
    #: The characters of the screen with their colours.
    screen: pyte.Screen

    @property
    def coloured(self) -> bool:
        """Whether any character has a colour or is bold."""
        return any(cell.fg != "default" or cell.bold for row in self.screen.buffer.values() for cell in row.values())


def on_terminal(program: Sequence[str], *, columns: int, env: Mapping[str, str], cwd: Path | None = None) -> Shown:
    """Runs a program whose input and outputs are a terminal of so many columns."""
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 1000, columns, 0, 0))
        process = subprocess.Popen(
            program, stdin=its, stdout=its, stderr=its, env={**env, "TERM": "xterm-256color"}, cwd=cwd, start_new_session=True
        )
    finally:
        os.close(its)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the last program has closed the terminal
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    written = b"".join(pieces).decode()
    screen = pyte.Screen(columns, 1000)
    pyte.Stream(screen).feed(written)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return Shown(process.wait(), written, lines, screen)


def plain(text: str) -> str:
    """Without escape sequences, and with the ends of lines as programs write them."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")


# What the page finds out about itself.
_LOOK = Path(__file__).with_name("look.js").read_text()

_GROUNDS = {"light": ("#ffffff", "#1f1f1f"), "dark": ("#111111", "#d4d4d4")}


def page(body: str, *, theme: str, script: str = "") -> str:
    """A page around HTML as a notebook shows it, in ``light`` or ``dark``."""
    ground, ink = _GROUNDS[theme]
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><style>:root{{color-scheme:{theme}}}body{{margin:12px;background:{ground};color:{ink};'
        f"font:14px sans-serif}}</style></head><body>{body}<script>{script}</script></body></html>"
    )


def terminal_html(shown: Shown, *, theme: str = "dark") -> str:
    """The screen of a terminal as HTML, for a picture of it."""
    rows = []
    for number in range(len(shown.lines)):
        row = shown.screen.buffer[number]
        cells = []
        for column in range(len(shown.lines[number])):
            cell = row[column]
            style = (f"color:{_colour(cell.fg)};" if cell.fg != "default" else "") + ("font-weight:bold" if cell.bold else "")
            cells.append(f'<span style="{style}">{markup.escape(cell.data)}</span>' if style else markup.escape(cell.data))
        rows.append("".join(cells))
    text = "\n".join(rows)
    return page(f'<pre style="font:13px/1.35 monospace;margin:0">{text}</pre>', theme=theme)


def _colour(name: str) -> str:
    return f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else {"brown": "#c4a000", "brightblack": "#888888"}.get(name, name)


def problems(body: str, *, width: int = 900, theme: str = "light") -> list[str]:
    """What a reader of this HTML in a notebook would find overlapping, cut or unreadable."""
    found = re.search(r'data-found="([^"]*)"', _browse(page(body, theme=theme, script=_LOOK), width, "--dump-dom"))
    assert found is not None, "the browser did not finish the page"
    return list(json.loads(markup.unescape(found.group(1))))


def picture(whole_page: str, path: Path, *, width: int, height: int) -> None:
    """Stores what the browser shows of a page as a PNG."""
    _browse(whole_page, width, f"--screenshot={path}", height=height)


def _browse(whole_page: str, width: int, what: str, *, height: int = 4000) -> str:
    assert BROWSER is not None, "there is no Chromium here"
    with tempfile.TemporaryDirectory(prefix="ematix-browser-") as folder:
        file = Path(folder, "page.html")
        file.write_text(whole_page)
        # As root there is no sandbox; the page is ours and loads nothing.
        options = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
            f"--window-size={width},{height}",
        )
        return subprocess.run([BROWSER, *options, what, file.as_uri()], check=True, capture_output=True, text=True, timeout=120).stdout
