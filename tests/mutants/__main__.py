"""`make mutants`: each safeguard is taken out in a copy of the tree, and a test has to fail.

`python -m tests.mutants NAME ...` tries these only, `--list` prints the names.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.mutants.mutant import DoesNotApply, Mutant, all_tests
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Outcome, copied, run, tried

ROOT: Final = Path(__file__).parents[2]
_TAIL: Final = 30  #: lines of pytest's output, where a mutant has no verdict
DOES_NOT_APPLY: Final = "does not apply"


def main(mutants: Sequence[Mutant], *, tree: Path = ROOT, shows: bool = False) -> int:
    """Try each mutant; return 1 unless all of them are killed.

    Args: shows: which test failed, and how, for each one that is killed.
    """
    counts: Counter[str] = Counter()
    with copied(tree) as copy:
        outcome, said = run(all_tests(mutants), copy)
        if outcome is not Outcome.SURVIVED:
            _say(_tail(said))
            _say("The tests fail without any mutant: mend that first.")
            return 1
        for number, mutant in enumerate(mutants, 1):
            began = time.monotonic()
            word, detail = _verdict(mutant, copy, shows=shows)
            counts[word] += 1
            spent_s = time.monotonic() - began
            _say(f"{number:3}/{len(mutants)}  {word:<14} {spent_s:5.1f} s  {mutant.name}")
            if detail:
                _say(detail)
    told = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    _say(f"{len(mutants)} mutants: {told}")
    return 0 if counts[Outcome.KILLED] == len(mutants) else 1


def _verdict(mutant: Mutant, copy: Path, *, shows: bool) -> tuple[str, str]:
    try:
        outcome, said = tried(mutant, copy)
    except DoesNotApply as exc:
        return DOES_NOT_APPLY, f"        {exc}"
    if outcome is Outcome.SURVIVED:
        return outcome, f"        {mutant.file}, not noticed by {', '.join(mutant.tests)}"
    if outcome is Outcome.NO_VERDICT:
        return outcome, _tail(said)
    return outcome, "\n".join(_failures(said)) if shows else ""


def _failures(said: str) -> Iterator[str]:
    """Yield what pytest says of the failed test in a line, and the errors themselves."""
    for line in said.splitlines():
        if line.startswith(("FAILED", "ERROR", "E  ")):
            yield f"        {line[:160]}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def _tail(said: str) -> str:
    return "\n".join(said.splitlines()[-_TAIL:])


def chosen(names: Sequence[str]) -> list[Mutant]:
    """Return the mutants called so, all without a name. Raises: KeyError, for an unknown one."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    return [known[name] for name in names] if names else list(MUTANTS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of the mutants to try; all by default")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--show", action="store_true", help="print how each one was noticed")
    given = parser.parse_args()
    try:
        picked = chosen(given.names)
    except KeyError as exc:
        parser.error(f"no mutant is called {exc.args[0]}; --list prints the names")
    if given.list:
        _say("\n".join(mutant.name for mutant in picked))
        sys.exit(0)
    sys.exit(main(picked, shows=given.show))
