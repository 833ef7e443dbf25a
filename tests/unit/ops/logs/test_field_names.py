import re
from pathlib import Path

import pytest

from service.ops.logs.field_names import FieldKind, kind_of

LOGS = Path(__file__).parents[4] / "docs" / "logs.md"
#: The fields that the two tables of docs/logs.md promise.
FIELDS = sorted(
    set(re.findall(r"`([a-z_]+)`", LOGS.read_text("utf-8").partition("## What never appears")[0]))
)


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apiKey", "APIKey", "GEMINI_API_KEY", "x-goog-api-key", "upbit_access_key",
        "secret", "client_secret_2", "password", "dbPassword", "passwd", "pwd", "Authorization",
        "proxy-authorization", "cookie", "Set-Cookie", "dsn", "DATABASE_URL", "admin_token",
        "accessToken", "csrf", "jwt", "private_key", "credentials", "alert_urls", "webhook",
    ],
)  # fmt: skip
def test_a_telling_name_hides_its_value(name: str) -> None:
    assert kind_of(name) is FieldKind.SECRET


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize(
    "name",
    ["balance", "balances", "krw_balance", "availableBalance", "available", "locked",
     "locked_krw", "equity", "total_equity_krw", "capital", "cash", "position_pnl_pct",
     "funds", "executed_funds", "total", "total_krw", "krw_total", "totalAsset", "volume",
     "executed_volume", "remaining_volume", "position_volume", "orderVolume", "avg_buy_price",
     "average_price", "position_average_price", "paid_fee", "fees_paid", "cost", "coins",
     "amount", "holdings", "deposits", "worth", "잔고", "KRW잔고", "예수금", "보유수량",
     "총평가금액", "총자산", "실현손익"],
)  # fmt: skip
def test_a_name_of_the_operators_money_hides_its_value(name: str) -> None:
    assert kind_of(name) is FieldKind.MONEY


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "thinking_tokens", "maxTokens"])
def test_numbers_of_tokens_are_not_tokens(name: str) -> None:
    assert kind_of(name) is FieldKind.TOKENS


@pytest.mark.parametrize(
    "name",
    ["key", "setting", "blocked", "unlocked_at", "market", "order_id", "cost_usd", "monkey",
     "cashier", "run_id", "unavailable", "price", "identifier", "", "volume_24h",
     "market_volume", "candle_volume", "acc_trade_volume_24h", "rows_total", "total_ms",
     "requests_total", "fee_ratio", "feed", "feedback", "fills", "refunds", "months_dropped",
     "시장", "가격"],
)  # fmt: skip
def test_other_names_show_their_values(name: str) -> None:
    assert kind_of(name) is None


@pytest.mark.parametrize("name", ["prompt", "facts", "last_prompt", "prompt_text"])
def test_a_prompt_is_hidden_because_it_tells_the_position(name: str) -> None:
    assert kind_of(name) is FieldKind.PROMPT


def test_how_long_a_prompt_was_is_shown() -> None:
    assert kind_of("prompt_tokens") is FieldKind.TOKENS


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_our_own_lines_carry_is_shown(name: str) -> None:
    """What an operator needs is not called by a name of the account."""
    assert kind_of(name) in {None, FieldKind.TOKENS}


def test_the_fields_are_read_from_the_docs() -> None:
    assert {"duration_ms", "cost_usd", "signal_id", "wait_s"} <= {*FIELDS}
