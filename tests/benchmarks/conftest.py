"""These are scripts, and what they compare with need not be installed: pytest collects none."""

collect_ignore_glob = ["*.py", "competitors/*"]
