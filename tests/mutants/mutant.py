"""One change that takes a safeguard out, and the tests that have to notice it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The snippet does not stand in its file exactly once; the sentence says how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """Attributes:
    name: says what the service does wrong; unique.
    file: from the root of the repository.
    old: stands in the file exactly once, and is replaced by `new`.
    tests: as pytest takes them, the narrowest that show the fault.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """Return the file's text with the fault in it. Raises: DoesNotApply."""
        times = source.count(self.old)
        if times != 1:
            raise DoesNotApply(f"{self.file} has the snippet {times} times, expected once")
        return source.replace(self.old, self.new)

    def source(self, tree: Path) -> str:
        """Return the text of the file it changes, as it is in `tree`. Raises: DoesNotApply."""
        try:
            return (tree / self.file).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DoesNotApply(f"there is no file {self.file}") from None


def of(path: str, *functions: str) -> tuple[str, ...]:
    """Return the tests of one file, all of it or these, as pytest takes them."""
    return tuple(f"{path}::{function}" for function in functions) or (path,)


def missing_tests(mutant: Mutant, tree: Path) -> list[str]:
    """Return what of the mutant's tests is not in `tree`: a file, or a function of it."""
    return [test for test in mutant.tests if not _is_there(test, tree)]


def _is_there(test: str, tree: Path) -> bool:
    path, _, function = test.partition("::")
    file = tree / path
    if not function:
        return file.exists()
    name = function.partition("[")[0]
    return file.is_file() and f"def {name}(" in file.read_text(encoding="utf-8")


def all_tests(mutants: Iterable[Mutant]) -> list[str]:
    """Return the tests of all of them; a test of a file that is run whole stands there once."""
    every = {test for mutant in mutants for test in mutant.tests}
    return sorted(test for test in every if "::" not in test or test.split("::")[0] not in every)
