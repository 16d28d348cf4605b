"""What campaigns share: attacks at random for some minutes, and a count of what they have met."""

import argparse
import time
from collections import Counter


def run(attack, description):
    """Call attack(rng seed) until the time is over; print how often it returned what."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    counts, end = Counter(), time.monotonic() + 60 * options.minutes
    number = 0
    while time.monotonic() < end or not number:
        counts.update(attack([options.seed, number]))
        number += 1
    print(f"{number} attacks: {dict(sorted(counts.items()))}")
