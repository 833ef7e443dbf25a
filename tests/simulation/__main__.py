"""`python -m tests.simulation`: many histories, one with its trace, or each switch in turn."""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from loguru import logger

from tests.simulation import history, price_history
from tests.simulation.coverage import as_module, missing, table, without
from tests.simulation.price_switches import PRICE_SWITCHES
from tests.simulation.runs import Tally, searched, tallies
from tests.simulation.switches import SWITCHES, switched

_SHOWN: Final = 10
WHOLE_RUN: Final = 20_000
WHOLE_PRICES: Final = 1_000
CELLS_FILE: Final = Path(__file__).with_name("cells.py")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    args = _arguments()
    if args.seed is not None:
        return _replay(args.seed, args.switch, prices=args.prices is not None)
    if args.cells:
        CELLS_FILE.write_text(as_module(_tally(args).met), encoding="utf-8")
        return 0
    if args.switches:
        return _try_switches(args.most, workers=args.workers)
    wrong = 0
    if args.histories:
        wrong |= _live(args)
    if args.prices is None or args.prices:
        wrong |= _live_prices(args)
    return wrong


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay one history and print its trace")
    switches = sorted((*SWITCHES, *PRICE_SWITCHES))
    parser.add_argument("--switch", choices=switches, help="with --seed: without this")
    parser.add_argument(
        "--prices", type=int, nargs="?", const=WHOLE_PRICES, help="histories about prices; 0: none"
    )
    parser.add_argument("--switches", action="store_true", help="try every switch")
    parser.add_argument("--cells", action="store_true", help="write cells.py anew")
    parser.add_argument("--most", type=int, default=2000, help="seeds to find a switch in")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--histories", type=int, default=WHOLE_RUN, help="how many seeds")
    parser.add_argument("--workers", type=int, default=2, help="processes beside each other")
    return parser.parse_args()


def _replay(seed: int, switch: str | None, *, prices: bool) -> int:
    logger.remove()
    live = price_history.run if prices or switch in PRICE_SWITCHES else history.run
    with switched(switch):
        outcome = live(seed, tracing=True)
    _say("\n".join(outcome.trace))
    _say(f"seed {seed}: {'; '.join(outcome.violations) or 'every invariant holds'}")
    return 1 if outcome.violations else 0


def _tally(args: argparse.Namespace) -> Tally:
    tally = Tally()
    for part in tallies(args.first, args.histories, workers=args.workers):
        tally.add(part)
    return tally


def _live(args: argparse.Namespace) -> int:
    began = time.monotonic()
    tally = _tally(args)
    spent_s = time.monotonic() - began
    _say(table(tally.met))
    # A short run reaches fewer cells, and that says nothing.
    empty = missing(tally.met) if tally.histories >= WHOLE_RUN else []
    for cell in empty:
        _say(f"EMPTY no history had: {cell}")
    _say(_unproved(tally))
    _say_broken(tally, "--seed")
    _say(_figures(tally, "histories", spent_s))
    return 1 if tally.broken or empty else 0


def _live_prices(args: argparse.Namespace) -> int:
    began = time.monotonic()
    tally, most = Tally(), WHOLE_PRICES if args.prices is None else args.prices
    for part in tallies(args.first, most, workers=args.workers, live=price_history.run):
        tally.add(part)
    _say(", ".join(f"{act} {times}" for act, times in sorted(tally.acts.items())))
    empty = without(tally.acts) if tally.histories >= WHOLE_PRICES else []
    for act in empty:
        _say(f"EMPTY no history about prices had: {act}")
    _say_broken(tally, "--prices --seed")
    _say(_figures(tally, "histories about prices", time.monotonic() - began))
    return 1 if tally.broken or empty else 0


def _say_broken(tally: Tally, how: str) -> None:
    for seed, violations in sorted(tally.broken.items())[:_SHOWN]:
        _say(f"BROKEN python -m tests.simulation {how} {seed}: {violations[0]}")


def _figures(tally: Tally, what: str, spent_s: float) -> str:
    return (
        f"{tally.histories} {what}, {tally.orders} orders, {len(tally.broken)} broken, "
        f"{tally.histories / spent_s:.0f} histories/s, {spent_s:.0f} s"
    )


def _unproved(tally: Tally) -> str:
    """Return how many orders no proof has ended, and why."""
    total = sum(tally.unproved.values())
    reasons = "".join(f"; {reason}: {times}" for reason, times in tally.unproved.most_common())
    return (
        f"{total} orders of {tally.histories} histories waited for an operator's word"
        f" ({total / max(1, tally.histories):.2%} of the histories){reasons};"
        f" {tally.declarations} words counted"
    )


def _try_switches(most: int, *, workers: int) -> int:
    survivors = 0
    for name, tally in searched(sorted((*SWITCHES, *PRICE_SWITCHES)), most, workers=workers):
        if not tally.broken:
            survivors += 1
            _say(f"SURVIVED {name}: {tally.histories} histories did not notice")
            continue
        ((seed, violations),) = tally.broken.items()
        _say(f"found {name}: seed {seed}, {violations[0].splitlines()[-1]}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
