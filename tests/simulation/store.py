"""The way between a machine and the database: slow, down, or with lost answers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.domain.errors import StoreDown
from service.domain.orders import Order
from tests.simulation.machine import Machine
from tests.simulation.world import World

#: What may happen to a statement; a transaction of several is one, since it is all or nothing.
STORE_FAULTS: Final = ("lost before", "answer lost", "slow statement", "slow answer", "down")
_HOP_S: Final = 0.001
_DOWN_S: Final = (1.0, 12.0)
#: A writing call's name; what it stores can be lost with its answer.
_WRITES: Final = frozenset({"add", "advance", "acquire", "release", "add_decision", "add_signal"})
#: How many statements may have a fault; where much hangs on the answer, more.
_SHARES: Final = dict.fromkeys(_WRITES, 0.25) | {"add": 0.7}
_RARE: Final = 0.05


class StoreLink:
    """A port of the store, as one machine reaches it.

    The statement is executed by the world: a machine that dies meanwhile never hears of it, and
    the row is there all the same.
    """

    def __init__(self, world: World, machine: Machine, target: object, name: str) -> None:
        self._world = world
        self._machine = machine
        self._target = target
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        async def call(*args: object, **kwargs: object) -> object:
            return await self._call(name, method, args, kwargs)

        return call

    async def _call(
        self, name: str, method: Callable[..., Any], args: tuple[object, ...], kwargs: Any
    ) -> object:
        world, label = self._world, f"{self._name}.{name}"
        if world.loop.time() < world.store_down_until:
            raise StoreDown("PostgreSQL does not answer")
        share = _SHARES.get(name, _RARE)
        fault = world.draw_store_fault() if world.chance.random() < share else None
        if fault is None and name not in _WRITES:
            result, error = executed(method(*args, **kwargs))
            await asyncio.sleep(0)  # other tasks run, as during a query; it takes no time
            if error is not None:
                raise error
            return result
        if fault is not None:
            world.meet(f"store: {fault}", kwargs.get("identifier"))
            world.say("store", f"{label} of {self._machine.name} is: {fault}")
        answered: asyncio.Future[object] = world.loop.create_future()
        if fault == "down":
            world.store_down_until = world.loop.time() + world.chance.uniform(*_DOWN_S)
        if fault in ("down", "lost before"):
            await asyncio.sleep(world.chance.uniform(0, 1))
            raise StoreDown("PostgreSQL dropped the connection")
        statement = Statement(label, fault, method, args, kwargs, answered, world.restores)
        wait_s = world.chance.uniform(0.5, 10.0) if fault == "slow statement" else _HOP_S
        world.loop.world_later(wait_s, self._execute, statement)
        world.mark(self._machine, f"{label}.left")
        return await answered

    def _execute(self, statement: "Statement") -> None:
        world, fault, answered = self._world, statement.fault, statement.answered
        if statement.restores != world.restores:
            return
        result, error = executed(statement.method(*statement.args, **statement.kwargs))
        if isinstance(result, Order):
            world.written_at[result.identifier] = world.loop.time()
        world.mark(self._machine, f"{statement.label}.committed")
        if fault == "answer lost":
            error = StoreDown("PostgreSQL dropped the connection")
        if fault == "slow answer":
            world.loop.world_later(
                world.chance.uniform(0.5, 10.0), _answer, answered, result, error
            )
        else:
            _answer(answered, result, error)


@dataclass(frozen=True, slots=True)
class Statement:
    label: str
    fault: str | None
    method: Callable[..., Any]
    args: tuple[object, ...]
    kwargs: Mapping[str, Any]
    answered: "asyncio.Future[object]"
    restores: int  #: a database that was set back meanwhile has no such session any more


def executed(call: Coroutine[Any, Any, object]) -> tuple[object, BaseException | None]:
    """Run a method of the twin to its end: it never suspends, so it is one transaction."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value, None
    except Exception as exc:  # noqa: BLE001 - the caller's, whatever it is
        return None, exc
    raise AssertionError("a statement of the twin must not suspend")


def _answer(
    answered: "asyncio.Future[object]", result: object, error: BaseException | None
) -> None:
    if answered.done():
        return
    if error is None:
        answered.set_result(result)
    else:
        answered.set_exception(error)
