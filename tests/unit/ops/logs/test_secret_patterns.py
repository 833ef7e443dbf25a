import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ops.logs.secret_patterns import scrub

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJhY2Nlc3Nfa2V5IjoiYWJjIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=abc, x=1", "password=***, x=1"),
        ("password=ab,cd", "password=***"),
        ("(secret=abc)", "(secret=***)"),
        ("{'api_key': 'a b c', 'b': 1}", "{'api_key': '***', 'b': 1}"),
        (r"{\"secret\": \"a b\", \"x\": 1}", r"{\"secret\": \"***\", \"x\": 1}"),
        (r'{"password": "a\"b", "x": 1}', '{"password": "***", "x": 1}'),
        ("[('password', 'x y'), ('a', 'b')]", "[('password', '***'), ('a', 'b')]"),
        ("(b'Authorization', b'Basic x')", "(b'Authorization', b'***')"),
        ('token="never closed', 'token="***'),
        ("x-goog-api-key: abc", "x-goog-api-key: ***"),
        ("secrets={'a': {'b': 1}} rest", "secrets=*** rest"),
        ("secrets=[never closed", "secrets=***"),
        ("Authorization: Digest a=1, b=2\nnext", "Authorization: ***\nnext"),
        ("Cookie: a=b; c=d\nnext", "Cookie: ***\nnext"),
        ("Bearer abcdefgh rest", "Bearer *** rest"),
        ("Basic dXNlcjpwYXNz rest", "Basic *** rest"),
        (f"jwt in the open {JWT}.", "jwt in the open ***"),
        (f"cut short {JWT[:30]}", "cut short ***"),
        ("AIzaSyA-0123456789_abc", "***"),
        ("GET /v1?key=abc&x=1", "GET /v1?key=***&x=1"),
        ("/v1/x?access_key=abc&x=1", "/v1/x?access_key=***&x=1"),
        ("api_key%3Dabc", "api_key%3D***"),
        ("postgresql://u:p@h:5432/db", "postgresql://***@h:5432/db"),
        ("postgres://u:p@ss/w@h/db", "postgres://***@h/db"),
        ("host=h user=u password=p dbname=d", "host=h user=u password=*** dbname=d"),
        ("http://user:pw@proxy:8080/", "http://***@proxy:8080/"),
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/***"),
        ("https://d.com/api/webhooks/12/abc", "https://d.com/api/webhooks/***"),
        ("https://t.org/bot123:AA-b/send", "https://t.org/bot***/send"),
        ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- rest", "*** rest"),
        ("k=" + "aB3" * 14, "k=***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert scrub(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("balance=123", "balance=***"),
        ('{"balance": "123.5", "locked":"0"}', '{"balance": "***", "locked":"***"}'),
        (r"{\"balance\": \"123\"}", r"{\"balance\": \"***\"}"),
        ("{'available': Decimal('1E+7')}", "{'available': Decimal('***')}"),
        ("Balance(currency='KRW', available=Decimal('1'))", "Balance***"),
        ("balances: [{'a': 1}] rest", "balances: *** rest"),
        ("your KRW balance is 12,345.6 KRW", "your KRW balance is *** KRW"),
        ("available KRW 1000", "available KRW ***"),
        ("pnl=-5.3e2 cash: ₩100", "pnl=*** cash: ₩***"),
        ("equity_krw=.5", "equity_krw=***"),
        ("funds=100000, volume=0.001", "funds=***, volume=***"),
        ("{'total': Decimal('5'), 'n': 5}", "{'total': Decimal('***'), 'n': 5}"),
        (r"{\"executed_volume\": \"0.5\"}", r"{\"executed_volume\": \"***\"}"),
        ("funds={'KRW': '5', 'BTC': '1'} rest", "funds=*** rest"),
        ("[('funds', '5'), ('market', '5')]", "[('funds', '***'), ('market', '5')]"),
        ("position_volume: 0.5\nvolume_24h: 7", "position_volume: ***\nvolume_24h: 7"),
        ("position_average_price: 98765432.1", "position_average_price: ***"),
        ("avg_buy_price => 5, paid_fee = 6", "avg_buy_price => ***, paid_fee = ***"),
        ("잔고는 1,000,000원, 보유수량: 0.5", "잔고는 ***원, 보유수량: ***"),
    ],
)
def test_what_looks_like_the_operators_money_is_masked(text: str, shown: str) -> None:
    assert scrub(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            'breaks "c"\nDETAIL:  Failing row contains (KRW-BTC, 12.5, a\nb, 1).\nnext',
            'breaks "c"\nDETAIL:  Failing row contains ***\nnext',
        ),
        ("Failing row contains (KRW-BTC, 12.5, cut", "Failing row contains ***"),
        (
            "column x does not exist\nLINE 14: SELECT x, 12.5 AS\n        ^",
            "column x does not exist\nLINE 14: ***\n        ^",
        ),
        (
            "DETAIL:  Token is wrong.\nCONTEXT:  JSON data, line 1: [{12.5,,...\nnext",
            "DETAIL:  Token is wrong.\nCONTEXT:  JSON data, line 1: ***\nnext",
        ),
        (
            'invalid input syntax for type numeric: "12.5x"',
            'invalid input syntax for type numeric: "***"',
        ),
    ],
)
def test_what_postgresql_quotes_of_rows_and_statements_is_masked(text: str, shown: str) -> None:
    assert scrub(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        'File "x.py", line 12, in f',
        "DETAIL:  Key (identifier)=(uat-1) already exists.",
        "the database is not available: try later",
        "blocked: 3 requests",
        "the answer had input_tokens=1200 output_tokens=85",
        "setting key=min_confidence",
        'password authentication failed for user "trader"',
        "secret=None token: null",
        "basic settings of the market",
        "http://127.0.0.1:8080/health?at=12:30",
        "order uat-0190a1b2-1234-7abc-8def-0123456789ab",
        "sha256 " + "a1b2" * 16,
        "run 0190a1b212347abc8def0123456789ab",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "File /home/User1/upbit-ai-trader/service/flows/execute.py, line 12",
        "2026-11-22T20:55:01.886Z price 100000000 volume 0.00123456",
        "volume_24h: 123.4, acc_trade_volume_24h=5, market_volume=6, candle_volume: 7",
        "rows_total=12 total_ms=5 cost_usd=0.0023 fee_ratio: 0.0005",
        "reason=insufficient_funds_bid: the account holds too little money",
        "900 MiB free of 2000 MiB, 5 orders in the last hour",
        "PostgreSQL has used 12 of 20 connections in total: try again",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert scrub(text) == text


@given(
    name=st.sampled_from(["api_key", "secret", "password", "token", "cookie", "balance"]),
    digits=st.integers(10**9, 10**18),
)
def test_no_printed_dictionary_shows_a_telling_value(name: str, digits: int) -> None:
    printed = str({"a": 1, name: str(digits), "nested": [{name: str(digits)}]})
    encoded = json.dumps({"body": json.dumps({name: str(digits)})})

    assert str(digits) not in scrub(printed)
    assert str(digits) not in scrub(encoded)
