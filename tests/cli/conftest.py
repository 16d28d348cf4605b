import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory but for a file that is in the way."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    return tmp_path
