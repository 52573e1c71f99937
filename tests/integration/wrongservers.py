"""The servers that are wrong on purpose: all that `wrong` knows once each module has been read."""

from __future__ import annotations

import wrong_datagrams
import wrong_errors
import wrong_handshakes
import wrong_streams
from wrong import FAULTS, PASSWORD, Fault

__all__ = ["FAULTS", "PASSWORD", "Fault"]

MODULES = (wrong_handshakes, wrong_streams, wrong_errors, wrong_datagrams)
