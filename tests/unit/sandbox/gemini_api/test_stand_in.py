"""The stand-in decides from the prompt's lines, and says so."""

from decimal import Decimal

import pytest

from service.sandbox.gemini_api.stub_model import opinion_on


def prompt(**facts: object) -> str:
    lines = {"market": "KRW-BTC", "price": "100000000"} | facts
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def holding(**facts: object) -> str:
    return prompt(
        **{
            "position_volume": "0.5",
            "position_pnl_pct": "0.1",
            "position_held_minutes": 5,
            "change_1h_pct": "0.4",
        }
        | facts
    )


@pytest.mark.parametrize(
    ("change", "confidence"),
    [("0", "0.60"), ("0.3", "0.63"), ("-0.3", "0.63"), ("1.5", "0.76"), ("9", "0.92")],
)
def test_it_buys_when_nothing_is_held_the_surer_the_larger_the_move(
    change: str, confidence: str
) -> None:
    opinion = opinion_on(prompt(position_volume="0", change_1h_pct=change))

    assert (opinion.action, opinion.confidence) == ("BUY", Decimal(confidence))
    assert change in opinion.reasoning
    assert "stand-in" in opinion.reasoning


def test_it_does_not_buy_into_a_crash() -> None:
    assert opinion_on(prompt(position_volume="0", change_1h_pct="-3")).action == "HOLD"


@pytest.mark.parametrize(
    "facts",
    [{"position_held_minutes": 60}, {"position_pnl_pct": "1.0"}, {"position_pnl_pct": "-2"}],
)
def test_it_sells_after_an_hour_a_gain_or_a_loss(facts: dict[str, object]) -> None:
    opinion = opinion_on(holding(**facts))

    assert (opinion.action, opinion.confidence) == ("SELL", Decimal("0.75"))


def test_it_waits_otherwise() -> None:
    opinion = opinion_on(holding(position_held_minutes="none", position_pnl_pct="none"))

    assert (opinion.action, opinion.confidence) == ("HOLD", Decimal("0.55"))


@pytest.mark.parametrize(
    "text", ["", "what do you think?", prompt(), prompt(position_volume="NaN")]
)
def test_it_holds_when_it_cannot_read_the_prompt(text: str) -> None:
    opinion = opinion_on(text)

    assert (opinion.action, opinion.confidence) == ("HOLD", Decimal("0.5"))
    assert "readable" in opinion.reasoning
