"""Tells systemd how we are: READY=1 once, WATCHDOG=1 while the engine steps. Silent where there is no systemd."""

import os
import socket


def notify(state: str) -> bool:
    """Send one state to $NOTIFY_SOCKET; False when there is none or it does not take it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address)
            channel.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """Half of what systemd allows between two WATCHDOG=1, in seconds; None when it does not watch us."""
    try:
        allowed_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    mine = os.environ.get("WATCHDOG_PID", "")
    if mine and mine != str(os.getpid()):
        return None
    return allowed_us / 2e6
