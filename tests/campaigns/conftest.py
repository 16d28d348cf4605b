"""Campaigns are scripts."""

collect_ignore = ["interruptions.py", "kills.py", "makemore.py", "threads.py"]
