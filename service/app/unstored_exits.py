"""Binds what sells while the database is away, and declares what repeats for it."""

from functools import partial

from service.app.services import Ports, Process, Services
from service.flows.alerts.monitor import AlertMonitor
from service.flows.leadership import Leadership
from service.flows.open_sales import OpenSales
from service.flows.reconcile import Reconciler
from service.flows.trading_switch import TradingSwitch
from service.flows.unstored_orders import LOOK_EVERY_S, UnstoredOrders
from service.loops.loop import Loop, every


def bind_unstored_orders(
    process: Process,
    ports: Ports,
    *,
    reconciler: Reconciler,
    leadership: Leadership,
    trading_switch: TradingSwitch,
    open_sales: OpenSales,
    alert_monitor: AlertMonitor,
) -> UnstoredOrders:
    unstored_orders = UnstoredOrders(
        journal=ports.exit_journal,
        orders=ports.store.orders,
        exchange=ports.exchange,
        reconciler=reconciler,
        leadership=leadership,
        trading_switch=trading_switch,
        open_sales=open_sales,
        clock=ports.clock,
        real_clock=process.real_clock,
        # Its processes share one folder, and so the journal; those of another server may not.
        is_alone=ports.own_server is not None,
        tell=alert_monitor.positions_unprotected,
        tell_damage=alert_monitor.exit_journal_damaged,
    )
    # What was sent without a row is one of the orders that are settled next.
    leadership.settle_first(unstored_orders.begin)
    return unstored_orders


def storing_exits(services: Services) -> tuple[Loop, ...]:
    """Return the loops, by real time. A database that hangs holds up the first one alone."""
    return (
        Loop(
            name="exits.store",
            every=every(seconds=LOOK_EVERY_S),
            step=services.unstored_orders.step,
            is_job=False,
        ),
        Loop(
            name="exits.watch",
            every=every(seconds=LOOK_EVERY_S),
            step=partial(_watch, services),
            is_job=False,
        ),
    )


async def _watch(services: Services) -> None:
    await services.unstored_orders.watch(services.protection.protector.unsold())
