"""What is seen in memory, and when it is told."""

import pytest

from service.domain.alerts import Alert, Notice, Recovery
from service.domain.errors import ExchangeUnavailable, StoreDown
from service.domain.orders import OrderStatus
from service.domain.stuck_orders import ADVICE
from service.flows.alerts.buffer import MOST, AlertBuffer
from service.flows.alerts.monitor import UNUSABLE_IN_A_ROW, AlertMonitor
from service.ports.health import UNREAD, ComponentBody, StuckOrders
from tests.builders import KRW_BTC, T0
from tests.fakes.alerts import FakeOutbox
from tests.fakes.clock import FakeClock
from tests.fakes.health import FakeHealth, a_component
from tests.fakes.logs import Logs
from tests.unit.ops.facts import an_open_order


class Post:
    """A lookout, and what reaches the outbox."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.alert_buffer = AlertBuffer()
        self.outbox = FakeOutbox()
        self.alert_monitor = AlertMonitor(alert_buffer=self.alert_buffer, clock=self.clock)
        self.health = FakeHealth()

    async def told(self) -> list[str]:
        """Return the titles that reached the outbox since the last time."""
        before = len(self.outbox.notices)
        await self.alert_buffer.store(self.outbox)
        return [notice.title for notice in self.outbox.notices[before:]]

    def show(self, component: str, **body: object) -> None:
        part: ComponentBody = a_component(**body)
        self.health.snapshot["components"][component] = part
        self.alert_monitor.look(self.health)

    def trade(self, state: str, reason: str | None = None) -> None:
        self.health.snapshot["trading"] = {
            "state": state,
            "reason": reason,
            "since": None,
            "age_seconds": 0,
        }
        self.alert_monitor.look(self.health)


@pytest.fixture
def post() -> Post:
    return Post()


def fail(post: Post, error: Exception | None) -> None:
    post.alert_monitor.job_ended("collect", error=error, attempts=4)


async def test_a_job_that_is_given_up_is_told_and_so_is_its_recovery(post: Post) -> None:
    fail(post, ExchangeUnavailable("Upbit answered 503", code="http_503"))
    fail(post, None)
    fail(post, None)

    assert await post.told() == ["Job collect fails", "Job collect works again"]
    first = post.outbox.notices[0]
    assert isinstance(first, Alert)
    assert (first.key, first.at) == ("job:collect", T0)
    assert first.body.startswith("ExchangeUnavailable (http_503), given up after 4 attempt(s).")


async def test_a_job_that_always_worked_is_never_told(post: Post) -> None:
    fail(post, None)

    assert await post.told() == []


async def test_an_errors_own_text_is_not_told(post: Post) -> None:
    fail(post, KeyError("canary-1f3a"))

    await post.told()
    assert "canary" not in repr(post.outbox.notices)


async def test_every_failed_pass_reaches_the_outbox_which_counts_them(post: Post) -> None:
    fail(post, StoreDown())
    await post.told()
    fail(post, StoreDown())

    assert await post.told() == ["Job collect fails"]


async def test_the_end_of_a_problem_of_the_process_before_is_told(post: Post) -> None:
    post.alert_monitor.inherit({"job:collect", "component:upbit_api"})

    fail(post, None)
    post.alert_monitor.look(post.health)

    assert await post.told() == ["Job collect works again", "upbit_api is healthy again"]


async def test_a_lost_stream_and_a_market_that_it_does_not_tell_are_told_once_and_their_ends(
    post: Post,
) -> None:
    for _ in range(3):
        post.alert_monitor.feed_seen(is_lost=True, markets=[KRW_BTC], unheard=())
    for unheard in ([KRW_BTC], [KRW_BTC], []):
        post.alert_monitor.feed_seen(is_lost=False, markets=[KRW_BTC], unheard=unheard)

    assert await post.told() == [
        "The exchange's stream of prices is away",
        "The exchange's stream of prices is back",
        "The exchange's stream tells no price of KRW-BTC",
        "The exchange's stream tells prices of KRW-BTC",
    ]


async def test_one_unusable_answer_is_chance_and_three_are_told(post: Post) -> None:
    for _ in range(UNUSABLE_IN_A_ROW - 1):
        post.alert_monitor.model_answered(usable=False, why="not_json")
    post.alert_monitor.model_answered(usable=True)
    quiet = await post.told()

    for _ in range(UNUSABLE_IN_A_ROW):
        post.alert_monitor.model_answered(usable=False, why="not_json")
    post.alert_monitor.model_answered(usable=True)

    assert quiet == []
    assert await post.told() == [
        "The model's answers are unusable",
        "The model's answers are usable again",
    ]


async def test_a_sick_component_is_told_once_until_it_is_healthy(post: Post) -> None:
    for _ in range(3):
        post.show("upbit_api", status="unhealthy", message="It cannot be reached.")
    post.show("upbit_api", status="warning")
    post.show("upbit_api", status="healthy")

    assert await post.told() == ["upbit_api is unhealthy", "upbit_api is healthy again"]


async def test_a_component_that_only_warns_is_not_told(post: Post) -> None:
    post.show("recent_signal", status="warning", reason="signal_older_than_1h")

    assert await post.told() == []


async def test_a_halt_is_told_and_its_end_but_not_while_another_process_trades(post: Post) -> None:
    post.trade("HALTED", "volatility")
    post.trade("HALTED", "volatility")
    halted = await post.told()
    post.trade("ACTIVE")

    assert halted == ["Trading is halted"]
    assert await post.told() == ["Trading is no longer halted"]


async def test_a_halt_that_becomes_milder_is_told_as_over_and_what_still_stands(
    post: Post,
) -> None:
    post.trade("REDUCING", "clock_skew")
    post.trade("HALTED", "by hand")
    stricter = await post.told()
    post.trade("REDUCING", "clock_skew")
    milder = await post.told()
    post.trade("ACTIVE")

    assert stricter == ["Purchases are halted", "Trading is halted"]
    assert milder == ["Trading is no longer halted"]
    assert await post.told() == ["Purchases are no longer halted"]


async def test_losing_the_lease_is_told_and_standing_by_from_the_start_is_not(post: Post) -> None:
    post.trade("STANDBY", "starting")
    at_first = await post.told()
    post.trade("ACTIVE")
    post.trade("STANDBY", "no_trading_lease")
    post.trade("STANDBY", "no_trading_lease")

    assert at_first == []
    assert await post.told() == ["This process no longer trades"]


# --- the inbox -----------------------------------------------------------------------------------


def a_notice(number: int = 1) -> Alert:
    return Alert(key=f"k{number}", severity="error", title=f"t{number}", body="", at=T0)


async def test_the_same_problem_waits_once_and_its_end_behind_it(post: Post) -> None:
    over = Recovery(key="k1", title="over", at=T0)
    notices: list[Notice] = [a_notice(), a_notice(), over, over, a_notice()]
    for notice in notices:
        post.alert_buffer.add(notice)

    assert await post.told() == ["t1", "over", "t1"]


async def test_what_could_not_be_stored_waits_for_the_next_time(post: Post) -> None:
    post.alert_buffer.add(a_notice(1))
    post.alert_buffer.add(a_notice(2))
    post.outbox.fail = StoreDown()
    with pytest.raises(StoreDown):
        await post.told()

    post.outbox.fail = None

    assert await post.told() == ["t1", "t2"]


async def test_a_flood_without_a_database_keeps_what_came_first(post: Post) -> None:
    for number in range(MOST + 50):
        post.alert_buffer.add(a_notice(number))

    assert await post.told() == [f"t{number}" for number in range(MOST)]


# --- orders that are not final -------------------------------------------------------------------


def found(post: Post, *identifiers: str, reading: int, is_whole: bool = True) -> None:
    """Show the stuck orders of one reading."""
    orders = tuple(an_open_order(identifier=identifier) for identifier in identifiers)
    post.health.stuck = StuckOrders(orders, is_whole, reading)
    post.alert_monitor.look(post.health)


async def test_an_order_beyond_its_bound_is_told_once_with_what_to_do_and_so_is_its_end(
    post: Post, logs: Logs
) -> None:
    for reading in (1, 2, 3):
        found(post, "uat-1", reading=reading)
    found(post, reading=4)
    found(post, reading=5)

    assert await post.told() == [
        "An order is not final long after it should be",
        "An order that was not final is final",
    ]
    first, over = post.outbox.notices
    assert isinstance(first, Alert)
    assert first.key == over.key == "order:uat-1:stuck"
    assert first.body == (
        "Order uat-1 (BUY KRW-BTC) is UNKNOWN, and its market makes no other order."
        f" {ADVICE[OrderStatus.UNKNOWN]}"
    )
    assert logs.levels == ["WARNING", "INFO"]


async def test_an_order_that_is_put_aside_has_its_own_alert_and_no_second_one(post: Post) -> None:
    for reading in (1, 2):
        aside = (an_open_order(is_aside=True),)
        post.health.stuck = StuckOrders(aside, is_whole=True, reading=reading)
        post.alert_monitor.look(post.health)

    assert await post.told() == []


async def test_one_reading_looked_at_twice_is_one_reading(post: Post) -> None:
    """In a fast market an order passes its bound while its answer is on the way."""
    found(post, "uat-1", reading=1)
    found(post, "uat-1", reading=1)
    found(post, reading=2)

    assert await post.told() == []


async def test_while_orders_cannot_be_read_none_is_over(post: Post) -> None:
    found(post, "uat-1", reading=1)
    found(post, "uat-1", reading=2)
    post.health.stuck = None
    post.alert_monitor.look(post.health)
    found(post, reading=3, is_whole=False)

    assert await post.told() == ["An order is not final long after it should be"]


async def test_an_order_that_became_final_between_two_processes_is_told(post: Post) -> None:
    post.alert_monitor.inherit(["order:uat-1:stuck", "order:uat-2:unknown", "job:collect"])
    found(post, reading=1)

    assert await post.told() == ["An order that was not final is final"]
    assert post.outbox.notices[0].key == "order:uat-1:stuck"


async def test_a_trading_state_that_is_not_known_ends_and_begins_nothing(post: Post) -> None:
    post.trade("STANDBY")
    post.trade(UNREAD)
    post.trade("STANDBY")
    post.trade("HALTED", "by hand")
    post.trade(UNREAD)

    assert await post.told() == ["Trading is halted"]


# --- the database is away for long ---------------------------------------------------------------


async def test_a_problem_that_found_no_place_is_told_as_soon_as_there_is_one(post: Post) -> None:
    for n in range(MOST):
        post.alert_monitor.job_ended(f"job-{n}", error=StoreDown(), attempts=1)
    post.show("gemini_api", status="unhealthy", message="late")
    first = await post.told()
    post.show("gemini_api", status="unhealthy", message="late")

    assert "gemini_api is unhealthy" not in first
    assert await post.told() == ["gemini_api is unhealthy"]


async def test_a_grave_problem_takes_the_place_of_a_milder_one(post: Post) -> None:
    for n in range(MOST):
        post.alert_monitor.job_ended(f"job-{n}", error=StoreDown(), attempts=1)
    post.trade("HALTED", "by hand")

    told = await post.told()
    assert "Trading is halted" in told
    assert f"Job job-{MOST - 1} fails" not in told


async def test_a_recovery_that_found_no_place_is_noticed_again(post: Post) -> None:
    post.trade("HALTED", "by hand")
    await post.told()
    for n in range(MOST):
        post.alert_monitor.inherit([f"job:job-{n}"])
        post.alert_monitor.job_ended(f"job-{n}", error=None, attempts=1)
    post.trade("ACTIVE")
    first = await post.told()
    post.trade("ACTIVE")

    assert "Trading is no longer halted" not in first
    assert await post.told() == ["Trading is no longer halted"]


async def test_a_disk_that_fills_up_is_told_at_each_bound_and_over_well_below_it(
    post: Post,
) -> None:
    seen = []
    for used_pct in (69.9, 70, 71, 90, 89, 70, 69, 68, 67.9, 95):
        post.alert_monitor.disk_used(used_pct)
        seen.append((used_pct, await post.told()))

    fills, full = (
        "The disk of the data directory fills up",
        "The disk of the data directory is nearly full",
    )
    assert [(used_pct, told) for used_pct, told in seen if told] == [
        (70, [fills]),
        (90, [full]),
        (70, ["The disk of the data directory is no longer nearly full"]),
        (67.9, ["The disk of the data directory has room again"]),
        (95, [fills, full]),
    ]
