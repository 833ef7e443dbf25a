"""The whole history as a stream of lines: PostgreSQL makes them, no row stays in memory."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, cast

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names it so

from service.domain.errors import StoreDown
from service.store.database.dsn import connect, named, parameters


class ExportKind(StrEnum):
    """What there is to export."""

    ORDERS = "orders"
    FILLS = "fills"
    SIGNALS = "signals"


class Form(StrEnum):
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWindow:
    """From `since` on, up to and without `until`; None is open."""

    since: datetime | None = None
    until: datetime | None = None


# Days are Korean: a report to the Korean tax office counts them so. Amounts are exact, in the
# market's currency. Oldest first, as books are read.
FILLS: Final = """
    SELECT to_char(traded_at AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD') AS date_kst,
           to_char(traded_at AT TIME ZONE 'Asia/Seoul', 'HH24:MI:SS') AS time_kst,
           market,
           side,
           trim_scale(volume)::text AS volume,
           trim_scale(price)::text AS price,
           trim_scale(funds)::text AS amount,
           trim_scale(fee)::text AS fee,
           trim_scale(realised_pnl)::text AS realised_pnl,
           split_part(market, '-', 1) AS currency,
           to_char(traded_at AT TIME ZONE 'UTC', %(instant)s) AS traded_at,
           trade_uuid,
           order_id
      FROM fills
     WHERE (%(since)s::timestamptz IS NULL OR fills.traded_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR fills.traded_at < %(until)s)
     ORDER BY fills.traded_at, id
"""
COUNT_FILLS: Final = """
    SELECT count(*)
      FROM fills
     WHERE (%(since)s::timestamptz IS NULL OR traded_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR traded_at < %(until)s)
"""

ORDERS: Final = """
    SELECT to_char(created_at AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD') AS date_kst,
           to_char(created_at AT TIME ZONE 'Asia/Seoul', 'HH24:MI:SS') AS time_kst,
           market,
           side,
           type,
           status,
           reason,
           trim_scale(price)::text AS price,
           trim_scale(volume)::text AS volume,
           trim_scale(funds)::text AS funds,
           trim_scale(executed_volume)::text AS executed_volume,
           trim_scale(executed_funds)::text AS executed_amount,
           trim_scale(round(executed_funds / nullif(executed_volume, 0), 8))::text
               AS average_price,
           trim_scale(paid_fee)::text AS fee,
           split_part(market, '-', 1) AS currency,
           to_char(created_at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
           identifier,
           exchange_uuid,
           decision_id,
           id
      FROM orders
     WHERE (%(since)s::timestamptz IS NULL OR orders.created_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR orders.created_at < %(until)s)
     ORDER BY orders.created_at, id
"""
COUNT_ORDERS: Final = """
    SELECT count(*)
      FROM orders
     WHERE (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
"""

SIGNALS: Final = """
    SELECT to_char(signal.created_at AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD') AS date_kst,
           to_char(signal.created_at AT TIME ZONE 'Asia/Seoul', 'HH24:MI:SS') AS time_kst,
           market,
           action,
           trim_scale(confidence)::text AS confidence,
           trim_scale(price)::text AS price,
           model,
           trigger,
           verdict,
           reason,
           CASE WHEN %(is_sheet)s AND detail ~ %(formula)s THEN '''' || detail
                ELSE detail END AS detail,
           CASE WHEN %(is_sheet)s AND reasoning ~ %(formula)s THEN '''' || reasoning
                ELSE reasoning END AS reasoning,
           to_char(signal.created_at AT TIME ZONE 'UTC', %(instant)s) AS created_at,
           signal.id
      FROM trading_signals AS signal
      LEFT JOIN decisions ON decisions.signal_id = signal.id
     WHERE (%(since)s::timestamptz IS NULL OR signal.created_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR signal.created_at < %(until)s)
     ORDER BY signal.created_at, signal.id
"""
COUNT_SIGNALS: Final = """
    SELECT count(*)
      FROM trading_signals
     WHERE (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
"""

_ROWS: Final[Mapping[ExportKind, str]] = {
    ExportKind.ORDERS: ORDERS,
    ExportKind.FILLS: FILLS,
    ExportKind.SIGNALS: SIGNALS,
}
_COUNTS: Final[Mapping[ExportKind, str]] = {
    ExportKind.ORDERS: COUNT_ORDERS,
    ExportKind.FILLS: COUNT_FILLS,
    ExportKind.SIGNALS: COUNT_SIGNALS,
}
_COPY: Final[Mapping[Form, sql.SQL]] = {
    Form.CSV: sql.SQL("COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)"),
    # JSON escapes both control characters, so that nothing in it is ever quoted.
    Form.JSON: sql.SQL(
        "COPY (SELECT row_to_json(item)::text FROM ({rows}) AS item) TO STDOUT"
        " WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
    ),
}
#: What a spreadsheet would run instead of showing it; these words come from a model.
_FORMULA: Final = r"^[=+\-@\t\r]"
_INSTANT: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
#: An export of years takes minutes; it only reads, and no writer waits for it.
_SESSION: Final = {"timezone": "UTC", "statement_timeout": "0", "idle_session_timeout": "0"}


class _Lines:
    """What COPY writes to: a call for each row."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def write(self, line: bytes) -> None:
        self._take(line)


def export(
    dsn: str,
    kind: ExportKind,
    form: Form,
    window: ExportWindow,
    *,
    began: Callable[[int], None],
    take: Callable[[bytes], None],
) -> None:
    """Hand every row of `window` to `take`, oldest first: a line of CSV, or a JSON object.

    All of one instant, however long it takes and whatever is written meanwhile. CSV has a line
    of titles first. Blocks: call it from the command line or a thread.

    Args: began: is told how many rows will come.  take: gets whole lines, with their newline.
    Raises: StartError, when the database cannot be reached; StoreDown, when it goes away; what
        `take` raises.
    """
    given = parameters(dsn)
    args = {
        "since": window.since,
        "until": window.until,
        "instant": _INSTANT,
        "is_sheet": form is Form.CSV,
        "formula": _FORMULA,
    }
    with closing(connect(given, _SESSION)) as connection:
        connection.set_session(
            isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(_COUNTS[kind], args)
                (count,) = cast("tuple[int]", cursor.fetchone())
                began(count)
                cursor.copy_expert(_statement(cursor, kind, form, args), _Lines(take))
        except psycopg2.Error as exc:
            raise StoreDown(
                f"{named(given)} broke off the export ({type(exc).__name__}): try again"
            ) from exc


def _statement(cursor: Cursor, kind: ExportKind, form: Form, args: Mapping[str, object]) -> str:
    # COPY takes no parameters of its own.
    rows = cursor.mogrify(_ROWS[kind], args).decode()
    return _COPY[form].format(rows=sql.SQL(rows)).as_string(cursor)
