"""The model's real calls as probes: health and alerts hear of each at once."""

from service.domain.errors import BoundaryError
from service.domain.signals import Answer, Usage
from service.flows.alerts.monitor import AlertMonitor
from service.ops.health.monitor import HealthMonitor
from service.ports.model import Model, Prompt


class ObservedModel:
    """Satisfies ports.Model.

    Only a real answer shows that a day's quota is not used up: health's free question works all
    the same.
    """

    def __init__(self, inner: Model, *, health: HealthMonitor, alert_monitor: AlertMonitor) -> None:
        self._inner = inner
        self._health = health
        self._alert_monitor = alert_monitor

    def check(self, model: str) -> None:
        self._inner.check(model)

    def most_tokens(self, prompt: Prompt) -> Usage:
        return self._inner.most_tokens(prompt)

    async def ask(self, prompt: Prompt, *, model: str) -> Answer:
        try:
            answer = await self._inner.ask(prompt, model=model)
        except BoundaryError as exc:
            if exc.sent:
                self._health.heard_from("gemini_api", error=exc)
            raise
        usable = answer.proposal is not None
        self._health.heard_from("gemini_api", usable=usable)
        self._alert_monitor.model_answered(usable=usable, why=answer.why)
        return answer
