"""``python -m tinygrad_ce``, the same as the command ``tinygrad-ce``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
