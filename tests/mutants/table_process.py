"""What the composed process has, does again and again, and gives back at its end."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_JOBS: Final = "service/app/jobs.py"
_RESOURCES: Final = "service/app/resources.py"
_BOOTSTRAP: Final = "service/app/bootstrap.py"
_MODEL: Final = "service/app/observed_model.py"
_LISTEN: Final = "service/store/database/listen.py"
_CACHE: Final = "service/settings/cache.py"
_OF_JOBS: Final = "tests/unit/app/test_jobs.py"
_OF_LISTENING: Final = "tests/integration/app/test_listening.py"
_OF_RESOURCES: Final = "tests/integration/app/test_resources.py"
_OF_POOL: Final = "tests/integration/store/database/test_pool.py"
_OF_SETTINGS: Final = "tests/integration/settings/test_settings.py"
_OF_BOOTSTRAP: Final = "tests/unit/app/test_bootstrap.py"
_OF_SHUTDOWN: Final = "tests/e2e/test_shutdown.py"
_OF_CRASHES: Final = "tests/unit/test_crashpoints.py"
_ALERTS: Final = of(
    _OF_RESOURCES, "test_what_becomes_of_an_order_a_halt_and_the_trading_switch_are_alerts"
)

PROCESS: Final = (
    Mutant(
        name="a pass that did nothing without the lease counts as a recovery",
        file="service/loops/runner.py",
        old="        return not (did_nothing and before.consecutive_failures)\n",
        new="        return True\n",
        tests=of(
            "tests/unit/loops/test_runner.py",
            "test_a_pass_that_does_nothing_without_the_lease_is_no_recovery",
        ),
    ),
    Mutant(
        name="the runner does not hear that the lease is gone",
        file=_BOOTSTRAP,
        old="        return not leadership.may_trade\n",
        new="        return False\n",
        tests=of(_OF_JOBS, "test_a_job_that_failed_has_not_recovered_by_a_pass_without_the_lease"),
    ),
    Mutant(
        name="a standby shows what failed while it traded for ever",
        file=_JOBS,
        old="            runner.forget_failures()\n",
        new="            pass\n",
        tests=of(_OF_JOBS, "test_a_job_that_failed_has_not_recovered_by_a_pass_without_the_lease"),
    ),
    Mutant(
        name="real money's process kills itself at a crash point",
        file="service/config.py",
        old="if self.mode is not Mode.SANDBOX and self.crashpoint is not None:",
        new="if self.mode is Mode.PAPER and self.crashpoint is not None:",
        tests=of(_OF_CRASHES, "test_only_the_sandbox_arms_a_point"),
    ),
    Mutant(
        name="a crash point that does not exist is armed, and never comes",
        file="service/config.py",
        old="            planned_crash(value)\n        return value\n",
        new="            pass\n        return value\n",
        tests=of(_OF_CRASHES, "test_the_configuration_refuses_an_unknown_point"),
    ),
    Mutant(
        name="health does not see that no orders go out",
        file="service/app/health_wiring.py",
        old="        ports.exchange.check_orders()\n",
        new="",
        tests=of(
            "tests/unit/app/test_health_wiring.py",
            "test_a_hold_of_orders_alone_shows_although_upbit_answers_all_that_health_asks",
        ),
    ),
    Mutant(
        name="the Upbit session is never closed",
        file=_RESOURCES,
        old="    async with _exchange_session() as session, _exchange_session() as watching:\n",
        new=(
            "    session = _exchange_session()\n    async with _exchange_session() as watching:\n"
        ),
        tests=of(
            _OF_SHUTDOWN, "test_sigterm_during_an_order_waits_for_it_however_often_it_is_repeated"
        ),
    ),
    *(
        Mutant(
            name=f"the API's share of the pool is {share}",
            file=_RESOURCES,
            old="POOL_API: Final = 12\n",
            new=f"POOL_API: Final = {share}\n",
            tests=of(_OF_RESOURCES, "test_the_composed_pool_and_its_shares_are_what_the_docs_say"),
        )
        for share in (9, 4)
    ),
    Mutant(
        name="the pool's size is 30",
        file=_RESOURCES,
        old="POOL_MAX: Final = 20  #",
        new="POOL_MAX: Final = 30  #",
        tests=of(_OF_RESOURCES, "test_the_composed_pool_and_its_shares_are_what_the_docs_say"),
    ),
    Mutant(
        name="the jobs' share of the pool is 8",
        file=_RESOURCES,
        old="POOL_JOBS: Final = 3\n",
        new="POOL_JOBS: Final = 8\n",
        tests=of(_OF_RESOURCES, "test_the_composed_pool_and_its_shares_are_what_the_docs_say"),
    ),
    Mutant(
        name="a LISTEN that comes back clears nothing",
        file=_LISTEN,
        old="                await self._reconnected()\n",
        new="",
        tests=of(
            _OF_SETTINGS,
            "test_what_was_changed_while_nobody_listened_is_seen_when_the_connection_is_back",
        ),
    ),
    Mutant(
        name="the composed LISTEN that comes back clears nothing",
        file=_JOBS,
        old="        await settings.trust()\n",
        new="        await asyncio.sleep(0)\n",
        tests=of(_OF_LISTENING),
    ),
    Mutant(
        name="the composed LISTEN hears nothing",
        file=_JOBS,
        old="heard=settings.invalidate,",
        new="heard=partial(asyncio.sleep, 0),",
        tests=of(_OF_LISTENING),
    ),
    Mutant(
        name="a change of a setting notifies nobody",
        file="service/store/tables/settings.py",
        old="    SELECT pg_notify(%(channel)s, key)\n",
        new="    SELECT %(channel)s, key\n",
        tests=of(_OF_SETTINGS, "test_a_change_in_one_process_is_seen_by_the_other"),
    ),
    Mutant(
        name="a value read before a change is kept after it",
        file=_CACHE,
        old="        if self._generations[name] == generation:\n",
        new="        if True:\n",
        tests=of(
            "tests/unit/settings/test_cache.py",
            "test_a_value_read_before_an_invalidation_is_not_kept_after_it",
        ),
    ),
    Mutant(
        name="collecting every 60 s",
        file=_JOBS,
        old="every=every(seconds=10),\n            step=collecting,",
        new="every=every(seconds=60),\n            step=collecting,",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="syncing every 50 min",
        file=_JOBS,
        old="AT_REST: Final = timedelta(minutes=5)\n",
        new="AT_REST: Final = timedelta(minutes=50)\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="an order in flight is followed no faster",
        file=_JOBS,
        old="        return IN_FLIGHT\n",
        new="        return AT_REST\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="the end does not wait for passes",
        file=_JOBS,
        old="        await scheduler.wait_and_close(timeout=deadline.left_s(PASSES_BY_S))\n",
        new="",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="a failed job is no alert",
        file="service/app/pass_record.py",
        old="    if counts and result.job != SENDER:",
        new="    if False:",
        tests=of("tests/unit/app/test_counted_signals.py"),
    ),
    Mutant(
        name="passes by hand look orders up beside each other",
        file="service/app/job_control.py",
        old="    if passing.locked():\n",
        new="    if False:\n",
        tests=of(
            "tests/unit/app/test_job_control.py",
            "test_one_pass_by_hand_looks_orders_up_at_a_time",
        ),
    ),
    Mutant(
        name="a standby looks orders up by hand",
        file="service/app/job_control.py",
        old="    leadership.check()\n    if passing.locked():\n",
        new="    if passing.locked():\n",
        tests=of("tests/unit/app/test_job_control.py", "test_a_standby_looks_no_order_up_by_hand"),
    ),
    Mutant(
        name="a standby collects and trades",
        file=_JOBS,
        old="        if leadership.may_trade:\n            await all_markets.step()\n",
        new="        if True:\n            await all_markets.step()\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="the lease is not given back at the end",
        file=_JOBS,
        old="            await services.leadership.resign()\n",
        new="            pass\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="sandbox and live may share a database",
        file=_RESOURCES,
        old="    if owner != mode.value:\n",
        new="    if False:\n",
        tests=of(_OF_RESOURCES, "test_a_database_of_play_money_is_refused_to_real_money"),
    ),
    Mutant(
        name="live trading begins switched on",
        file=_RESOURCES,
        old="    if config.mode is not Mode.LIVE:\n",
        new="    if True:\n",
        tests=of(_OF_RESOURCES),
    ),
    Mutant(
        name="one connection is opened before the port is",
        file=_RESOURCES,
        old="POOL_MIN: Final = 10  #",
        new="POOL_MIN: Final = 1  #",
        tests=of(_OF_RESOURCES, "test_the_composed_pool_and_its_shares_are_what_the_docs_say"),
    ),
    Mutant(
        name="a transaction's isolation level is the session's default",
        file="service/store/database/cursor.py",
        old='READ_COMMITTED = "BEGIN ISOLATION LEVEL READ COMMITTED"',
        new='READ_COMMITTED = "BEGIN"',
        tests=of(
            _OF_POOL, "test_a_transaction_names_its_isolation_and_leaves_nothing_to_the_session"
        ),
    ),
    Mutant(
        name="a session's isolation level is the server's default",
        file="service/store/database/dsn.py",
        old='    "default_transaction_isolation": "read committed",\n',
        new="",
        tests=of(
            _OF_POOL,
            "test_isolation_is_ours_whatever_the_server_and_the_address_have_for_a_default",
        ),
    ),
    Mutant(
        name="a commit does not wait for the disk where the server is lazy",
        file="service/store/database/dsn.py",
        old='    "synchronous_commit": "on",\n',
        new="",
        tests=of(
            _OF_POOL,
            "test_a_commit_waits_for_the_disk_whatever_the_server_and_the_address_say",
        ),
    ),
    Mutant(
        name="a new leader settles nothing",
        file=_BOOTSTRAP,
        old="on_gain=settle_past",
        new="on_gain=ports.store.orders.open",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="the model's circuit stands before purchases",
        file=_BOOTSTRAP,
        old="        circuit=circuits.purchases,\n",
        new="        circuit=circuits.model,\n",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="the model is asked past the circuits that health shows",
        file=_BOOTSTRAP,
        old="                circuits=circuits.model,\n",
        new="                circuits=_circuits(ports).model,\n",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="a market at full speed runs on while its jobs work",
        file=_JOBS,
        old=", loop_context=services.ports.loop_context\n",
        new="\n",
        tests=of(_OF_JOBS, "test_the_context_of_the_market_surrounds_each_job_and_nothing_else"),
    ),
    Mutant(
        name="the market at full speed has no loop context",
        file=_RESOURCES,
        old="        loop_context=clock.participant,\n",
        new="",
        tests=of(_OF_RESOURCES, "test_a_loop_of_a_market_at_full_speed_holds_its_time_back"),
    ),
    Mutant(
        name="time in which the machine slept does not count",
        file="service/adapters/clock.py",
        old='getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)',
        new="time.CLOCK_MONOTONIC",
        tests=of(
            "tests/unit/adapters/test_clock.py", "test_time_in_which_the_machine_slept_counts"
        ),
    ),
    Mutant(
        name="cleaning up believes our clock",
        file=_BOOTSTRAP,
        old="        ahead_s=lambda: ports.account.clock_skew_s,\n",
        new="",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="signals are not counted",
        file=_BOOTSTRAP,
        old="    bus.subscribe(SignalMade, made)\n",
        new="",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="useless answers of the model are told nobody",
        file=_MODEL,
        old="        self._alert_monitor.model_answered(usable=usable, why=answer.why)\n",
        new="",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="health does not hear of the model's refusals",
        file=_MODEL,
        old='                self._health.heard_from("gemini_api", error=exc)\n',
        new="                pass\n",
        tests=of(_OF_BOOTSTRAP),
    ),
    Mutant(
        name="a standby that takes over waits for its next look at orders",
        file=_JOBS,
        old="        services.jobs.nudge(SYNC)\n\n\n",
        new="        pass\n\n\n",
        tests=of(_OF_JOBS, "test_a_standby_that_takes_over_looks_at_open_orders_at_once"),
    ),
    Mutant(
        name="an order that was sent is not followed at once",
        file=_JOBS,
        old="            services.jobs.nudge(SYNC)\n",
        new="            pass\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="what becomes of an order is no alert",
        file=_RESOURCES,
        old="orders=PgOrders(pool, notices=order_notices),",
        new="orders=PgOrders(pool),",
        tests=_ALERTS,
    ),
    Mutant(
        name="a halt is no alert",
        file=_RESOURCES,
        old="state = PgTradingState(pool, notices=risk_notices)\n",
        new="state = PgTradingState(pool)\n",
        tests=_ALERTS,
    ),
    Mutant(
        name="the trading switch is no alert",
        file=_RESOURCES,
        old="changing=database.changes_pool, notices=setting_notices)",
        new="changing=database.changes_pool)",
        tests=_ALERTS,
    ),
    Mutant(
        name="readers who hold the API's connections keep the switch out",
        file=_RESOURCES,
        old="changing=database.changes_pool,",
        new="changing=database.api_pool,",
        tests=of(
            "tests/integration/app/test_shares.py",
            "test_readers_who_hold_all_of_the_apis_connections_do_not_keep_the_off_switch_out",
        ),
    ),
    Mutant(
        name="the end sends no alert",
        file="service/app/serve.py",
        old="        await flush(services.alert_sender, within_s=deadline.left_s(ALERTS_BY_S))\n",
        new="",
        tests=of(
            "tests/e2e/test_alerts.py",
            "test_an_outage_reaches_the_webhook_once_and_so_does_its_end",
        ),
    ),
    Mutant(
        name="the last passes are not on record",
        file="service/app/serve.py",
        old="            await services.recorder.flush()\n",
        new="            pass\n",
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="what tells of money is dropped when it is old",
        file="service/flows/retention.py",
        old="        if series.is_for_ever:\n            return\n",
        new="",
        tests=of("tests/unit/flows/test_retention.py"),
    ),
    Mutant(
        name="a setting is cached for a minute",
        file=_CACHE,
        old="TTL_S: Final = 3600.0  #",
        new="TTL_S: Final = 60.0  #",
        tests=of("tests/unit/settings/test_cache.py", "test_a_value_is_kept_for_an_hour"),
    ),
)
