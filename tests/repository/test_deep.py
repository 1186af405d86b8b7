"""The nightly script `.ci/deep`: its pieces cover all slow tests, and its table is true."""

import importlib.util
import pathlib
import re
import sys
import time
from importlib.machinery import SourceFileLoader

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def deep(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # no cache beside the script
    loader = SourceFileLoader("deep", str(ROOT / ".ci" / "deep"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("deep", loader))
    monkeypatch.setitem(sys.modules, "deep", module)
    loader.exec_module(module)
    return module


def test_every_file_with_a_slow_test_is_in_one_piece(deep):
    named = [name for names in deep.PIECES.values() for name in names]
    assert len(set(named)) == len(named)
    for name in named:
        path = ROOT / "tests" / name
        files = path.rglob("test_*.py") if path.is_dir() else [path]
        assert any("mark.slow" in file.read_text() for file in files), name
    rest = deep.command("rest", pathlib.Path("logs"))
    assert "tests" in rest
    assert {f"--ignore=tests/{name}" for name in named} <= set(rest)


def test_rows_of_a_report_and_of_mutations(deep, tmp_path):
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite><testcase classname="m" name="one"/>'
        '<testcase classname="m" name="two"><failure/></testcase>'
        '<testcase classname="m" name="three"><skipped/></testcase></testsuite></testsuites>'
    )
    assert deep.read_report("a", tmp_path) == deep.Outcome(
        "a", "failed", 1, 1, 1, failures=("m::two",)
    )
    (tmp_path / "mutations.log").write_text(
        "killed      3 s  a.py: one\n" * 19 + "survived    4 s  b.py: two\n19 of 20 killed\n"
    )
    row = deep.read_mutations("mutations", tmp_path)
    assert (row.result, row.passed, row.failures) == ("passed", 19, ("survived    4 s  b.py: two",))


def test_a_piece_out_of_time_and_one_that_passes(deep, tmp_path, monkeypatch, capsys):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(deep, "command", lambda *_: sleep)
    late = deep.run_piece("rest", tmp_path, time.monotonic() + 0.2)
    assert late.result == "stopped: out of time"
    assert deep.run_piece("rest", tmp_path, time.monotonic()).result == "not started"
    report = f"open({str(tmp_path / 'rest.xml')!r}, 'w').write('<a><testcase/></a>')"
    monkeypatch.setattr(deep, "command", lambda *_: [sys.executable, "-c", report])
    done = deep.run_piece("rest", tmp_path, time.monotonic() + 60)
    assert (done.result, done.passed) == ("passed", 1)
    deep.print_table([done, deep.Outcome("soak", "not started")], 60.0)
    table = capsys.readouterr().out
    assert re.search(r"^rest +passed +1 +0 +0 +\d+$", table, re.MULTILINE)
    assert re.search(r"^soak +not started ", table, re.MULTILINE)
