"""Upbit's lists of orders: pages of the open ones, windows of the closed ones, bulk look-ups.

Source: Upbit docs v1.6.4, "list open orders", "list closed orders", "list orders by ids".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from service.adapters.upbit.client import Client
from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.orders import listed
from service.adapters.upbit.wire import instant
from service.domain.orders import ListedOrder, OrderList
from service.ports.exchange import LONGEST_WINDOW

OPEN_PAGE: Final = 100  #: the most of one page
CLOSED_PAGE: Final = 1000  #: the most of one answer; there are no further pages
BULK: Final = 100  #: identifiers of one question
_MOST_PAGES: Final = 1000
#: More orders than this cannot be made within one second: Upbit allows twelve.
_MOST_A_SECOND: Final = 100
_SECOND: Final = timedelta(seconds=1)  #: lists tell instants in whole seconds


async def open_orders(client: Client) -> OrderList:
    """Return all pages, until an empty one: a server may clip a page below what was asked."""
    found: dict[str, ListedOrder | None] = {}
    for page in range(1, _MOST_PAGES + 1):
        params = {
            "states[]": ("wait", "watch"),
            "page": str(page),
            "limit": str(OPEN_PAGE),
            "order_by": "asc",
        }
        orders = dict(listed(await client.get_private("/v1/orders/open", params)))
        if not orders:
            return _list_of(found)
        found |= orders
    raise OddAnswer("orders: the pages of the open ones do not end")


async def closed_orders(client: Client, since: datetime, until: datetime) -> OrderList:
    """Return the window's orders, the newest first, and move its end until nothing new comes."""
    if not timedelta() <= until - since <= LONGEST_WINDOW:
        raise ValueError(f"Upbit lists the finished orders of a week at most, not {since}..{until}")
    found: dict[str, ListedOrder | None] = {}
    end = until
    while True:
        # Both bounds are whole seconds; rounded up, a week would be longer than Upbit allows.
        begin = max(since, end - LONGEST_WINDOW + _SECOND)
        params = {
            "states[]": ("done", "cancel"),
            "start_time": instant(begin.replace(microsecond=0)),
            "end_time": instant(end),
            "limit": str(CLOSED_PAGE),
            "order_by": "desc",
        }
        orders = dict(listed(await client.get_private("/v1/orders/closed", params)))
        if orders.keys() <= found.keys():
            if len(orders) >= _MOST_A_SECOND:
                raise OddAnswer("orders: the window of the closed ones does not move")
            return _list_of(found)
        found |= orders
        made = [order.order.created_at for order in orders.values() if order is not None]
        # One second more: orders of the oldest one's second may be missing from this answer. One
        # that cannot belong to the window must not move its end before its begin.
        end = min([end, *(at + _SECOND for at in made if at >= begin - _SECOND)])


async def orders_by_identifiers(
    client: Client, identifiers: Sequence[str]
) -> Mapping[str, ListedOrder]:
    found: dict[str, ListedOrder] = {}
    for first in range(0, len(identifiers), BULK):
        some = identifiers[first : first + BULK]
        params = {"identifiers[]": some, "order_by": "asc"}
        for _, order in listed(await client.get_private("/v1/orders/uuids", params)):
            name = None if order is None else order.order.identifier
            if order is not None and name is not None and name in some:
                found[name] = order
    return found


def _list_of(found: Mapping[str, ListedOrder | None]) -> OrderList:
    orders = tuple(order for order in found.values() if order is not None)
    oldest_first = sorted(orders, key=lambda listed: (listed.order.created_at, listed.order.uuid))
    return OrderList(orders=tuple(oldest_first), unreadable=len(found) - len(orders))
