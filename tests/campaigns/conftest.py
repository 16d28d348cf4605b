"""Campaigns are scripts."""

collect_ignore = ["interruptions.py", "kills.py", "makemore.py", "clicks.py", "threads.py"]
