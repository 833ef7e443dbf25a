import pytest

from service.ops.names import Kind, kind_of


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
    assert kind_of(name) is Kind.SECRET


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize(
    "name",
    ["balance", "balances", "krw_balance", "availableBalance", "available", "locked",
     "locked_krw", "equity", "total_equity_krw", "capital", "cash", "position_pnl_pct"],
)  # fmt: skip
def test_a_name_of_the_operators_money_hides_its_value(name: str) -> None:
    assert kind_of(name) is Kind.MONEY


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "thinking_tokens", "maxTokens"])
def test_numbers_of_tokens_are_not_tokens(name: str) -> None:
    assert kind_of(name) is Kind.TOKENS


@pytest.mark.parametrize(
    "name",
    ["key", "setting", "blocked", "unlocked_at", "market", "order_id", "cost_usd", "monkey",
     "cashier", "run_id", "unavailable", "volume", "price", "funds", "identifier", ""],
)  # fmt: skip
def test_other_names_show_their_values(name: str) -> None:
    assert kind_of(name) is None
