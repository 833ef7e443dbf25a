"""The read side of the API in memory: rows are dicts, answers are bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from service.domain.errors import NotFound
from service.domain.markets import Market, Timeframe
from service.domain.orders import OrderStatus
from service.ports.queries import Page, PageKey
from tests.builders import T0

Row = dict[str, Any]


class FakeLists:
    """Satisfies ports.Lists. Each list holds (key, row) pairs, in any order.

    Attributes:
        tickers, candles, signal_rows, order_rows, fill_rows, change_rows, alert_rows,
            risk_rows: the stored rows.
        order_details: what `order` returns by id.
        asked: the arguments of every call by its name, newest last.
        fail: raised by every call until it is None again.
    """

    def __init__(self) -> None:
        self.tickers: list[tuple[PageKey, Row]] = []
        self.candles: list[tuple[PageKey, Row]] = []
        self.signal_rows: list[tuple[PageKey, Row]] = []
        self.order_rows: list[tuple[PageKey, Row]] = []
        self.order_details: dict[int, Row] = {}
        self.fill_rows: list[tuple[PageKey, Row]] = []
        self.change_rows: list[tuple[PageKey, Row]] = []
        self.alert_rows: list[tuple[PageKey, Row]] = []
        self.risk_rows: list[tuple[PageKey, Row]] = []

        self.audit_rows: list[tuple[PageKey, Row]] = []
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.fail: BaseException | None = None

    async def market_history(
        self, market: Market, *, limit: int, before: PageKey | None = None
    ) -> Page:
        self._note("market_history", market=market, limit=limit, before=before)
        return _page(self.tickers, limit, before, market=market)

    async def market_price(self, market: Market) -> bytes | None:
        self._note("market_price", market=market)
        found = orjson.loads(_newest(self.tickers, (market,)))
        return orjson.dumps(found[0]) if found else None

    async def market_latest(self, markets: Sequence[Market]) -> bytes:
        self._note("market_latest", markets=tuple(markets))
        return _newest(self.tickers, markets)

    async def market_candles(
        self, market: Market, timeframe: Timeframe, *, limit: int, before: PageKey | None = None
    ) -> Page:
        self._note("market_candles", market=market, timeframe=timeframe, limit=limit, before=before)
        return _page(self.candles, limit, before, market=market, timeframe=timeframe)

    async def market_summary(self, market: Market, *, since: datetime) -> bytes:
        self._note("market_summary", market=market, since=since)
        rows = [r for k, r in self.tickers if r["market"] == str(market) and k.at >= since]
        return orjson.dumps({"market": str(market), "count": len(rows)})

    async def collector_stats(self, markets: Sequence[Market], *, since: datetime) -> bytes:
        self._note("collector_stats", markets=tuple(markets), since=since)
        return orjson.dumps([{"market": str(market), "rows": 0} for market in markets])

    async def signals(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        action: str | None = None,
        market_data_id: int | None = None,
    ) -> Page:
        filters = {"market": market, "action": action, "market_data_id": market_data_id}
        self._note("signals", limit=limit, before=before, **filters)
        return _page(self.signal_rows, limit, before, **filters)

    async def signal(self, signal_id: int) -> bytes | None:
        self._note("signal", signal_id=signal_id)
        found = [row for key, row in self.signal_rows if key.id == signal_id]
        return orjson.dumps(found[0]) if found else None

    async def signals_latest(self, markets: Sequence[Market]) -> bytes:
        self._note("signals_latest", markets=tuple(markets))
        return _newest(self.signal_rows, markets)

    async def orders(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        status: OrderStatus | None = None,
        now: datetime | None = None,
    ) -> Page:
        self._note("orders", limit=limit, before=before, market=market, status=status, now=now)
        return _page(self.order_rows, limit, before, market=market, status=status)

    async def order(self, order_id: int, *, now: datetime | None = None) -> bytes | None:
        self._note("order", order_id=order_id, now=now)
        found = self.order_details.get(order_id)
        return None if found is None else orjson.dumps(found)

    async def fills(
        self, *, limit: int, before: PageKey | None = None, market: Market | None = None
    ) -> Page:
        self._note("fills", limit=limit, before=before, market=market)
        return _page(self.fill_rows, limit, before, market=market)

    async def config_changes(
        self, *, limit: int, before: PageKey | None = None, key: str | None = None
    ) -> Page:
        self._note("config_changes", limit=limit, before=before, key=key)
        return _page(self.change_rows, limit, before, key=key)

    async def alerts(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        state: str | None = None,
        severity: str | None = None,
    ) -> Page:
        self._note("alerts", limit=limit, before=before, state=state, severity=severity)
        return _page(self.alert_rows, limit, before, state=state, severity=severity)

    async def risk_events(
        self, *, limit: int, before: PageKey | None = None, event: str | None = None
    ) -> Page:
        self._note("risk_events", limit=limit, before=before, event=event)
        return _page(self.risk_rows, limit, before, event=event)

    async def audit(
        self, *, limit: int, before: PageKey | None = None, action: str | None = None
    ) -> Page:
        self._note("audit", limit=limit, before=before, action=action)
        return _page(self.audit_rows, limit, before, action=action)

    # --- what a test arranges -------------------------------------------------------------

    def add_ticker(self, *, market: str = "KRW-BTC", price: str = "100000000", n: int = 1) -> None:
        """Add the `n`th row: `n` seconds after T0, id `n`."""
        self.tickers.append(_row(n, {"id": n, "market": market, "price": price}))

    def add_candle(self, *, market: str = "KRW-BTC", timeframe: str = "1m", n: int = 1) -> None:
        self.candles.append(_row(n, {"market": market, "timeframe": timeframe, "close": "1"}))

    def add_signal(
        self,
        *,
        market: str = "KRW-BTC",
        action: str = "BUY",
        market_data_id: int | None = None,
        n: int = 1,
    ) -> None:
        row = {"id": n, "market": market, "action": action, "reasoning": "prices rise"}
        self.signal_rows.append(_row(n, row | {"market_data_id": market_data_id}))

    def add_order(self, *, market: str = "KRW-BTC", status: str = "EXECUTED", n: int = 1) -> None:
        row = {"id": n, "market": market, "side": "BUY", "status": status}
        self.order_rows.append(_row(n, row))
        self.order_details[n] = row | {"fills": []}

    def add_fill(self, *, market: str = "KRW-BTC", n: int = 1) -> None:
        self.fill_rows.append(_row(n, {"id": n, "market": market, "price": "100000000"}))

    def add_change(self, *, key: str = "min_confidence", n: int = 1) -> None:
        self.change_rows.append(
            _row(n, {"id": n, "key": key, "old_value": None, "new_value": "0.7"})
        )

    def add_alert(self, *, state: str = "SENT", severity: str = "error", n: int = 1) -> None:
        row = {"id": n, "key": "job:collect", "state": state, "severity": severity}
        self.alert_rows.append(_row(n, row | {"acknowledged_by": None}))

    async def alert(self, alert_id: int) -> bytes | None:
        self._note("alert", alert_id=alert_id)
        found = next((row for _, row in self.alert_rows if row["id"] == alert_id), None)
        return None if found is None else orjson.dumps(found)

    async def acknowledge(self, alert_id: int, *, by: str) -> None:
        """Satisfies ports.Acknowledgements."""
        self._note("acknowledge", alert_id=alert_id, by=by)
        for _, row in self.alert_rows:
            if row["id"] == alert_id:
                row["acknowledged_by"] = row["acknowledged_by"] or by
                return
        raise NotFound(f"there is no alert {alert_id}")

    def add_risk_event(self, *, event: str = "HALTED", n: int = 1) -> None:
        self.risk_rows.append(_row(n, {"id": n, "event": event, "reason": "by hand"}))

    def _note(self, name: str, **arguments: object) -> None:
        self.asked.append((name, arguments))
        if self.fail is not None:
            raise self.fail


def _row(n: int, row: Row) -> tuple[PageKey, Row]:
    return PageKey(T0 + timedelta(seconds=n), n), row


def _matching(
    rows: list[tuple[PageKey, Row]], wanted: Mapping[str, object]
) -> list[tuple[PageKey, Row]]:
    asked = {name: str(value) for name, value in wanted.items() if value is not None}
    found = [
        (key, row)
        for key, row in rows
        if all(str(row[name]) == text for name, text in asked.items())
    ]
    return sorted(found, key=lambda pair: (pair[0].at, pair[0].id), reverse=True)


def _page(
    rows: list[tuple[PageKey, Row]], limit: int, before: PageKey | None, **wanted: object
) -> Page:
    found = _matching(rows, wanted)
    if before is not None:
        found = [p for p in found if (p[0].at, p[0].id) < (before.at, before.id)]
    shown = found[:limit]
    last = shown[-1][0] if len(found) > limit else None
    return Page(orjson.dumps([row for _, row in shown]), last)


def _newest(rows: list[tuple[PageKey, Row]], markets: Sequence[Market]) -> bytes:
    found = (_matching(rows, {"market": market})[:1] for market in markets)
    return orjson.dumps([row for pairs in found for _, row in pairs])
