"""Campaigns are scripts."""

collect_ignore = [
    "clicks.py",
    "interruptions.py",
    "kill_workers.py",
    "kills.py",
    "makemore.py",
    "threads.py",
]
