"""Random programs in C, beside eager ones, also under sanitizers: as many as there is time for.

python tests/compiler/c/campaign.py 5000
python tests/compiler/c/campaign.py 5000 --sanitize
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS), str(TESTS / "compiler")]
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -UNDEBUG"


def run(first, n, **options):
    """Compare programs of n seeds, and return those seeds for which anything differs."""
    import numpy as np
    from bits import assert_same_bits
    from test_random_programs import BINARY, UNARY, composed

    import tinygrad_ce as tg

    failed = []
    for seed in range(first, first + n):
        random_of = random.Random(seed)
        kinds = len(UNARY) + len(BINARY)
        choices = [
            (random_of.randrange(kinds), random_of.randrange(99), random_of.randrange(99))
            for _ in range(random_of.randint(1, 12))
        ]
        dtype = random_of.choice([np.float32, np.float64])
        rows, width = random_of.choice(
            [(3, 4), (70, 9), (3, 300)]
        )  # all at once, in blocks, by row
        f = composed(choices)

        def both(x, y, f=f):
            return f(x, y), tg.grad(lambda x, y: f(x, y)[0], (0, 1))(x, y)

        compiled = tg.compile(both, backend="c", **options)
        rng = np.random.default_rng(seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", message=".*does not compute.*")
                for _ in range(3):
                    x, y = (rng.normal(size=n).astype(dtype) for n in ((rows, width), width))
                    if random_of.random() < 0.3:
                        x.flat[random_of.randrange(x.size)] = random_of.choice(
                            [np.nan, np.inf, -0.0]
                        )
                    assert_same_bits(compiled(x, y), both(tg.Tensor(x), tg.Tensor(y)))
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:500]}", flush=True)
            failed.append(seed)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--sanitize", action="store_true", help="with both sanitizers of gcc")
    arguments = parser.parse_args()
    if arguments.sanitize and "LD_PRELOAD" not in os.environ:
        libraries = [
            subprocess.run(
                ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
            )
            for name in ("libasan.so", "libubsan.so")
        ]
        found = ":".join(done.stdout.strip() for done in libraries)
        environment = os.environ | {"LD_PRELOAD": found, "ASAN_OPTIONS": "detect_leaks=0"}
        sys.exit(
            subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
        )
    os.environ["CFLAGS"] = f"-O1 {SANITIZERS}" if arguments.sanitize else "-O1"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["XDG_CACHE_HOME"] = directory
        failed = run(arguments.first, arguments.n)
    print(f"{arguments.n} programs, {len(failed)} of which differ: {failed[:20]}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
