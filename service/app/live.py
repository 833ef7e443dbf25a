"""What the exchange tells by itself, bound: the prices that are believed, and the two streams."""

from datetime import timedelta
from functools import partial
from math import inf
from typing import Final

from service.app.services import Live, Ports, Process, Services
from service.flows.leadership import Leadership
from service.flows.live_feed import LiveFeed
from service.flows.live_orders import LiveOrders
from service.flows.live_prices import LivePrices
from service.flows.reconcile import Reconciler
from service.loops.loop import Loop, every
from service.loops.runner import Runner

SYNC_ORDERS: Final = "sync_pending_orders"  #: the job that looks up every open order
CHECK_PRICES: Final = "prices.check"
PRICE_LIMITS: Final = "prices.limits"


def bound_live(
    process: Process,
    ports: Ports,
    reconciler: Reconciler,
    leadership: Leadership,
    runners: tuple[Runner, Runner],
) -> Live:
    """Bind them; nothing is opened here. Args: runners: of the jobs, and for maintenance."""
    jobs, maintenance = runners
    prices = LivePrices(
        clock=ports.clock,
        settings=ports.settings,
        # As for the clocks of the reconciler: in a fast market seconds are minutes.
        price_lasts=timedelta(seconds=10) * ports.speed if ports.speed > 1 else timedelta(),
        on_jump=partial(maintenance.nudge, CHECK_PRICES),
    )
    return Live(
        prices=prices,
        feed=LiveFeed(
            streams=ports.streams,
            exchange=ports.watching,
            live_prices=prices,
            markets=process.config.markets,
            real_clock=process.real_clock,
            # With the database away the lease lapses, and positions go on being watched.
            leads=lambda: leadership.is_last_known_owner,
        ),
        orders=LiveOrders(
            streams=ports.streams,
            look=reconciler.look,
            look_at_all=partial(jobs.nudge, SYNC_ORDERS),
            real_clock=process.real_clock,
            leads=lambda: leadership.may_trade,
        ),
    )


def live_loops(services: Services) -> tuple[Loop, ...]:
    """Return what hears the exchange's streams: a pass lasts as long as its connection."""
    live = services.live
    return (
        Loop(
            name="feed.prices",
            every=every(seconds=1),
            step=partial(live.feed.step, services.stopping),
            deadline_s=inf,
            is_job=False,
        ),
        Loop(
            name="feed.orders",
            every=every(seconds=1),
            step=partial(live.orders.step, services.stopping),
            deadline_s=inf,
            is_job=False,
            needs_lease=True,
        ),
        Loop(
            name="feed.watch", every=every(seconds=1), step=partial(_watch, services), is_job=False
        ),
    )


async def _watch(services: Services) -> None:
    """Tell of a lost stream of prices, and look whether an open one is too quiet."""
    feed = services.live.feed
    is_lost, unheard = feed.is_lost, feed.unheard
    services.health.note("upbit_api", "feed_lost", holds=is_lost or bool(unheard))
    services.alert_monitor.feed_seen(
        is_lost=is_lost, markets=services.process.config.markets, unheard=unheard
    )
    await feed.watch()
