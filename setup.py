"""The compiled part of the package: the Go program in capi/, as an extension module for the limited API of CPython 3.11.

Everything else stands in pyproject.toml. ``make build`` compiles the same extension into the source tree, faster, and sets
``EMATIX_FLOW_WITHOUT_ENGINE`` so that an editable installation does not do it again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
SOURCES = ("go.mod", "go.sum", "core", "capi")
GO = (1, 26)


def go(*arguments: str) -> str:
    """What a command of Go prints, or nothing when it fails."""
    done = subprocess.run(("go", *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def check_platform() -> None:
    """Ends with one sentence where the extension cannot be built or loaded."""
    if "musl" in f"{sysconfig.get_config_var('SOABI')} {sysconfig.get_config_var('HOST_GNU_TYPE')}":
        sys.exit(
            "ematix-flow cannot be used with musl (Alpine): it cannot load a library that is written in Go; use a glibc system such as Debian."
        )
    wanted = ".".join(map(str, GO))
    if shutil.which("go") is None:
        sys.exit(
            f"ematix-flow has no wheel for this platform and is compiled here: install Go {wanted} or newer (https://go.dev/dl) so that `go` is in PATH."
        )
    found = re.match(r"go(\d+)\.(\d+)", go("env", "GOVERSION"))
    if found and (int(found[1]), int(found[2])) < GO:
        sys.exit(
            f"ematix-flow is compiled with Go {wanted} or newer, and `go` in PATH is {found[0][2:]}: install a newer one (https://go.dev/dl)."
        )


def prepare_environment() -> None:
    """Keeps the module and build caches of Go; setuptools-golang would begin with empty ones each time."""
    kept = ROOT / ".cache" / "go"
    os.environ.setdefault("SETUPTOOLS_GOLANG_GOPATH", go("env", "GOPATH") or str(kept))
    if go("env", "GOCACHE") in {"", "off"}:  # there is no HOME
        os.environ["GOCACHE"] = str(kept / "cache")
    os.environ.setdefault("GOFLAGS", "-tags=capi -trimpath")
    os.environ.setdefault("CGO_LDFLAGS_ALLOW", "-Wl,--version-script=.*")


class BuildEngine(build_ext):
    """Builds in a folder with the Go sources only: setuptools-golang copies the current folder, with every venv in it."""

    def get_ext_fullpath(self, ext_name: str) -> str:
        return str(ROOT / super().get_ext_fullpath(ext_name))

    def build_extensions(self) -> None:
        check_platform()
        prepare_environment()
        with tempfile.TemporaryDirectory() as folder:
            for source in SOURCES:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
                copy(ROOT / source, Path(folder) / source)
            os.chdir(folder)
            try:
                super().build_extensions()
            finally:
                os.chdir(ROOT)
        for extension in self.extensions:  # the C header that Go writes beside the library is of no use to anybody
            Path(self.get_ext_fullpath(extension.name)).with_suffix(".h").unlink(missing_ok=True)


engine = Extension(
    "ematix_flow._native",
    ["capi/main.go"],
    py_limited_api=True,
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
)

if os.environ.get("EMATIX_FLOW_WITHOUT_ENGINE"):
    setup()
else:
    setup(
        ext_modules=[engine],
        cmdclass={"build_ext": BuildEngine},
        build_golang={"root": "github.com/ematix/ematix-flow"},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
