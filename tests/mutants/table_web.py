"""Who may look and change, and what a crowd gets."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_ACCESS: Final = "service/web/protocol/auth.py"
_OF_ACCESS: Final = "tests/unit/web/protocol/test_auth.py"

WEB: Final = (
    Mutant(
        name="a viewer may change things",
        file=_ACCESS,
        old="    _check_role(request, caller, config.mode)\n",
        new="",
        tests=of(_OF_ACCESS, "test_tokens_decide_who_looks_and_who_changes"),
    ),
    Mutant(
        name="a page of another site may change things",
        file=_ACCESS,
        old="        _check_origin(request)\n",
        new="        pass\n",
        tests=of(_OF_ACCESS, "test_a_page_of_another_origin_may_not_change_anything"),
    ),
    Mutant(
        name="any name is answered",
        file=_ACCESS,
        old="    _check_host(request, config, is_local=is_local)\n",
        new="",
        tests=of(_OF_ACCESS, "test_other_names_are_not_ours"),
    ),
    Mutant(
        name="an address gives a right where money is real",
        file=_ACCESS,
        old="    if config.mode is not Mode.SANDBOX or not is_local:\n",
        new="    if not is_local:\n",
        tests=of(_OF_ACCESS, "test_outside_the_sandbox_a_bare_request_of_this_machine_is_nobody"),
    ),
    Mutant(
        name="the metrics of live mode are open to this machine",
        file=_ACCESS,
        old="        if mode is Mode.SANDBOX and caller.is_local and request.path in LOCAL:\n",
        new="        if caller.is_local and request.path in LOCAL:\n",
        tests=of(
            "tests/unit/web/api/test_metrics.py",
            "test_outside_the_sandbox_every_scraper_needs_a_token",
        ),
    ),
    Mutant(
        name="live mode starts without a token",
        file="service/app/serve.py",
        old="    _require_access(config)\n",
        new="",
        tests=of(
            "tests/unit/app/test_access.py",
            "test_a_start_without_the_token_is_refused_before_anything_is_opened",
        ),
    ),
    Mutant(
        name="a short token is taken",
        file="service/config.py",
        old=".strip()) < LEAST_SECRET:\n",
        new=".strip()) < 1:\n",
        tests=of(
            "tests/unit/test_config.py",
            "test_a_malformed_value_is_one_line_with_its_name_and_the_remedy",
        ),
    ),
    Mutant(
        name="an empty token is a token",
        file=_ACCESS,
        old="return bool(secret) & compare_digest(token, secret)",
        new="return compare_digest(token, secret)",
        tests=of(
            _OF_ACCESS,
            "test_no_token_equals_an_empty_secret_even_where_the_header_is_not_parsed_first",
        ),
    ),
    Mutant(
        name="a 503 does not say when to come back",
        file="service/web/protocol/problems.py",
        old="        wait_s = _RETRY_AFTER_S\n",
        new="        pass\n",
        tests=of(
            "tests/unit/web/test_middleware.py",
            "test_an_error_of_ours_has_its_status_and_says_when_to_come_back",
        ),
    ),
    Mutant(
        name="an outage of Upbit or Gemini answers 503",
        file="service/web/api/health.py",
        old='    if health["status"] == "unhealthy":\n',
        new='    if health["status"] != "healthy":\n',
        tests=of("tests/unit/web/api/test_health.py", "test_only_unhealthy_is_a_503"),
    ),
    Mutant(
        name="a bug's text is in its answer",
        file="service/web/protocol/problems.py",
        old="    return _problem(INTERNAL, request_id)\n",
        new=(
            "    import sys\n"
            "    return _problem(INTERNAL, request_id, detail=str(sys.exc_info()[1]))\n"
        ),
        tests=of(
            "tests/unit/web/test_middleware.py", "test_a_bug_is_logged_whole_and_answered_bare"
        ),
    ),
)
