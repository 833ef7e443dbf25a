"""What an operator has to read is written, and what nobody may read is not."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_PROPOSE: Final = "service/flows/propose.py"
_MODELS: Final = "service/flows/fallback_models.py"
_OF_PROPOSE: Final = "tests/unit/flows/test_propose.py"
_OF_CANARIES: Final = "tests/unit/ops/test_canaries.py"
_OF_JOBS: Final = "tests/unit/app/test_jobs.py"
_OF_RESOURCES: Final = "tests/integration/app/test_resources.py"
_OF_OWN_LINES: Final = "tests/unit/flows/test_log_lines.py"
_OF_OUTPUTS: Final = "tests/faults/test_outputs.py"
_NO_AMOUNT: Final = (
    "test_f64_no_balance_position_or_prompt_turns_up_outside_of_what_is_meant_to_show_it"
)

LOGS: Final = (
    Mutant(
        name="the prompt, with the position, is logged",
        file=_PROPOSE,
        old="        call_id, answer = await self._models.ask(prompt(shown))\n",
        new=(
            "        call_id, answer = await self._models.ask(prompt(shown))\n"
            '        logger.bind(event="ai", note=prompt(shown).facts).info("asked")\n'
        ),
        tests=of(_OF_OWN_LINES),
    ),
    Mutant(
        name="all balances are logged as funds",
        file="service/flows/situations.py",
        old="        balances = await self.exchange.balances()\n",
        new=(
            "        from loguru import logger\n"
            "        balances = await self.exchange.balances()\n"
            "        funds = {name: str(held.total) for name, held in balances.items()}\n"
            '        logger.bind(event="risk", funds=funds).info("looked at the account")\n'
        ),
        tests=of(_OF_OWN_LINES),
    ),
    Mutant(
        name="the account is logged at each look at the exchange",
        file="service/app/health_wiring.py",
        old="        balances = await ports.watching.balances()\n",
        new=(
            "        held = balances = await ports.watching.balances()\n"
            "        import loguru\n"
            '        loguru.logger.info("{}", [float(each.total) for each in held.values()])\n'
        ),
        tests=of(_OF_OUTPUTS, _NO_AMOUNT),
    ),
    Mutant(
        name="the prompt is logged on its way to the model",
        file="service/app/observed_model.py",
        old="            answer = await self._inner.ask(prompt, model=model)\n",
        new=(
            "            import loguru\n"
            '            loguru.logger.info("{}", prompt.system)\n'
            "            answer = await self._inner.ask(prompt, model=model)\n"
        ),
        tests=of(_OF_OUTPUTS, _NO_AMOUNT),
    ),
    Mutant(
        name="the model's line has no tokens",
        file=_MODELS,
        old="            **asdict(usage),\n",
        new="",
        tests=of(_OF_PROPOSE),
    ),
    Mutant(
        name="the model's line has no cost",
        file=_MODELS,
        old="            cost_usd=call.cost_usd,\n",
        new="",
        tests=of(_OF_PROPOSE),
    ),
    Mutant(
        name="an unusable answer is not warned of",
        file=_PROPOSE,
        old=(
            '            logger.bind(event="signal", market=str(market), why=answer.why).warning(\n'
        ),
        new=(
            '            logger.bind(event="signal", market=str(market), why=answer.why).debug(\n'
        ),
        tests=of(_OF_PROPOSE),
    ),
    Mutant(
        name="an exchange that tells no markets is not warned of",
        file="service/app/resources.py",
        old=(
            '        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(\n'
            '            "the exchange cannot be asked'
        ),
        new=(
            '        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).debug(\n'
            '            "the exchange cannot be asked'
        ),
        tests=of(_OF_RESOURCES),
    ),
    Mutant(
        name="an order that cannot be looked up is not warned of",
        file="service/flows/execute.py",
        old=').warning("the order cannot be looked up right now")',
        new=').debug("the order cannot be looked up right now")',
        tests=of("tests/unit/flows/test_execute.py"),
    ),
    Mutant(
        name="months that cannot be made are not warned of",
        file="service/app/jobs.py",
        old=('cause=str(exc)).warning(\n            "the tables of the coming months'),
        new=('cause=str(exc)).debug(\n            "the tables of the coming months'),
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="a lease that cannot be given back is not warned of",
        file="service/app/jobs.py",
        old=('cause=str(exc)).warning(\n            "the trading lease could not'),
        new=('cause=str(exc)).debug(\n            "the trading lease could not'),
        tests=of(_OF_JOBS),
    ),
    Mutant(
        name="texts of exceptions are not masked",
        file="service/ops/logs/patcher.py",
        old="        text = self._masker.text(safe_str(value))\n",
        new="        text = safe_str(value)\n",
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="messages are not masked",
        file="service/ops/logs/patcher.py",
        old='self._masker.text(record["message"]), self._fields(record)',
        new='record["message"], self._fields(record)',
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="loguru gets the exception itself",
        file="service/ops/logs/patcher.py",
        old="= message, fields, None",
        new='= message, fields, record["exception"]',
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="values under telling names are shown",
        file="service/ops/logs/redaction.py",
        old="        if kind is not None and _is_hidden(kind, value):\n",
        new="        if False:\n",
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="funds and coins are no names of the account",
        file="service/ops/logs/field_names.py",
        old='"pnl", "funds", "coins", "worth"}',
        new='"pnl"}',
        tests=of("tests/unit/ops/logs/test_field_names.py"),
    ),
    Mutant(
        name="volume is no name of the account",
        file="service/ops/logs/field_names.py",
        old='    if "volume" in parts:\n',
        new="    if False:\n",
        tests=of("tests/unit/ops/logs/test_field_names.py"),
    ),
    Mutant(
        name="an amount behind a telling name is shown in a text",
        file="service/ops/logs/secret_patterns.py",
        old="        text = _cut(text, _ANY_NAME, _named_money_span)\n",
        new="",
        tests=of("tests/unit/ops/logs/test_secret_patterns.py"),
    ),
    Mutant(
        name="a destructor's line meets loguru's lock",
        file="service/ops/logs/setup.py",
        old='        if not getattr(self._in_handler, "acquired", False):\n',
        new="        if True:\n",
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="a destructor's last line is not written",
        file="service/ops/logs/setup.py",
        old="        self._write_nested()\n        self._tell_dropped()\n",
        new="        self._tell_dropped()\n",
        tests=of(_OF_CANARIES),
    ),
    Mutant(
        name="configured secrets are not looked for",
        file="service/ops/logs/masking.py",
        old="        text = self._known_secrets.mask(text)\n",
        new="",
        tests=of(_OF_CANARIES),
    ),
)
