"""What a part is told."""

from __future__ import annotations

from typing import NamedTuple


class Options(NamedTuple):
    seconds: float  # how long its load lasts
    seed: int  # of what is chosen at random
