"""Campaigns are scripts."""

collect_ignore = ["interruptions.py", "kill_workers.py", "kills.py", "makemore.py", "threads.py"]
