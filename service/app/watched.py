"""The model's real calls count as probes, told to health at once."""

from aiohttp import web

from service.app.alerting import ALERT_MONITOR
from service.app.keys import HEALTH_MONITOR
from service.domain.errors import BoundaryError
from service.domain.signals import Answer
from service.ports.model import Model, Prompt


class WatchedModel:
    """Satisfies ports.Model.

    Only a real answer shows that a day's quota is not used up: the free question that health
    asks works all the same.
    """

    def __init__(self, inner: Model, app: web.Application) -> None:
        self._inner = inner
        self._app = app

    def check(self, model: str) -> None:
        self._inner.check(model)

    async def ask(self, prompt: Prompt, *, model: str) -> Answer:
        try:
            answer = await self._inner.ask(prompt, model=model)
        except BoundaryError as exc:
            if exc.sent:
                self._app[HEALTH_MONITOR].heard_from("gemini_api", error=exc)
            raise
        usable = answer.proposal is not None
        self._app[HEALTH_MONITOR].heard_from("gemini_api", usable=usable)
        self._app[ALERT_MONITOR].model_answered(usable=usable, why=answer.why)
        return answer
