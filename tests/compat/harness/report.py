"""Counts what passed and failed, and prints one line a check.

A check is a function that returns (passed), raises Skip (not applicable here) or raises anything else (failed).
"""
import sys
import time
import traceback


class Failed(Exception):
    """A check did not hold; the message says what was expected and what came."""


class Skip(Exception):
    """This check cannot be made against this broker."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {short(got)} instead of {short(wanted)}")


def short(value, limit=200):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


class Report:
    def __init__(self, verbose=False):
        self.passed = self.failed = self.skipped = 0
        self.verbose = verbose
        self.failures = []

    def run(self, name, function, *arguments):
        """Runs one check. Returns whether it passed."""
        began = time.monotonic()
        try:
            note = function(*arguments)
        except Skip as skip:
            self.skipped += 1
            self._line("SKIP", name, began, str(skip))
            return False
        except Exception as error:  # whatever goes wrong in a check is a failure of that check, not of the run
            note = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            self.failed += 1
            self.failures.append(name)
            self._line("FAIL", name, began, note)
            if self.verbose and not isinstance(error, Failed):
                traceback.print_exc()
            return False
        self.passed += 1
        self._line("PASS", name, began, note or "")
        return True

    def finish(self):
        """Prints the last line and returns the exit status."""
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{tail}")
        return 1 if self.failed or not self.passed else 0

    @staticmethod
    def _line(status, name, began, note):
        took = time.monotonic() - began
        note = " ".join(str(note).split())
        print(f"{status} {name} ({took:.1f} s){': ' + note if note else ''}", flush=True)
        sys.stdout.flush()
