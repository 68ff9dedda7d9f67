"""Writes a virtual provider's inventory.csv and elements.csv, a chunk of lines at a time."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monitor.lab.isp import CLASSES, KM_PER_DEGREE, MODELS, ORIGIN, STATUSES, Isp, dotted, scramble, serial_number
from monitor.lab.names import (
    CITIES,
    DSL_PRODUCTS,
    FIRST_NAMES,
    GPON_CPES,
    GPON_PRODUCTS,
    LAST_NAMES,
    PHONE_BLOCKS,
    STREETS,
)

CHUNK = 20_000
COLUMNS = (
    *("line_id", "address", "address6", "path", "groups", "lat", "lon", "technology", "cpe_model", "cpe_firmware"),
    *("cpe_serial", "cpe_endpoint", "down_mbps", "up_mbps", "customer_id", "name", "phone", "street", "postcode"),
    *("city", "login", "status", "service_class", "sla_restore_h", "access_partner", "backup_of", "tenant"),
)
RESOLVERS = ("r1", "r2")


def write_inventory(isp: Isp, path: Path) -> None:
    """inventory.csv with every column; a million lines take some ten seconds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        houses = _house_numbers(isp)
        for first in range(0, len(isp), CHUNK):
            writer.writerows(_rows(isp, houses, first, min(first + CHUNK, len(isp))))


def write_elements(isp: Isp, path: Path) -> None:
    """elements.csv: exchanges with their place, OLTs and MSANs with their management address."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "address", "kind", "lat", "lon"))
        places = [_place(x, y) for x, y in isp.exchange_xy.tolist()]
        for name, place in zip(isp.exchange_paths, places, strict=True):
            writer.writerow((name, "", "exchange", *place))
        for node in isp.nodes:
            writer.writerow((node.path, node.address, node.kind, *places[node.exchange]))


def _place(x_km: float, y_km: float) -> tuple[str, str]:
    lat = ORIGIN[0] + y_km / KM_PER_DEGREE
    lon = ORIGIN[1] + x_km / (KM_PER_DEGREE * float(np.cos(np.radians(ORIGIN[0]))))
    return f"{lat:.6f}", f"{lon:.6f}"


def _house_numbers(isp: Isp) -> np.ndarray:
    """A running number of the house within its quarter, int64 [n]: so no two lines share a street address."""
    order = np.argsort(isp.quarter, kind="stable")
    sorted_quarter = isp.quarter[order]
    first = np.searchsorted(sorted_quarter, sorted_quarter)
    houses = np.empty(len(isp), np.int64)
    houses[order] = np.arange(len(isp)) - first
    return houses


def _rows(isp: Isp, houses: np.ndarray, first: int, last: int) -> Iterator[tuple[object, ...]]:
    part = slice(first, last)
    exchange = isp.exchange[part].tolist()
    region = isp.exchange_region.tolist()
    digits = 5 if len(isp) <= 100_000 * len(PHONE_BLOCKS) else 7
    columns = zip(
        isp.number[part].tolist(),
        isp.leaf[part].tolist(),
        isp.node[part].tolist(),
        exchange,
        isp.address[part].tolist(),
        isp.lat[part].tolist(),
        isp.lon[part].tolist(),
        isp.model[part].tolist(),
        isp.firmware[part].tolist(),
        isp.feeder[part].tolist(),
        isp.duct[part].tolist(),
        isp.quarter[part].tolist(),
        houses[part].tolist(),
        isp.status[part].tolist(),
        isp.service_class[part].tolist(),
        isp.product[part].tolist(),
        strict=True,
    )
    blocks = len(PHONE_BLOCKS)
    for (
        number,
        leaf,
        node,
        ex,
        address,
        lat,
        lon,
        model,
        firmware,
        feeder,
        duct,
        quarter,
        house,
        status,
        cls,
        product,
    ) in columns:
        mixed = scramble(number)  # the same person for the same number
        name = f"{FIRST_NAMES[mixed % len(FIRST_NAMES)]} {LAST_NAMES[mixed // 64 % len(LAST_NAMES)]}"
        serial = serial_number(model, number)
        customer = f"C{(number * 7919 + 104_729) % 10_000_019:08d}"
        fibre = model < len(GPON_CPES)
        down, up = (GPON_PRODUCTS if fibre else DSL_PRODUCTS)[product]
        groups = (
            f"bng:bng-{region[ex] * 2 + node % 2 + 1};power:feeder-{feeder + 1};"
            f"duct:d-{duct + 1};resolver:{RESOLVERS[node // 2 % 2]}"
        )
        yield (
            f"L{number + 1:07d}",
            dotted(address) if address else "",
            "",
            isp.leaf_paths[leaf],
            groups,
            f"{lat:.6f}",
            f"{lon:.6f}",
            "gpon" if fibre else "dsl",
            MODELS[model][0],
            MODELS[model][2][firmware],
            serial,
            f"os::02FA17-{serial}",
            down,
            up,
            customer,
            name,
            f"{PHONE_BLOCKS[number % blocks]}{number // blocks:0{digits}d}",
            f"{STREETS[(quarter * 5 + house % 5) % len(STREETS)]} {house // 5 + 1}",
            f"{34000 + quarter:05d}",
            CITIES[region[ex]],
            f"{customer.lower()}@dsl.provider.example" if not fibre else f"{customer.lower()}@provider.example",
            STATUSES[status],
            CLASSES[cls],
            "8" if cls == 2 else "",
            "",
            "",
            "",
        )
