"""What is no request, or could be read in two ways, is refused; nothing of it is repeated."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_SERVER: Final = "service/web/server.py"
_REFUSALS: Final = "service/web/refusals.py"
_FRAMING: Final = "service/web/protocol/framing.py"
_BODY: Final = "service/web/protocol/request_body.py"
_OF_SERVER: Final = "tests/unit/web/test_server.py"
_OF_BODY: Final = "tests/unit/web/protocol/test_request_body.py"
_ENDS: Final = of(
    _OF_SERVER, "test_a_request_whose_end_is_not_certain_is_refused_and_its_connection_closed"
)
_UNREADABLE: Final = of(
    _OF_SERVER, "test_what_is_no_request_gets_a_problem_that_repeats_nothing_of_it"
)
_NO_BODY: Final = of(_OF_SERVER, "test_a_body_that_nothing_reads_is_refused")
_UNREAD_BODY: Final = of(
    _OF_SERVER, "test_a_bad_chunk_of_a_body_that_is_not_read_is_no_bug_of_ours"
)
_SHORT: Final = of(_OF_BODY, "test_a_packed_body_that_is_cut_short_is_refused")
_MORE: Final = of(_OF_BODY, "test_more_after_the_end_of_a_packed_body_is_refused")

HOSTILE: Final = (
    Mutant(
        name="what aiohttp refuses is answered in its own words",
        file=_SERVER,
        old="            return self._refusals.of_unread(request, exc)\n",
        new="            return super().handle_error(request, status, exc, str(exc))\n",
        tests=_UNREADABLE,
    ),
    Mutant(
        name="a refusal tells the versions of the server",
        file=_REFUSALS,
        old="        del self.headers[hdrs.SERVER]\n",
        new="",
        tests=_UNREADABLE,
    ),
    Mutant(
        name="a refusal has no security headers",
        file=_REFUSALS,
        old="{**response.headers, **SECURITY, HEADER: request_id}",
        new="{**response.headers, HEADER: request_id}",
        tests=_UNREADABLE,
    ),
    Mutant(
        name="a bad chunk is not told to the handler that waits for the rest",
        file=_SERVER,
        old="            self._arriving.set_exception(",
        new="            (lambda _: None)(",
        tests=of(_OF_SERVER, "test_a_bad_chunk_ends_a_change_whose_json_was_complete"),
    ),
    Mutant(
        name="a malformed body is answered twice",
        file=_SERVER,
        old="        self.close()\n",
        new="",
        tests=of(
            _OF_SERVER, "test_a_body_that_breaks_before_its_request_is_handled_is_answered_once"
        ),
    ),
    Mutant(
        name="a bad chunk that nothing reads is a bug in the log",
        file=_SERVER,
        old='        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):\n',
        new="        if True:\n",
        tests=_UNREAD_BODY,
    ),
    Mutant(
        name="what is ambiguous is routed",
        file=_SERVER,
        old="            check_framing(request)\n",
        new="            pass\n",
        tests=_ENDS,
    ),
    Mutant(
        name="chunks in HTTP/1.0 are read",
        file=_FRAMING,
        old="        if version == HttpVersion10:\n",
        new="        if False:\n",
        tests=_ENDS,
    ),
    Mutant(
        name="an empty transfer coding beside a length is read",
        file=_FRAMING,
        old="        if headers[hdrs.TRANSFER_ENCODING].lower() != _CHUNKED or",
        new="        if False or",
        tests=_ENDS,
    ),
    Mutant(
        name="every version of HTTP is spoken",
        file=_FRAMING,
        old="    if version not in _VERSIONS:\n",
        new="    if False:\n",
        tests=of(_OF_SERVER, "test_another_version_is_not_spoken"),
    ),
    Mutant(
        name="an unknown expectation is left to aiohttp",
        file=_FRAMING,
        old="    if hdrs.EXPECT in headers and",
        new="    if False and",
        tests=of(_OF_SERVER, "test_an_expectation_that_is_not_met_is_a_problem"),
    ),
    Mutant(
        name="a GET may have a body",
        file=_FRAMING,
        old="    if request.body_exists and request.method in READING:\n",
        new="    if False:\n",
        tests=_NO_BODY,
    ),
    Mutant(
        name="a number that is too small becomes 0",
        file=_BODY,
        old="parse_float=_not_vanished)",
        new="parse_float=str)",
        tests=of(_OF_BODY, "test_what_is_no_json_object_is_refused"),
    ),
    Mutant(
        name="a connection stays open within a body of chunks that is too large",
        file=_BODY,
        old="    except web.HTTPRequestEntityTooLarge as exc:\n",
        new="    except ZeroDivisionError as exc:\n",
        tests=of(_OF_BODY, "test_a_body_that_grows_over_the_bound_on_the_way_is_refused"),
    ),
    Mutant(
        name="of two Authorization headers the first counts",
        file="service/web/protocol/auth.py",
        old="    if len(values) > 1:  #",
        new="    if False:  #",
        tests=of(_OF_SERVER, "test_two_authorization_headers_are_refused"),
    ),
    Mutant(
        name="an origin may be the host of the address",
        file="service/web/protocol/auth.py",
        old='    host = request.headers.get(hdrs.HOST, "")\n',
        new="    host = request.host\n",
        tests=of(_OF_SERVER, "test_the_host_of_an_absolute_address_is_no_origin_of_ours"),
    ),
    Mutant(
        name="of a key that stands twice the last one wins",
        file=_BODY,
        old="        if key in seen:\n",
        new="        if False:\n",
        tests=of(_OF_BODY, "test_a_key_that_stands_twice_is_refused"),
    ),
    Mutant(
        name="every charset is taken for UTF-8",
        file=_BODY,
        old='    if (request.charset or "utf-8").lower() not in _UTF_8:\n',
        new="    if False:\n",
        tests=of(_OF_BODY, "test_another_charset_than_utf_8_is_refused"),
    ),
    Mutant(
        name="every coding is taken for none",
        file=_BODY,
        old='    raise NotJson("send the body with Content-Encoding: gzip, or without one")\n',
        new="    return None\n",
        tests=of(_OF_BODY, "test_a_coding_that_is_not_unpacked_here_is_refused"),
    ),
    Mutant(
        name="a gzip body that is cut short is taken",
        file=_BODY,
        old="    if not gzip.eof or gzip.unused_data:\n",
        new="    if gzip.unused_data:\n",
        tests=_SHORT,
    ),
    Mutant(
        name="bytes after the end of a gzip body are ignored",
        file=_BODY,
        old="    if not gzip.eof or gzip.unused_data:\n",
        new="    if not gzip.eof:\n",
        tests=_MORE,
    ),
    Mutant(
        name="a gzip body is unpacked however long it gets",
        file=_BODY,
        old="gzip.decompress(raw, MAX_BODY + 1)",
        new="gzip.decompress(raw)[: MAX_BODY]",
        tests=of(_OF_BODY, "test_a_compressed_body_counts_as_what_it_becomes"),
    ),
    Mutant(
        name="a NUL in a parameter reaches the database",
        file="service/web/protocol/query.py",
        old='        if text is not None and "\\0" in text:\n',
        new="        if False:\n",
        tests=of(
            "tests/unit/web/protocol/test_query.py",
            "test_a_nul_in_a_text_is_refused_before_the_database_meets_it",
        ),
    ),
    Mutant(
        name="a refused connection gets no security headers",
        file="service/web/overload/overflow.py",
        old='        f"{_SECURITY}"\n',
        new="",
        tests=of(
            "tests/unit/web/overload/test_overflow.py",
            "test_a_refusal_has_the_form_of_every_problem_and_an_id_of_its_own",
        ),
    ),
    Mutant(
        name="a head that never ends is read for ever",
        file=_SERVER,
        old="            keepalive_timeout=keepalive_timeout,\n",
        new="            keepalive_timeout=3600,\n",
        tests=of(_OF_SERVER, "test_a_head_that_never_ends_is_cut_however_often_a_byte_of_it_comes"),
    ),
)
