"""The addresses of alerts: they are read, nothing is sent."""

from typing import Final

from service.app.alerting import targets_of
from service.app.checks.finding import CheckResult, fail, ok, warn
from service.config import Config, Mode
from service.domain.errors import ConfigError

ITEM: Final = "alerts"


def alerts(config: Config) -> CheckResult:
    try:
        names = [target.name for target in targets_of(config)]
    except ConfigError as exc:
        return fail(ITEM, str(exc))
    if names:
        return ok(ITEM, f"{', '.join(names)}; `trader alert test` tries them")
    if config.mode is Mode.LIVE:
        return warn(ITEM, "nobody is told of anything", "set TRADER_ALERT_URLS")
    return ok(ITEM, "only logged")
