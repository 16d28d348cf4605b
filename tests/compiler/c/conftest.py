"""A cache of compiled steps of the tests' own; without a compiler, they fail where CI is set."""

import os

import pytest

from tinygrad_ce.compiler import native


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A private directory for all compiled steps of the tests."""
    try:
        native.find_compiler()
    except native.CompilerError as error:
        if os.environ.get("CI"):
            pytest.fail(f"where CI is set this may not be skipped: {error}")
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path))
        yield path
