"""What is written from the table of routes is as the table is now."""

from typing import Final

from tests.api_document import DOCUMENT, PAGE, list_text, openapi_text, page_text

WRITE: Final = "run `python -m tests.api_document`"


def test_the_shipped_document_is_the_one_that_the_table_makes() -> None:
    assert DOCUMENT.read_bytes() == openapi_text(), WRITE


def test_the_list_of_the_page_is_the_one_that_the_table_makes() -> None:
    page = PAGE.read_text("utf-8")

    assert list_text() in page, WRITE
    assert page_text(page) == page, WRITE
