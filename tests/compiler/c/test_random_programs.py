"""Random programs: in C, each has the bits of the eager one, and stays within its memory."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CAMPAIGN = Path(__file__).with_name("campaign.py")


@pytest.mark.parametrize("options", [["40"], ["12", "--first", "1000", "--sanitize"]])
def test_a_short_campaign(options):
    done = subprocess.run(
        [sys.executable, CAMPAIGN, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
