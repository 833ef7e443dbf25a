"""The daily check tells how many values differ, and no value."""

from collections.abc import Mapping

from service.flows.books_check import BooksCheck
from tests.fakes.logs import Logs


async def test_a_difference_stands_until_a_pass_finds_none(logs: Logs) -> None:
    answers = iter([{"positions": 2}, {}])

    async def verify() -> Mapping[str, int]:
        return next(answers)

    check = BooksCheck(verify=verify)
    await check.step()
    first = check.disagree
    await check.step()

    assert (first, check.disagree) == (True, False)
    [line] = logs.lines
    assert (line["level"], line["table"], line["differences"]) == ("ERROR", "positions", 2)
