"""Campaigns are scripts."""

collect_ignore = ["interruptions.py", "kills.py", "threads.py"]
