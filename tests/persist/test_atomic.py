from __future__ import annotations

import os
import stat

import pytest

from glassnet.persist import atomic, write_atomically


def test_content_is_written_and_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "out.csv"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_file_gets_the_usual_permissions(tmp_path):
    usual, atomically = tmp_path / "usual", tmp_path / "atomically"
    usual.write_bytes(b"")
    write_atomically(atomically, b"")
    assert stat.S_IMODE(atomically.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_link_stays_a_link_to_the_new_content(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch, error):
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")

    def fail(_):
        raise error

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.csv"]
