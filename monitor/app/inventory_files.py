"""Copies of the inventory files, kept beside the snapshots that belong to them.

The journal and the snapshots hold row numbers; they can be read only with the inventory they were written under.
A copy is named by the content's hash (its *mark*), so the same files are kept once.
"""

import hashlib
import os
import shutil
from pathlib import Path

from monitor.inventory import InputProblems, Inventory, InventorySettings, load_inventory


def mark_of(settings: InventorySettings) -> str:
    """Hash of the inventory files' content. Raises InputProblems when one cannot be read."""
    digest = hashlib.sha256(repr(sorted(settings.levels.items())).encode())
    for name in (settings.file, settings.elements_file):
        digest.update(b"\0")
        if name:
            try:
                with Path(name).open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
            except OSError as error:
                raise InputProblems.one(name, f"cannot be read: {error.strerror}") from None
    return digest.hexdigest()[:32]


def load(settings: InventorySettings, generation: int) -> Inventory:
    """The configured inventory with its indexes built. Raises InputProblems."""
    elements = Path(settings.elements_file) if settings.elements_file else None
    inventory = load_inventory(Path(settings.file), settings, elements, generation)
    inventory.warm()
    return inventory


def keep_copy(settings: InventorySettings, mark: str, folder: Path) -> None:
    """Copy the configured files to `folder` under their mark, durable when it returns; nothing if they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, suffix in ((settings.elements_file, "elements"), (settings.file, "inventory")):
        target = folder / f"{mark}.{suffix}.csv"
        if not name or target.exists():
            continue
        aside = target.with_suffix(".part")
        shutil.copyfile(name, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.rename(target)


def load_copy(settings: InventorySettings, mark: str, folder: Path, generation: int) -> Inventory | None:
    """The inventory kept under `mark`, or None when its copy is gone."""
    file, elements = folder / f"{mark}.inventory.csv", folder / f"{mark}.elements.csv"
    if not file.exists():
        return None
    unrestricted = InventorySettings(file=str(file), levels=settings.levels)
    return load_inventory(file, unrestricted, elements if elements.exists() else None, generation)


def drop_copies(folder: Path, keep: set[str]) -> None:
    """Remove the copies that no snapshot needs any more."""
    for path in folder.glob("*.csv"):
        if path.name.split(".")[0] not in keep:
            path.unlink(missing_ok=True)
