"""These are scripts, and what they compare with need not be installed: pytest collects none."""

from pathlib import Path

collect_ignore_glob = ["competitors/*"]
collect_ignore = [
    path.name for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_")
]
