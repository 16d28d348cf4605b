"""Files that appear as a whole or not at all, in a folder that was tried before the work began."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def ready(folder: Path, names: Iterable[str]) -> Iterator[None]:
    """Make sure that files of these names can be written to a folder, before doing the work.

    A folder that does not exist is made, with those around it. They are removed again if the block
    fails and they are still empty.

    Raises
    ------
    OSError
        They cannot be written; the message says which and why, in one line.

    >>> with tempfile.TemporaryDirectory() as there:
    ...     with ready(Path(there, "new"), ["a.txt"]):
    ...         write(Path(there, "new"), {"a.txt": b"text"})
    ...     Path(there, "new", "a.txt").read_text()
    'text'
    """
    made: list[Path] = []
    try:
        try:
            _make(folder, made)
            _try(folder, names)
        except OSError as error:
            raise OSError(f"cannot write to {folder}: {_reason(error, folder)}") from error
        yield
    except BaseException:
        for empty in reversed(made):
            with suppress(OSError):
                empty.rmdir()
        raise


def write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write files to a folder, all or none; a file whose content is None is removed."""
    parts = {name: folder / f".{name}.{os.getpid()}.part" for name in files}
    try:
        for name, content in files.items():
            if content is not None:
                parts[name].write_bytes(content)
        for name, content in files.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                parts[name].replace(folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write one file, as a whole or not at all."""
    write(path.parent, {path.name: content})


def _make(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.is_dir():
        if folder.exists() or folder == folder.parent:
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir()
        made.append(path)


def _try(folder: Path, names: Iterable[str]) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass
    for name in names:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(folder / name))


def _reason(error: OSError, folder: Path) -> str:
    where = error.filename
    about = f"{where}: " if isinstance(where, str) and where != str(folder) else ""
    return f"{about}{error.strerror or error}"
