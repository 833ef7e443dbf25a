"""Binds protection, and declares what repeats for it."""

from functools import partial
from math import inf

from service.app.services import BoundProtection, Ports, Process, Services
from service.app.unstored_exits import bind_unstored_orders
from service.bus import Bus, FillsFound, OrderFilled
from service.flows.alerts.monitor import AlertMonitor
from service.flows.execute import Executor
from service.flows.exits import Exits
from service.flows.follow_exits import ExitFollower
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.order_cancels import OrderCancels
from service.flows.protect import STEP_EVERY_S, Protector
from service.flows.reconcile import Reconciler
from service.flows.trading_switch import TradingSwitch
from service.flows.watched_positions import WatchedPositions
from service.loops.loop import Loop, every


def bind_protection(
    process: Process,
    ports: Ports,
    *,
    bus: Bus,
    executor: Executor,
    reconciler: Reconciler,
    cancels: OrderCancels,
    leadership: Leadership,
    trading_switch: TradingSwitch,
    live_prices: LivePrices,
    alert_monitor: AlertMonitor,
) -> BoundProtection:
    positions, open_sales = WatchedPositions(), executor.open_sales
    unstored_orders = bind_unstored_orders(
        process,
        ports,
        reconciler=reconciler,
        leadership=leadership,
        trading_switch=trading_switch,
        open_sales=open_sales,
        alert_monitor=alert_monitor,
    )
    protector = Protector(
        positions=positions,
        orders=ports.store.orders,
        rows=ports.store.protections,
        market_data=ports.store.market_data,
        prices=live_prices,
        exchange=ports.watching,
        open_sales=open_sales,
        leadership=leadership,
        switch=trading_switch,
        settings=ports.settings,
        alerts=alert_monitor,
        unprotected=unstored_orders.unprotected,
        clock=ports.clock,
        real_clock=process.real_clock,
    )
    live_prices.subscribe(protector.hear)
    bus.subscribe(OrderFilled, protector.filled)
    bus.subscribe(FillsFound, protector.found)
    follower = ExitFollower(
        positions=positions,
        exits=Exits(executor=executor, unstored_orders=unstored_orders),
        open_sales=open_sales,
        cancels=cancels,
        exchange=ports.exchange,
        prices=live_prices,
        switch=trading_switch,
        real_clock=process.real_clock,
    )
    # Before any fill is booked: from then on fills move what is watched.
    leadership.settle_first(protector.load)
    return BoundProtection(protector=protector, follower=follower, unstored_orders=unstored_orders)


def protecting(services: Services) -> tuple[Loop, ...]:
    """Return the loops, by real time. What one of them waits for holds up no other."""
    protector = services.protection.protector
    return (
        # Sells until the end; should it ever break off, it begins again.
        Loop(
            name="protection.sell",
            every=every(seconds=1),
            step=partial(services.protection.follower.run, services.stopping),
            deadline_s=inf,
            is_job=False,
        ),
        *(
            Loop(
                name=f"protection.{name}",
                every=every(seconds=STEP_EVERY_S),
                step=step,
                is_job=False,
            )
            for name, step in (
                ("watch", protector.watch),
                ("keep", protector.keep),
                ("ask", protector.ask),
            )
        ),
    )
