"""Counting what was checked."""

import sys


class Tally:
    """Counts what was checked and says what failed."""

    def __init__(self, told=True):
        self.told = told
        self.passed = 0
        self.failed = 0

    def check(self, name, holds):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            if self.told:
                print(f"FAILED {name}", file=sys.stderr)

    def equal(self, name, found, expected):
        self.check(f"{name}: found {found!r}, expected {expected!r}", found == expected)
