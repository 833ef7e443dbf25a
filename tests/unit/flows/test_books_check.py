"""The daily check tells how many values differ, and no value."""

from collections.abc import Sequence

from service.domain.verification import BookDifference
from service.flows.books_check import BooksCheck
from tests.fakes.logs import Logs

DIFFERENCE = BookDifference(
    table="positions", row="KRW-BTC", column="volume", stored="1.25", derived="1.5"
)


async def test_a_difference_stands_until_a_pass_finds_none(logs: Logs) -> None:
    answers = iter([(DIFFERENCE, DIFFERENCE), ()])

    async def verify() -> Sequence[BookDifference]:
        return next(answers)

    check = BooksCheck(verify=verify)
    await check.step()
    first = check.disagree
    await check.step()

    assert (first, check.disagree) == (True, False)
    [line] = logs.lines
    assert (line["level"], line["table"], line["differences"]) == ("ERROR", "positions", 2)
    assert "1.25" not in str(line)
