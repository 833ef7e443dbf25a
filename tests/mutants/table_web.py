"""Who may look and change, and what a crowd gets."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_ACCESS: Final = "service/web/protocol/auth.py"
_BODIES: Final = "service/web/contract/requests.py"
_OF_ROUTES: Final = "tests/unit/web/test_routes.py"
_OF_BODIES: Final = "tests/unit/web/protocol/test_bodies.py"
_OF_ACCESS: Final = "tests/unit/web/protocol/test_auth.py"
_LOCKOUT: Final = "service/web/protocol/lockout.py"
_LIMIT: Final = "service/web/overload/connection_limit.py"
_OF_LIMIT: Final = "tests/unit/web/overload/test_connection_limit.py"
_HELD: Final = "service/web/overload/held_connections.py"
_OF_HELD: Final = "tests/unit/web/overload/test_held_connections.py"
_OF_LOCKOUT: Final = "tests/unit/web/protocol/test_lockout.py"

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
        name="every route is for anybody",
        file="service/web/contract/route.py",
        old="        return route.role\n",
        new="        return Role.ANONYMOUS\n",
        tests=of(_OF_ROUTES, "test_each_role_gets_what_its_row_says"),
    ),
    Mutant(
        name="a parameter that no document has is ignored",
        file="service/web/protocol/query.py",
        old="            if name not in self._forms:\n",
        new="            if False:\n",
        tests=of(
            "tests/unit/web/protocol/test_query.py",
            "test_an_unknown_parameter_is_named_with_the_nearest_known",
        ),
    ),
    Mutant(
        name="a body with an unknown name is taken",
        file=_BODIES,
        old='extra="forbid", ',
        new="",
        tests=of(_OF_BODIES, "test_an_unknown_name_is_refused_by_every_body"),
    ),
    Mutant(
        name="a body's text becomes a number, and a number true",
        file=_BODIES,
        old="strict=True, ",
        new="",
        tests=of(_OF_BODIES, "test_no_value_is_made_of_another_kind"),
    ),
    Mutant(
        name="the metrics of live mode are open to this machine",
        file=_ACCESS,
        old="        if route and route.is_local and mode is Mode.SANDBOX and caller.is_local:\n",
        new="        if route and route.is_local and caller.is_local:\n",
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
        name="the token of a locked peer is compared",
        file=_ACCESS,
        old="    lockout.check(peer)\n",
        new="",
        tests=of(_OF_ACCESS, "test_the_sixth_wrong_token_is_told_to_wait_and_so_is_the_right_one"),
    ),
    Mutant(
        name="callers of a proxy of this machine are never locked",
        file=_ACCESS,
        old="    return LOCAL_PROXY if peer.is_local and not is_local else peer\n",
        new="    return peer\n",
        tests=of(
            _OF_ACCESS,
            "test_whatever_comes_through_a_proxy_of_this_machine_does_not_lock_out_its_own_callers",
        ),
    ),
    Mutant(
        name="wrong tokens are answered at once",
        file="service/web/middleware.py",
        old="            await app[REAL_CLOCK].sleep_real(exc.hold_s)\n",
        new="            pass\n",
        tests=of(
            _OF_ACCESS, "test_the_answer_to_a_wrong_token_is_held_back_and_to_a_right_one_not"
        ),
    ),
    Mutant(
        name="a locked peer is read as fast as before",
        file="service/web/middleware.py",
        old="        if isinstance(exc, Overloaded | TooManyTries):\n",
        new="        if isinstance(exc, Overloaded):\n",
        tests=of(_OF_ACCESS, "test_a_locked_connection_is_not_read_for_a_while"),
    ),
    Mutant(
        name="this machine is locked out",
        file=_LOCKOUT,
        old="tries is None or peer.is_local or tries.locked_until <= now",
        new="tries is None or tries.locked_until <= now",
        tests=of(
            _OF_LOCKOUT,
            "test_this_machine_is_held_back_longer_and_longer_and_never_locked",
        ),
    ),
    Mutant(
        name="a lock is never longer than the first",
        file=_LOCKOUT,
        old="        self.locks += 1\n",
        new="",
        tests=of(_OF_LOCKOUT, "test_each_lock_is_twice_as_long_up_to_a_quarter_of_an_hour"),
    ),
    Mutant(
        name="a lock doubles without an end",
        file=_LOCKOUT,
        old="min(LOCK_S * 2.0 ** min(self.locks, 10), LONGEST_LOCK_S)",
        new="LOCK_S * 2.0 ** min(self.locks, 10)",
        tests=of(_OF_LOCKOUT, "test_each_lock_is_twice_as_long_up_to_a_quarter_of_an_hour"),
    ),
    Mutant(
        name="wrong tokens from many addresses are no attack",
        file=_LOCKOUT,
        old="        is_attack = self._all.locked_until > now\n",
        new="        is_attack = False\n",
        tests=of(_OF_LOCKOUT, "test_an_attack_from_many_addresses_leaves_each_one_try"),
    ),
    Mutant(
        name="every address that tries a token is remembered",
        file=_LOCKOUT,
        old="        if len(self._peers) > PEERS:\n",
        new="        if False:\n",
        tests=of(_OF_LOCKOUT, "test_a_bounded_number_of_peers_is_remembered_the_latest_ones"),
    ),
    Mutant(
        name="each address of an IPv6 network has tries of its own",
        file="service/web/protocol/peers.py",
        old="_SITE_BITS: Final = 64",
        new="_SITE_BITS: Final = 128",
        tests=of(
            "tests/unit/web/protocol/test_peers.py",
            "test_another_machine_is_its_address_or_its_network",
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
        name="one peer may hold every connection",
        file=_LIMIT,
        old="        if not peer.is_local and self._held.count(peer) >= self._rules.share:\n",
        new="        if False:\n",
        tests=of(_OF_LIMIT, "test_one_peer_cannot_use_up_the_places_of_the_others"),
    ),
    Mutant(
        name="other machines together may hold every connection",
        file=_LIMIT,
        old="self.limit if peer.is_local else self.limit - self.limit // RESERVE",
        new="self.limit",
        tests=of(_OF_LIMIT, "test_all_other_machines_together_leave_this_one_a_reserve"),
    ),
    Mutant(
        name="silent connections stay although there is no room",
        file=_LIMIT,
        old=" or self._held.close_silent(for_s=silent_s)\n",
        new="\n",
        tests=of(_OF_LIMIT, "test_with_no_room_left_a_silent_connection_of_the_largest_peer_goes"),
    ),
    Mutant(
        name="a peer that used up its share is kept out for 75 seconds",
        file=_LIMIT,
        old="            return self._held.close_silent_of(peer, for_s=silent_s)\n",
        new="            return False\n",
        tests=of(_OF_LIMIT, "test_a_peers_own_silent_connection_goes_when_its_share_is_used_up"),
    ),
    Mutant(
        name="each connection without room is a line of the log",
        file=_LIMIT,
        old="        if now - self._told_at >= TOLD_EVERY_S:\n",
        new="        if True:\n",
        tests=of(_OF_LIMIT, "test_that_there_is_no_room_is_one_warning_with_the_peer"),
    ),
    Mutant(
        name="lost connections whose requests are at work take places",
        file=_LIMIT,
        old="    return sum(one.transport is not None for one in server.connections)\n",
        new="    return len(server.connections)\n",
        tests=of(
            _OF_LIMIT,
            "test_a_lost_connection_takes_no_place_while_its_request_is_at_work",
            "test_lost_connections_take_none_of_the_admins_places",
        ),
    ),
    Mutant(
        name="a lost connection waits for the rest of its body",
        file="service/web/server.py",
        old='        self._end_body("the connection was lost within the body")\n',
        new="",
        tests=of(
            "tests/unit/web/test_server.py",
            "test_a_connection_that_is_lost_within_an_unread_body_is_forgotten_at_once",
        ),
    ),
    Mutant(
        name="admins have no reserve of connections",
        file=_LIMIT,
        old="        elif self._rules.is_from_admin(head, peer):\n",
        new="        elif False:\n",
        tests=of(
            "tests/unit/web/overload/test_off_switch.py",
            "test_a_thousand_silent_connections_do_not_keep_the_off_switch_out",
        ),
    ),
    Mutant(
        name="the reserve of admins is for everybody",
        file=_LIMIT,
        old="        elif self._rules.is_from_admin(head, peer):\n",
        new="        elif True:\n",
        tests=of(_OF_LIMIT, "test_a_connection_too_many_is_told_so_and_the_others_are_served"),
    ),
    Mutant(
        name="a viewer has the admins' reserve",
        file=_ACCESS,
        old="    return role is Role.ADMIN\n",
        new="    return role is not None\n",
        tests=of(_OF_ACCESS, "test_only_the_admins_token_gets_a_place_of_the_admins"),
    ),
    Mutant(
        name="wrong tokens beyond the limit do not count",
        file=_ACCESS,
        old="        lockout.wrong_token(asker)\n",
        new="        pass\n",
        tests=of(_OF_ACCESS, "test_a_wrong_token_counts_there_too"),
    ),
    Mutant(
        name="a request at work is cut for another one",
        file=_HELD,
        old="            self._of[peer][connection] = None\n",
        new="            pass\n",
        tests=of(_OF_HELD, "test_a_connection_with_a_request_at_work_stays"),
    ),
    Mutant(
        name="an answer on its way is cut for another connection",
        file=_HELD,
        old="            elif since is not None and not transport.get_write_buffer_size():\n",
        new="            elif since is not None:\n",
        tests=of(_OF_HELD, "test_a_connection_that_is_still_being_answered_stays"),
    ),
    Mutant(
        name="closed connections stay on record",
        file=_HELD,
        old="        if len(self._peer_of) >= self._sweep_at:\n",
        new="        if False:\n",
        tests=of(_OF_HELD, "test_closed_connections_do_not_pile_up"),
    ),
    Mutant(
        name="a peer's overflow connections push the admin's out",
        file="service/web/overload/overflow.py",
        old="        return own[0] if len(own) >= _SHARE else next(iter(self._peers))\n",
        new="        return next(iter(self._peers))\n",
        tests=of(
            "tests/unit/web/overload/test_overflow.py",
            "test_a_peer_with_many_connections_loses_its_own_and_not_another_ones",
        ),
    ),
    Mutant(
        name="the body of an admin's change is lost beyond the limit",
        file="service/web/overload/overflow.py",
        old='        more = b"" if is_health_check(self._head) else rest\n',
        new='        more = b""\n',
        tests=of(
            "tests/unit/web/overload/test_overflow.py",
            "test_an_admins_change_is_handed_on_with_its_body",
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
