"""Seeded rounds of backups and restores under whatever may happen to a host (tests/support/campaign.py)."""

from pathlib import Path

import pytest

from tests.support.campaign import run_round

SHORT = (0,)
LONG = 100


@pytest.mark.parametrize("seed", SHORT)
def test_a_round(tmp_path: Path, seed: int) -> None:
    assert run_round(tmp_path, seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", [seed for seed in range(LONG) if seed not in SHORT])
def test_many_rounds(tmp_path: Path, seed: int) -> None:
    assert run_round(tmp_path, seed)
