import errno
import os

import pytest

from vae_jax import files


def test_a_failing_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": [1.0, float("nan")], "b": {"c": float("inf")}})
    text = '{\n  "a": [\n    1.0,\n    null\n  ],\n  "b": {\n    "c": null\n  }\n}\n'
    assert path.read_text() == text

    def fsync(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        files.write_atomically(path, b"other")
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def wrap(cause):
    """Return a library's error of another type, with the real one as its context."""
    try:
        try:
            raise cause
        except OSError:
            raise ValueError("write failed")  # noqa: B904
    except ValueError as error:
        return error


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_by_the_errno_of_any_cause(tmp_path, code):
    error = OSError(code, "some text")
    assert files.is_disk_full(error, tmp_path, 0)
    assert files.is_disk_full(wrap(error), tmp_path, 0)


def test_a_full_disk_is_known_by_its_free_space(tmp_path):
    error = ValueError("No space left on device")  # the text tells nothing
    assert files.is_disk_full(error, tmp_path, 2**62)
    assert not files.is_disk_full(error, tmp_path, 0)
    assert not files.is_disk_full(wrap(OSError(errno.EFBIG, "File too large")), tmp_path, 0)
