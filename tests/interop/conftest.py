"""One planted tree for the whole session, as stock restic can restore it: nobody may change it."""

import os
from pathlib import Path

import pytest

from tests.support.trees import plant_everything


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("foreign owners, devices and trusted attributes need root")
    folder = tmp_path_factory.mktemp("planted") / "source"
    folder.mkdir()
    plant_everything(folder, restic_014=True)
    return folder
