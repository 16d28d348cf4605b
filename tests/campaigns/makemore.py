"""The lectures' makemore in full: parts 2 to 4 of `tests/lectures.py`, 200,000 steps each.

    python tests/campaigns/makemore.py
    python tests/campaigns/makemore.py --names names.txt    # the lectures' list of 32,033 names

Prints the losses of training and validation beside those that the lectures end with.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lectures

SHIPPED = Path(__file__).parents[2] / "examples" / "names.txt"
LECTURES = {"part_2": "2.12, 2.17", "part_3": "2.07, 2.11", "part_4": "2.07, 2.11"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=Path, default=SHIPPED)
    parser.add_argument("--steps", type=int, default=200_000)
    options = parser.parse_args()
    data = lectures.read_dataset(options.names)
    print(f"{len(data.train[1])} examples for training, {len(data.val[1])} for validation")
    for part, ends in LECTURES.items():
        losses, train, val, *_ = getattr(lectures, part)(data, options.steps)
        print(
            f"{part}: {losses[0]:.4f} at first, then {train:.4f}, {val:.4f}; the lecture: {ends}",
            flush=True,
        )


if __name__ == "__main__":
    main()
