"""What the handlers find in the application; they know the keys of web/keys.py and nothing else."""

import asyncio
from functools import partial

from aiohttp import web

from service.app.job_control import flatten_now, reconcile_now, run_job
from service.app.services import Services
from service.flows.shared_answer import SHOWN_FOR_S, SharedAnswer
from service.web import keys
from service.web.protocol.auth import LOCKOUT
from service.web.protocol.lockout import Lockout


def bind(app: web.Application, services: Services) -> None:
    """Give the handlers what they need of `services`."""
    process, ports = services.process, services.ports
    app[keys.CONFIG], app[keys.REAL_CLOCK] = process.config, process.real_clock
    app[LOCKOUT] = Lockout(process.real_clock.monotonic)
    app[keys.CLOCK] = ports.clock
    app[keys.HEALTH] = services.health
    app[keys.LIVE] = services.live.figures
    app[keys.LISTS] = ports.api.lists
    app[keys.ORDERS] = ports.api.orders
    app[keys.BALANCES] = SharedAnswer(
        ports.watching.balances, max_age_s=SHOWN_FOR_S, seconds=process.real_clock.monotonic
    ).get
    app[keys.SETTINGS] = ports.settings
    app[keys.DATABASE] = ports.database
    app[keys.JOBS] = services.jobs
    app[keys.AUDIT] = ports.api.audit
    app[keys.ACKNOWLEDGEMENTS] = ports.api.acknowledgements
    app[keys.GENERATE] = services.pipeline.generate
    app[keys.PLACE_ORDER] = services.manual_orders.place
    app[keys.CANCEL_ORDER] = services.order_cancels.request
    app[keys.DECLARE_NOT_PLACED] = services.not_placed_orders.declare
    app[keys.EXTERNAL_ORDERS] = services.open_orders.get
    app[keys.RECONCILE] = partial(
        reconcile_now, services.leadership, services.reconciler, asyncio.Lock()
    )
    app[keys.TRADING_SWITCH] = services.trading_switch
    app[keys.DAILY_LOSS] = services.limits.daily_loss
    app[keys.VOLATILITY] = services.limits.volatility
    app[keys.LEADERSHIP] = services.leadership
    app[keys.PROTECTOR] = services.protection.protector
    app[keys.FLATTENER] = services.flattener
    app[keys.FLATTEN] = partial(flatten_now, services.maintenance, services.flattener)
    app[keys.RUN_JOB] = partial(run_job, services.jobs, services.leadership)
    app[keys.STATISTICS] = ports.api.statistics
    app[keys.PORTFOLIO] = ports.api.portfolio
    app[keys.ACCOUNT_LISTS], app[keys.DEPOSITS] = ports.api.account, ports.api.deposits
    app[keys.MACHINE] = services.machine.body
    app[keys.EXPOSITION] = services.metrics_text
