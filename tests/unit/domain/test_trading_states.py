"""What each trading state permits, cell by cell as the contract has it."""

from itertools import pairwise, product
from typing import Final

import pytest

from service.domain.orders import Side
from service.domain.trading_states import (
    PERMITS,
    OrderAct,
    OrderSource,
    TradingStatus,
    permits,
    strictest,
)

_T, _S = TradingStatus, OrderSource

#: One line a state: by a signal, by a rule, by hand, by flatten; B buys, S sells, C cancels.
CONTRACT: Final = {
    _T.ACTIVE: ("BSC", "BSC", "BSC", "SC"),
    _T.REDUCING: ("SC", "SC", "SC", "SC"),
    _T.DISABLED: ("C", "SC", "SC", "SC"),
    _T.HALTED: ("C", "C", "C", "SC"),
    _T.STANDBY: ("", "", "", ""),
}
CELLS: Final = [
    (status, source, act, act.value[0] in CONTRACT[status][n])
    for status in TradingStatus
    for n, source in enumerate((_S.SIGNAL, _S.RULE, _S.HAND, _S.FLATTEN))
    for act in OrderAct
]


@pytest.mark.parametrize(("status", "source", "act", "allowed"), CELLS)
def test_each_cell_permits_what_the_contract_says(
    status: TradingStatus, source: OrderSource, act: OrderAct, allowed: bool
) -> None:
    assert permits(status, source, act) is allowed


def test_no_cell_is_empty_or_forgotten() -> None:
    assert set(PERMITS) == set(product(TradingStatus, OrderSource))
    assert len(CELLS) == len(TradingStatus) * len(OrderSource) * len(OrderAct)


@pytest.mark.parametrize("source", OrderSource)
def test_a_stricter_state_permits_nothing_that_a_milder_one_refuses(source: OrderSource) -> None:
    for milder, stricter in pairwise(TradingStatus):
        assert PERMITS[stricter, source] <= PERMITS[milder, source]


@pytest.mark.parametrize(("one", "other"), list(product(TradingStatus, TradingStatus)))
def test_of_two_states_at_once_only_what_both_permit_is_permitted(
    one: TradingStatus, other: TradingStatus
) -> None:
    for source in OrderSource:
        both = PERMITS[one, source] & PERMITS[other, source]
        assert PERMITS[strictest((one, other)), source] == both


def test_without_any_halt_trading_is_active() -> None:
    assert strictest(()) is TradingStatus.ACTIVE


@pytest.mark.parametrize("side", Side)
def test_each_side_of_an_order_is_an_act(side: Side) -> None:
    assert OrderAct.of(side).value == side.value
