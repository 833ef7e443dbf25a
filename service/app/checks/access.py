"""Whether callers can sign in: paper and live mode serve no caller without the admin's token."""

from typing import Final

from service.app.checks.finding import CheckResult, fail, ok
from service.config import MAKE_ONE_WITH, Config, Mode

ITEM: Final = "access"


def access(config: Config) -> CheckResult:
    """Judge the tokens. A failure stops `trader run`, but no other command.

    The switch that stops trading (`trader settings set`) needs the database alone.
    """
    if config.admin_token is not None:
        return ok(ITEM, "requests need a token; health and the empty page need none")
    if config.mode is not Mode.SANDBOX:
        return fail(
            ITEM,
            f"TRADER_MODE={config.mode} needs TRADER_ADMIN_TOKEN, which every request but health"
            " has to send",
            f"make one with {MAKE_ONE_WITH} and put it into .env",
        )
    if config.viewer_token is not None or config.password is not None:
        return ok(ITEM, "a token to read is set, none to change anything")
    return ok(ITEM, "play money: requests of this machine need no token")
