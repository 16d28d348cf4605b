import os
import stat
import threading
from pathlib import Path

import pytest

from tinygrad_ce.atomic_files import ensure_writable, write_file, write_files


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_is_written_over_and_nothing_is_left_beside_it(tmp_path):
    for content in (b"one", b"two", b""):
        write_file(tmp_path / "a", content)
        assert contents(tmp_path) == {"a": content}


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    name = "n" * os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else "n" * 200
    write_file(tmp_path / name, b"text")
    assert contents(tmp_path) == {name: b"text"}


def test_a_set_of_files_is_written_and_none_is_removed(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    write_files({tmp_path / "new": b"new", tmp_path / "old": None, tmp_path / "missing": None})
    assert contents(tmp_path) == {"new": b"new"}


@pytest.mark.parametrize("failing", range(1, 4))
def test_all_files_are_written_or_none(tmp_path, monkeypatch, failing):
    before = {"a": b"a", "c": b"c", "d": b"d"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    replace, calls = os.replace, []

    def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == failing:
            raise OSError("disk is full")
        replace(*arguments)

    monkeypatch.setattr(os, "replace", fail_once)
    new = {"a": b"new", "d": None, "b": b"new", "c": b"new"}
    with pytest.raises(OSError, match="disk is full"):
        write_files({tmp_path / name: content for name, content in new.items()})
    assert contents(tmp_path) == before


def test_a_folder_in_the_place_of_one_file_leaves_the_others_as_they_are(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert contents(tmp_path) == {"a": b"a"}


def test_a_folder_that_does_not_exist_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "new" / "a", b"text")
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_followed_to_its_file(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "file", tmp_path / "link"
    link.symlink_to(Path("folder") / "file")
    for content in (b"new", b"again"):
        with ensure_writable([link]):
            write_file(link, content)
        assert link.is_symlink()
        assert contents(tmp_path / "folder") == {"file": content}
        assert target.read_bytes() == content


def test_a_symbolic_link_in_a_circle_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="link"):
        write_file(link, b"text")
    assert link.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_before_and_after_the_work(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="not a regular file"):
            write_file(path, b"text")
        with pytest.raises(OSError, match="cannot write to") as refused, ensure_writable([path]):
            pytest.fail("the work has begun")
        assert "not a regular file" in str(refused.value)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="has no permissions")
def test_permissions_are_those_of_the_file_before_or_of_any_new_file(tmp_path):
    new, private, plain = tmp_path / "new", tmp_path / "private", tmp_path / "plain"
    private.touch()
    private.chmod(0o600)
    plain.touch()
    write_files({new: b"text", private: b"text"})
    assert private.stat().st_mode & 0o777 == 0o600
    assert new.stat().st_mode == plain.stat().st_mode


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    texts = [bytes([65 + i]) * 10_000 for i in range(4)]

    def write(text):
        for _ in range(50):
            write_file(tmp_path / "a", text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (found,) = contents(tmp_path).values()
    assert found in texts


def test_folders_are_made_before_the_work_and_kept_where_it_succeeds(tmp_path):
    path = tmp_path / "new" / "deep" / "a"
    with ensure_writable([path]):
        assert path.parent.is_dir()
        write_file(path, b"text")
    assert contents(path.parent) == {"a": b"text"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_new_folders_are_removed_if_the_work_fails(tmp_path, error):
    (tmp_path / "old").mkdir()
    with pytest.raises(error), ensure_writable([tmp_path / "old" / "new" / "deep" / "a"]):
        raise error
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_new_folder_in_which_something_is_stays(tmp_path):
    def fail():
        with ensure_writable([tmp_path / "new" / "a"]):
            (tmp_path / "new" / "mine").touch()
            raise FloatingPointError

    with pytest.raises(FloatingPointError):
        fail()
    assert contents(tmp_path / "new") == {"mine": b""}
