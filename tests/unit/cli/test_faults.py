"""A fault of the program itself ends a command without the text of a foreign error."""

import pytest

from service.cli.root import _sentences

_ROW = "Failing row contains (KRW, 777000777)"


def fail() -> None:
    int(_ROW)  # its error quotes what it was given


def test_an_error_that_ends_a_command_shows_where_and_no_text_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Regression: a balance stood in PostgreSQL's text about the row that it refused."""
    with pytest.raises(SystemExit) as ended, _sentences():
        fail()

    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert "777000777" not in told
    assert "a fault of the program ended it: ValueError" in told
    assert "in fail" in told
