"""Which events alert: the table, the page that says the same, and the words."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from service.domain.alerts import Alert, Recovery
from service.domain.orders import ExitRule, OrderStatus, Quarantine
from service.flows.alerts.rules import RULES, alert, order_notices, recovery, setting_notices
from service.ports.settings import SettingChange
from tests.builders import T0, an_intent, an_order

PAGE = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_page_has_the_same_table() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| `([^`]+)` \| .+ \| (yes|no) \|$", PAGE, re.MULTILINE
    )

    assert rows == [
        (event, rule.severity, rule.key, "yes" if rule.over else "no")
        for event, rule in RULES.items()
    ]


@pytest.mark.parametrize("event", [name for name, rule in RULES.items() if rule.over is None])
def test_an_event_without_duration_has_no_recovery(event: str) -> None:
    with pytest.raises(ValueError, match="has no duration"):
        recovery(event, at=T0)


def test_an_unknown_order_is_told_and_so_is_its_end() -> None:
    unknown = an_order(status=OrderStatus.UNKNOWN)
    executed = an_order(status=OrderStatus.EXECUTED)

    (begun,) = order_notices(unknown, OrderStatus.PENDING, T0)
    over = order_notices(executed, OrderStatus.UNKNOWN, T0)

    assert isinstance(begun, Alert)
    assert all(isinstance(notice, Recovery) for notice in over)
    # Whether it was put aside is not known here: the end of what did not begin changes nothing.
    assert [notice.key for notice in over] == ["order:uat-1:unknown", "order:uat-1:quarantined"]
    assert begun.key == "order:uat-1:unknown"


def test_an_order_that_is_put_aside_is_told_once_as_that() -> None:
    aside = an_order(status=OrderStatus.SUBMITTED).put_aside(
        Quarantine(at=T0, reason="over_fill", detail={"seen": "5000"})
    )

    (told,) = order_notices(aside, OrderStatus.SUBMITTED, T0)

    assert isinstance(told, Alert)
    assert (told.key, told.severity) == ("order:uat-1:quarantined", "critical")
    assert "over_fill" in told.body
    assert "5000" not in told.body
    assert order_notices(aside, OrderStatus.UNKNOWN, T0 + timedelta(seconds=1)) == []


def test_an_order_that_turned_up_is_told() -> None:
    found = an_order(status=OrderStatus.FAILED).recovered(OrderStatus.EXECUTED)

    (told,) = order_notices(found, OrderStatus.FAILED, T0)

    assert told.key == "order:uat-1:recovered"


def test_an_order_that_was_never_placed_ends_the_doubt_and_is_told_as_failed() -> None:
    failed = an_order(status=OrderStatus.FAILED, reason="not_placed")

    notices = order_notices(failed, OrderStatus.UNKNOWN, T0)

    assert [type(notice) for notice in notices] == [Recovery, Recovery, Alert]
    assert notices[2].key == "order:uat-1:failed"


@pytest.mark.parametrize("status", [OrderStatus.SUBMITTED, OrderStatus.EXECUTED])
def test_an_order_that_goes_well_is_no_alert(status: OrderStatus) -> None:
    assert not order_notices(an_order(status=status), OrderStatus.PENDING, T0)


def test_an_orders_alert_tells_no_amount() -> None:
    intent = an_intent(funds=Decimal(7654321))
    order = an_order(intent=intent, status=OrderStatus.FAILED, reason="insufficient_funds_bid")

    (notice,) = order_notices(order, OrderStatus.PENDING, T0)

    assert isinstance(notice, Alert)
    assert "insufficient_funds_bid" in notice.body
    assert "7654321" not in repr(notice)


def a_change(**overrides: object) -> SettingChange:
    values = {
        "key": "trading_enabled",
        "old": False,
        "new": True,
        "changed_by": "admin@127.0.0.1",
        "changed_at": T0,
    }
    return SettingChange(**values | overrides)  # type: ignore[arg-type]


def test_switching_trading_is_told_with_who_did_it() -> None:
    (on,) = setting_notices(a_change())
    (off,) = setting_notices(a_change(old=True, new=False))

    assert (on.title, off.title) == ("Trading is switched on", "Trading is switched off")
    assert isinstance(on, Alert)
    assert "admin@127.0.0.1" in on.body
    assert not on.lasts


@pytest.mark.parametrize(
    "change",
    [
        a_change(key="min_confidence", new="0.7"),
        a_change(changed_by="system:first-start"),
        pytest.param(a_change(new=False), id="the default is stored, and was in force before"),
    ],
)
def test_other_settings_the_first_start_and_an_equal_value_are_no_news(
    change: SettingChange,
) -> None:
    assert not setting_notices(change)


def test_a_name_with_braces_is_no_template() -> None:
    told = alert("job_given_up", at=T0, job="{0.__class__}", error="{x}", attempts=1)

    assert told.title == "Job {0.__class__} fails"


def test_a_stop_that_sold_is_told_once() -> None:
    sold = an_order(status=OrderStatus.EXECUTED, rule=ExitRule.TRAILING_STOP)

    (told,) = order_notices(sold, OrderStatus.SUBMITTED, T0)

    assert isinstance(told, Alert)
    assert (told.key, told.title) == ("order:uat-1:executed", "The trailing stop sold in KRW-BTC")
    assert order_notices(sold, OrderStatus.EXECUTED, T0) == []
