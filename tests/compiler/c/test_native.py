"""Compiling, and the cache of what has been compiled."""

import os
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.compiler import native

SOURCE = """
#include <Python.h>
static PyObject *step(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    return PyLong_FromLong(%d);
}
static PyMethodDef methods[] = {{"step", (PyCFunction)step, METH_FASTCALL, NULL}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "step", NULL, -1, methods};
PyMODINIT_FUNC PyInit_step(void)
{
    return PyModule_Create(&module);
}
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A cache with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return native.cache_directory()


def entries(directory):
    return sorted(directory.iterdir())


def test_a_source_is_compiled_once(directory, monkeypatch):
    assert native.load(SOURCE % 1, "step").step() == 1
    (entry,) = entries(directory)
    monkeypatch.setattr(native, "_build", lambda *_: pytest.fail("compiled again"))
    monkeypatch.setattr(native, "_loaded", {})
    assert native.load(SOURCE % 1, "step").step() == 1
    assert entries(directory) == [entry]


def test_another_source_or_other_flags_are_other_entries(directory):
    assert [native.load(SOURCE % n, "step").step() for n in (2, 3)] == [2, 3]
    native.load(SOURCE % 2, "step", fast=True)
    assert len(entries(directory)) == 3


@pytest.mark.parametrize("broken", [b"", b"\x7fELF", b"no module"])
def test_a_broken_entry_is_compiled_again(directory, broken, monkeypatch):
    native.load(SOURCE % 4, "step")
    (entry,) = entries(directory)
    entry.unlink()
    entry.write_bytes(broken)
    entry.chmod(0o700)
    monkeypatch.setattr(native, "_loaded", {})
    assert native.load(SOURCE % 4, "step").step() == 4
    (entry,) = entries(directory)
    assert entry.stat().st_size > 1000


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_what_others_can_write_to_is_refused(directory, mode):
    directory.chmod(mode)
    with pytest.raises(native.CompilerError, match="others can write to it"):
        native.load(SOURCE % 5, "step")
    directory.chmod(0o700)
    native.load(SOURCE % 5, "step")
    (entry,) = entries(directory)
    entry.chmod(mode)
    with pytest.raises(native.CompilerError, match="others can write to it"):
        native.load(SOURCE % 5, "step")


def test_a_directory_of_somebody_else_is_refused(directory, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: directory.stat().st_uid + 1)
    with pytest.raises(native.CompilerError, match="others can write to it"):
        native.cache_directory()


def test_a_link_in_place_of_the_directory_is_refused(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tinygrad_ce").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(native.CompilerError):
        native.cache_directory()


def test_what_the_compiler_refuses_is_an_error_and_no_entry(directory):
    with pytest.raises(native.CompilerError, match="error"):
        native.load("int x = ;", "step")
    assert entries(directory) == []


def test_a_step_is_no_module_that_an_import_could_find(monkeypatch):
    """Not even in place of one that has its name, as a file often has the name of its function."""
    theirs = types.ModuleType("train_step")
    monkeypatch.setitem(sys.modules, "train_step", theirs)

    def train_step(x):
        return (x * x).sum()

    compiled = tg.compile(train_step, backend="c")
    assert float(compiled(np.arange(4.0))) == 14
    assert "PyInit_train_step" in compiled.source
    assert sys.modules["train_step"] is theirs


@pytest.mark.slow
def test_two_processes_at_once(directory):
    loaded = f"native.load({SOURCE % 6!r}, 'step').step()"
    code = f"from tinygrad_ce.compiler import native; print({loaded})"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate()[0] for process in running] == ["6\n"] * 3
    assert native.load(SOURCE % 6, "step").step() == 6
    assert all(entry.suffix == ".so" for entry in entries(directory))


# ── Without a compiler ────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["no compiler", "a CC that is not there", "no headers"])
def nothing_to_compile_with(request, monkeypatch):
    """A system on which C cannot be compiled."""
    if request.param == "no headers":
        monkeypatch.setattr(native.sysconfig, "get_paths", lambda: {"include": "/nowhere"})
        return "headers"
    if request.param == "no compiler":
        monkeypatch.delenv("CC", raising=False)
    else:
        monkeypatch.setenv("CC", "no-such-compiler -O2")
    monkeypatch.setenv("PATH", "/nowhere")
    return "needs a C compiler"


def test_without_a_compiler_nothing_is_recorded(nothing_to_compile_with):
    with pytest.raises(native.CompilerError, match=nothing_to_compile_with) as caught:
        tg.compile(lambda x: x, backend="c")
    assert "install" in str(caught.value)


def test_auto_falls_back_with_one_warning(nothing_to_compile_with):
    with pytest.warns(RuntimeWarning, match="runs by NumPy") as caught:
        step = tg.compile(lambda x: (x * x).sum(), backend="auto")
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(step(np.arange(4.0))) == 14
    assert step.source.startswith("import numpy")


def test_auto_is_c_where_there_is_a_compiler():
    step = tg.compile(backend="auto")(lambda x: (x * x).sum())
    assert float(step(np.arange(4.0))) == 14
    assert "PyMODINIT_FUNC" in step.source


@pytest.mark.parametrize("options", [{"backend": "C"}, {"threads": 0}, {"threads": 1.5}])
def test_options_that_do_not_exist(options):
    with pytest.raises(ValueError, match=r"backend is|threads is"):
        tg.compile(lambda x: x, **options)
