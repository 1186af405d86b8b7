"""Test files are imported by their name alone, so no two may share one."""

import collections
import pathlib

TESTS = pathlib.Path(__file__).parents[1]


def test_no_two_test_files_share_a_name() -> None:
    counts = collections.Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert not {name: count for name, count in counts.items() if count > 1}
