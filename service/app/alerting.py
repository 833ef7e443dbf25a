"""Where alerts go: the configured addresses, a test message, and the last ones before the end."""

import asyncio
from collections.abc import Sequence

from loguru import logger

from service.adapters.notify import AppriseTarget, open_targets
from service.config import Config
from service.domain.errors import BoundaryError, ConfigError
from service.flows.alerts.sender import AlertSender
from service.ports.alerts import Outgoing


def targets_of(config: Config) -> Sequence[AppriseTarget]:
    """Raises: ConfigError, for an address that cannot be used."""
    if config.alert_urls is None:
        return ()
    return open_targets(config.alert_urls.get_secret_value(), mode=config.mode.value)


async def tried(config: Config) -> Sequence[tuple[str, str | None]]:
    """Send a test message to every target; return its name and what went wrong.

    Raises: ConfigError, also when there is no address.
    """
    found = targets_of(config)
    if not found:
        raise ConfigError("TRADER_ALERT_URLS is not set: nobody is told of anything")
    message = Outgoing(
        id=0,
        severity="info",
        title="Test",
        body="This is what an alert looks like. Nothing has happened.",
    )
    errors = await asyncio.gather(*(target.send(message) for target in found))
    return [(target.name, error) for target, error in zip(found, errors, strict=True)]


async def flush(alert_sender: AlertSender, *, within_s: float) -> None:
    """Send what is due before everything closes, in bounded time."""
    try:
        async with asyncio.timeout(within_s):
            await alert_sender.flush()
    except (BoundaryError, TimeoutError) as exc:
        logger.bind(event="alert", error=type(exc).__name__).warning(
            "not every alert could be sent before the stop, the next start sends the rest"
        )
