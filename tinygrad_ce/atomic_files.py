"""Files that appear as a whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["ensure_writable", "write_file", "write_files"]


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file."""
    try:
        found = Path(path)
        if b"\0" in os.fsencode(found):
            raise ValueError("it holds a null character")
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"the path of a file is a str or a Path: {error}") from None
    return found


def write_file(path: Path, content: bytes) -> None:
    """Write one file, as a whole or not at all; see `write_files`."""
    write_files({path: content})


def write_files(files: Mapping[Path, bytes | None]) -> None:
    """Write files, all of them or none; a file whose content is None is removed.

    Of several, the first is missing until the others are there: where it is found, all are of one
    run, even if the process was killed meanwhile.

    A symbolic link is followed to its file. A file that exists keeps its permissions. An OSError
    says which cannot be written, or is a folder, a device or a pipe; then nothing has changed.
    """
    replaced: dict[Path, bytes | None] = {}
    with ExitStack() as temporary_files:
        targets = [_target(path) for path in files]
        parts = [
            None if content is None else _stage(target, content, temporary_files)
            for target, content in zip(targets, files.values(), strict=True)
        ]
        several = len(files) > 1
        # None removes the first of several, which is replaced last.
        steps = [(target, None) for target in targets[:several]] + [
            *zip(targets, parts, strict=True)
        ][::-1]
        try:
            for target, part in steps:
                if several and target not in replaced:  # to undo this if a later one fails
                    replaced[target] = target.read_bytes() if target.exists() else None
                if part is None:
                    target.unlink(missing_ok=True)
                else:
                    os.replace(part, target)
        except BaseException:
            if replaced:
                write_files(replaced)
            raise


@contextmanager
def ensure_writable(paths: Iterable[Path]) -> Iterator[None]:
    """Find out whether files can be written, before the work of the block that makes them.

    Folders that do not exist are made, and removed again if the block fails and they are still
    empty. An OSError says in one line which file cannot be written, and why.
    """
    with ExitStack() as new_folders:
        try:
            for path in paths:
                target = _target(path)
                _make_folder(target.parent, new_folders)
                try:
                    tempfile.TemporaryFile(dir=target.parent).close()
                except OSError as error:
                    raise OSError(error.errno, error.strerror, str(target.parent)) from error
        except OSError as error:
            raise OSError(f"cannot write to {error.filename}: {error.strerror}") from error
        yield
        new_folders.pop_all()


def _target(path: Path) -> Path:
    with suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
        if not stat.S_ISREG(mode):
            reason = "a device, a pipe or a socket, not a regular file"
            raise OSError(errno.EINVAL, reason, str(path))
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _stage(target: Path, content: bytes, temporary_files: ExitStack) -> Path:
    """Write the content beside the target, where it can replace the target in one step."""
    part = target.with_name(f".{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(4)}.part")
    temporary_files.callback(part.unlink, missing_ok=True)
    with part.open("xb") as file:
        file.write(content)
    if target.exists():
        shutil.copymode(target, part)
    return part


def _make_folder(folder: Path, new_folders: ExitStack) -> None:
    if folder.is_dir():
        return
    if folder.exists() or folder == folder.parent:
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
    _make_folder(folder.parent, new_folders)
    folder.mkdir(exist_ok=True)
    new_folders.callback(_remove_if_empty, folder)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
