"""The boundary where processes begin, fork and end. Each test is a process of its own: its interpreter could die or hang."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ematix_flow
from tests.fix_environment import REAL_HOME

PACKAGE = Path(ematix_flow.__file__).parent
LIBRARY = PACKAGE / "_native.abi3.so"


def run(code: str, *options: str) -> str:
    """What the program prints. It must end by itself, with code 0, and say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_importing_loads_no_engine_and_nothing_heavy() -> None:
    heavy = "'ctypes', 'decimal', 'asyncio', 'rich', 'polars', 'pandas', 'pyarrow', 'numpy', 'ematix_flow._native'"
    assert run(f"import sys, ematix_flow; print(sorted(sys.modules.keys() & {{{heavy}}}))") == "[]"


def test_the_first_call_loads_the_engine() -> None:
    assert (
        run("""
        import sys
        from ematix_flow import _bridge
        before = "ematix_flow._native" in sys.modules
        _bridge.call("version", {})
        print(before, "ematix_flow._native" in sys.modules)
        """)
        == "False True"
    )


FORK = """
    import os, signal, sys
    from ematix_flow import _bridge, errors

    def in_child(work):
        "What the child prints before it ends, by itself, within a second."
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(1)
            try:
                work()
            except errors.ForkUnsafeError as error:
                print(str(error).splitlines()[-1])
            finally:
                sys.stdout.flush()
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, "the child did not end by itself"
"""


def test_a_forked_child_of_a_process_that_used_the_engine_is_told_so() -> None:
    assert (
        run(
            FORK
            + """
    _bridge.call("version", {})
    in_child(lambda: _bridge.call("version", {}))
    """
        )
        == "Use the spawn or forkserver start method of multiprocessing, or make the first call of ematix_flow in the child."
    )


def test_import_then_fork_works_in_both_processes() -> None:
    assert (
        run(
            FORK
            + """
    in_child(lambda: print(_bridge.call("version", {})))
    print(_bridge.call("version", {}))
    """
        ).split()
        == [ematix_flow.__version__] * 2
    )


def test_a_forked_child_lets_go_of_what_its_parent_had() -> None:
    assert (
        run(
            FORK
            + """
    from ematix_flow._arrow import ArrowStream
    handle = _bridge._native().submit("version", "{}", None)
    stream = ArrowStream(_bridge.call_stream("_panic_stream", {})[1])
    described = stream.schema
    def work():
        global handle, stream
        try:
            stream.to_dicts()
        except errors.ForkUnsafeError:
            print("refused")
        handle = stream = None
    in_child(work)
    """
        )
        == "refused"
    )


def test_a_consumer_in_a_forked_child_gets_an_error_from_the_stream() -> None:
    pytest.importorskip("pyarrow")
    assert "forked child cannot read it" in run(
        FORK
        + """
    import pyarrow
    from ematix_flow._arrow import ArrowStream
    reader = pyarrow.RecordBatchReader.from_stream(ArrowStream(_bridge.call_stream("_panic_stream", {})[1]))
    def work():
        try:
            reader.read_next_batch()
        except (OSError, ValueError) as error:
            print(error)
    in_child(work)
    """
    )


def test_a_forked_child_ends_through_the_whole_shutdown_of_python() -> None:
    assert (
        run("""
        import os, signal, sys
        from ematix_flow import _bridge
        _bridge.call("version", {})
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """)
        == "3"
    )


def test_multiprocessing_with_spawn_works(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        textwrap.dedent("""
        import multiprocessing
        from ematix_flow import _bridge

        def version(_):
            return _bridge.call("version", {})

        if __name__ == "__main__":
            version(0)
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print(len(set(pool.map(version, range(4)))))
        """)
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "work.py"], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(PACKAGE.parent)}
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_interpreter_ends_with_calls_and_streams_alive() -> None:
    assert (
        run("""
        import sys, threading
        from ematix_flow import _bridge
        keep = [_bridge._native().submit("version", "{}", None) for _ in range(10)]
        streams = [_bridge.call_stream("_panic_stream", {}) for _ in range(10)]
        sys.kept = keep, streams  # until the very end
        print("end")
        """)
        == "end"
    )


def test_a_subinterpreter_is_refused_or_served() -> None:
    # Modules of a single phase are not loaded into interpreters with a GIL of their own: an ImportError, and no crash.
    pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    assert (
        run("""
        import sys
        if sys.version_info < (3, 13):
            import _xxsubinterpreters as interpreters
        else:
            import _interpreters as interpreters
        from ematix_flow import _bridge
        _bridge.call("version", {})
        other = interpreters.create()
        try:
            interpreters.run_string(other, "from ematix_flow import _bridge; _bridge.call('version', {})")
        except Exception:
            pass
        interpreters.destroy(other)
        print(bool(_bridge.call("version", {})))
        """)
        == "True"
    )


@pytest.mark.skipif(shutil.which("nm") is None or sys.platform != "linux", reason="needs nm of Linux")
def test_the_library_exports_one_symbol() -> None:
    table = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in table.splitlines()] == ["PyInit__native"]


def test_the_library_is_small() -> None:
    assert LIBRARY.stat().st_size < 16 << 20


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_the_same_library_serves_every_python(minor: int) -> None:
    candidates = [shutil.which(f"python3.{minor}"), *map(str, Path(REAL_HOME).glob(f".pyenv/versions/3.{minor}.*/bin/python3"))]
    works = [python for python in candidates if python and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0]
    if not works:
        pytest.skip(f"no Python 3.{minor} here")
    code = "from ematix_flow import _bridge; print(_bridge.call('version', {}))"
    done = subprocess.run([works[0], "-W", "error", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(PACKAGE.parent)})
    assert (done.stdout.strip(), done.stderr) == (ematix_flow.__version__, "")
