"""C source as a function: compiled by the system's compiler, kept on disk, and loaded."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sysconfig
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import numpy as np

INSTALL = (
    "install one (Debian: apt install gcc, Fedora: dnf install gcc, macOS: xcode-select --install)"
)
LONG = 2**17  # characters of a source, of which a compiler would take long to see all at once
EXACT = ("-ffp-contract=off",)
FAST = ("-ffp-contract=fast", "-fno-signed-zeros")
COMMON = (
    "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11", "-fPIC",
    "-shared", "-fopenmp-simd", "-DNDEBUG", "-w",
)  # fmt: skip

_loaded: dict[Path, Any] = {}  # modules of C cannot be unloaded


class CompilerError(RuntimeError):
    """There is no C compiler, or it has refused a source."""


def check_backend(backend: str, threads: int) -> str:
    """Return which backend to use, "numpy" or "c".

    Raises
    ------
    ValueError
        A backend that does not exist, or no number of threads.
    CompilerError
        C is asked for, and there is no compiler.
    """
    if backend not in ("numpy", "c", "auto"):
        raise ValueError(f'backend is "numpy", "c" or "auto", got {backend!r}')
    if type(threads) is not int or threads < 1:
        raise ValueError(f"threads is a whole number from 1 on, got {threads!r}")
    if backend == "numpy":
        return backend
    try:
        find_compiler()
        cache_directory()
    except CompilerError as error:
        if backend == "c":
            raise
        warnings.warn(f"the step runs by NumPy, not C: {error}", RuntimeWarning, stacklevel=4)
        return "numpy"
    return "c"


def find_compiler() -> tuple[str, ...]:
    """Return the command of a C compiler: CC, else cc, gcc or clang.

    Raises
    ------
    CompilerError
        There is none, or no headers of Python.
    """
    chosen = os.environ.get("CC")
    candidates = [shlex.split(chosen)] if chosen else [["cc"], ["gcc"], ["clang"]]
    found = next((c for c in candidates if c and shutil.which(c[0])), None)
    if found is None:
        names = f"CC is {chosen!r}, which is not there" if chosen else "no cc, gcc or clang"
        raise CompilerError(f"backend='c' needs a C compiler, and found {names}: {INSTALL}")
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists():
        raise CompilerError(
            f"backend='c' needs Python's headers, and found no {header}: install them (Debian: "
            "apt install python3-dev, Fedora: dnf install python3-devel)"
        )
    return tuple(found)


@cache
def _environment(compiler: tuple[str, ...]) -> str:
    """All on which a compiled module depends besides its source and the flags."""
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    try:
        features = [
            x
            for x in Path("/proc/cpuinfo").read_text().split("\n")
            if "flags" in x or "Features" in x
        ]
    except OSError:
        features = [platform.processor()]
    soabi = sysconfig.get_config_var("EXT_SUFFIX")
    return "\n".join([*compiler, version.stdout, *features[:1], np.__version__, str(soabi)])


def cache_directory() -> Path:
    """Return the directory of compiled modules, which nobody else can write to.

    Raises
    ------
    CompilerError
        It is another one's, or open to others.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "tinygrad_ce"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CompilerError(
            f"no directory for compiled steps: {error}; set XDG_CACHE_HOME"
        ) from error
    _check_private(path, stat.S_ISDIR)
    return path


def _check_private(path: Path, is_kind: Callable[[int], bool]) -> None:
    found = path.lstat()
    owner = os.getuid() if hasattr(os, "getuid") else found.st_uid
    if not is_kind(found.st_mode) or found.st_uid != owner or found.st_mode & 0o022:
        raise CompilerError(
            f"{path} holds code that is run, and others can write to it (owner {found.st_uid}, "
            f"mode {stat.S_IMODE(found.st_mode):o}): remove it, or chmod go-w it if it is yours"
        )


def compile_flags(fast: bool, threads: int) -> list[str]:
    """Return the flags on which bits depend, and those that make a module."""
    return [*COMMON, *(FAST if fast else EXACT), *["-fopenmp"] * (threads > 1)]


def load(source: str, name: str, fast: bool = False, threads: int = 1) -> Any:
    """Return the module of a source in C, compiled now or earlier.

    Parameters
    ----------
    source, name
        The text of an extension module, and what it and its function are called.
    fast
        Whether last digits may change.
    threads
        Of more than one, the source has loops that run on several.

    Raises
    ------
    CompilerError
        It cannot be compiled.
    """
    compiler = find_compiler()
    level = "-O3" if len(source) < LONG else "-O1" if len(source) < 4 * LONG else "-O0"
    flags = [level, *compile_flags(fast, threads)]
    flags += shlex.split(os.environ.get("CFLAGS", ""))
    text = "\n".join([_environment(compiler), *flags, source])
    key = hashlib.sha256(text.encode()).hexdigest()
    directory = cache_directory()
    for attempt in range(2):
        path = _find(directory, key) or _build(directory, key, compiler, flags, source)
        try:
            return _import(path, name)
        except ImportError:
            if attempt:
                raise
            path.unlink(missing_ok=True)
    raise AssertionError


def _find(directory: Path, key: str) -> Path | None:
    """The module of a key, if it is whole: its name ends with the digest of what it holds."""
    for path in directory.glob(f"{key}-*.so"):
        _check_private(path, stat.S_ISREG)
        if path.name == f"{key}-{_digest(path)}.so":
            return path
        path.unlink(missing_ok=True)
    return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _build(
    directory: Path, key: str, compiler: tuple[str, ...], flags: list[str], source: str
) -> Path:
    """Compile a source in a directory of its own, and move it to its place as a whole."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="build-") as scratch:
        text, module = Path(scratch) / "step.c", Path(scratch) / "step.so"
        text.write_text(source, encoding="utf-8")
        includes = [f"-I{sysconfig.get_paths()['include']}", f"-I{np.get_include()}"]
        command = [*compiler, *flags, *includes, str(text), "-o", str(module), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompilerError(f"{shlex.join(command)} failed:\n{done.stderr[:2000]}")
        module.chmod(0o700)
        path = directory / f"{key}-{_digest(module)}.so"
        module.replace(path)
    return path


def _import(path: Path, name: str) -> Any:
    if path not in _loaded:
        loader = ExtensionFileLoader(name, str(path))
        spec = spec_from_loader(name, loader)
        assert spec is not None
        module = module_from_spec(spec)
        loader.exec_module(module)
        _loaded[path] = module
    return _loaded[path]
