"""Fixtures for every collector's tests."""

from pathlib import Path

import pytest

from tests.collectors.rig import Rig, small_inventory


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(small_inventory(tmp_path))
