"""Wrong variables are refused in sentences that name them; nothing secret is ever repeated."""

import os
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from service.config import Config, Mode, is_loopback, load, variable
from service.domain.errors import ConfigError
from service.domain.markets import Market

SECRET = "canary-7f3a9e51c04d"
KEYS = {"UPBIT_ACCESS_KEY": SECRET, "UPBIT_SECRET_KEY": SECRET + "s"}
LIVE = {"TRADER_MODE": "live", "GEMINI_API_KEY": SECRET + "g", **KEYS}
PAPER = {"TRADER_MODE": "paper"}
REACHED = "can be reached from other machines: set TRADER_PASSWORD, or bind to 127.0.0.1"
TOO_SHORT = "15 characters are the least, because it lets a caller in; make one with python3 -c"
PAPER_LATER = (
    "TRADER_MODE=paper is not in this version yet: use sandbox, or name an exchange on this"
    " machine in UPBIT_BASE_URL"
)
WHOLE_HTTP = "write a whole address, like http://127.0.0.1:9000"

Sets = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a .env, and an environment without our variables."""
    for name in list(os.environ):
        if name.upper().startswith(
            ("TRADER_", "UPBIT_", "GEMINI_", "DATABASE_URL", "CREDENTIALS_")
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> Sets:
    def setting(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return setting


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        load()
    return str(refused.value)


# --- what is in force ---------------------------------------------------------------------------


def test_without_a_variable_it_is_a_sandbox_on_this_machine() -> None:
    config = load()

    assert (config.mode, config.host, config.port) == (Mode.SANDBOX, "127.0.0.1", 8080)
    assert config.data_dir == Path("var")
    assert config.markets == (Market("KRW", "BTC"),)
    assert config.is_local
    assert config.secrets() == ()


def test_every_variable_reaches_its_field(sets: Sets, folder: Path) -> None:
    sets(
        TRADER_HOST="::1",
        TRADER_PORT="0",
        TRADER_DATA_DIR=str(folder),
        TRADER_MARKETS=" KRW-BTC, KRW-ETH,",
        TRADER_LOG_LEVEL="debug",
        TRADER_LOG_FORMAT="Text",
        TRADER_CANDLES="candles.json",
        TRADER_SPEED="60",
        TRADER_SEED="-3",
        TRADER_MAX_WAITING="0",
        UPBIT_BASE_URL="http://127.0.0.1:9000/",
        UPBIT_WS_URL="wss://api.upbit.com/websocket/v1",
        GEMINI_BASE_URL="https://example.com",
        **KEYS,
    )

    config = load()

    assert (config.host, config.port, config.data_dir) == ("::1", 0, folder)
    assert config.markets == (Market("KRW", "BTC"), Market("KRW", "ETH"))
    assert (config.log_level, config.candles) == ("DEBUG", Path("candles.json"))
    assert config.log_format == "text"
    assert (config.speed, config.seed, config.max_waiting) == (Decimal(60), -3, 0)
    assert config.upbit_base_url == "http://127.0.0.1:9000"
    assert config.upbit_ws_url == "wss://api.upbit.com/websocket/v1"
    assert config.gemini_base_url == "https://example.com"


def test_empty_values_count_as_not_set(sets: Sets) -> None:
    sets(
        TRADER_MODE="", TRADER_PORT="", TRADER_CANDLES="", TRADER_PASSWORD="",
        DATABASE_URL="", UPBIT_ACCESS_KEY="", GEMINI_API_KEY="", UPBIT_BASE_URL="",
    )  # fmt: skip

    assert load() == Config()


def test_an_option_of_the_command_line_wins_over_the_environment(sets: Sets) -> None:
    sets(TRADER_PORT="9001", TRADER_SEED="3")

    config = load(port=9002, seed=None)

    assert (config.port, config.seed) == (9002, 3)


def test_it_is_frozen() -> None:
    config = load()

    with pytest.raises(ValueError, match="frozen"):
        config.port = 1  # type: ignore[misc]  # the point


def test_the_home_directory_is_found_for_a_tilde_that_no_shell_has_seen(
    folder: Path, sets: Sets
) -> None:
    sets(HOME=str(folder))
    (folder / ".env").write_text("TRADER_DATA_DIR=~/trading\nTRADER_CANDLES=~/candles.csv\n")

    config = load()

    assert config.data_dir == folder / "trading"
    assert config.candles == folder / "candles.csv"


def test_a_line_break_at_the_end_of_a_key_is_not_part_of_it(sets: Sets) -> None:
    sets(GEMINI_API_KEY=SECRET + "\n")

    assert load().secrets() == (SECRET,)


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TRADER_MODE", "test", "write 'sandbox', 'paper' or 'live'"),
        ("TRADER_PORT", "http", "write a whole number"),
        ("TRADER_PORT", "80.5", "write a whole number"),
        ("TRADER_PORT", "-1", "0 is the least"),
        ("TRADER_PORT", "65536", "65535 is the most"),
        ("TRADER_LOG_LEVEL", "loud", "write 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("TRADER_LOG_FORMAT", "xml", "write 'auto', 'json' or 'text'"),
        ("TRADER_MARKETS", "btc", "'btc' is no market name; write it like KRW-BTC"),
        ("TRADER_MARKETS", " , ", "name at least one market, like KRW-BTC,KRW-ETH"),
        ("TRADER_MARKETS", "KRW-BTC,KRW-BTC", "each market may be named once"),
        ("TRADER_SPEED", "fast", "write a number"),
        ("TRADER_SPEED", "NaN", "write a number"),
        ("TRADER_SPEED", "Infinity", "write a number"),
        ("TRADER_SPEED", "-1", "0 is the least"),
        ("TRADER_SPEED", "100001", "100000 is the most"),
        (
            "TRADER_SPEED",
            "0.5",
            "1 is real time, 60 a minute a second, 0 as fast as possible",
        ),
        ("TRADER_SEED", "lucky", "write a whole number"),
        ("TRADER_MAX_WAITING", "many", "write a whole number"),
        ("TRADER_MAX_WAITING", "10001", "10000 is the most"),
        ("TRADER_DATA_DIR", "~nobody-of-this-name/x", "there is no such home directory; write"),
        ("UPBIT_BASE_URL", "api.upbit.com", WHOLE_HTTP),
        ("UPBIT_BASE_URL", "wss://api.upbit.com", WHOLE_HTTP),
        ("UPBIT_BASE_URL", "http://127.0.0.1:port", WHOLE_HTTP),
        ("UPBIT_BASE_URL", "http://[::1", WHOLE_HTTP),
        ("UPBIT_BASE_URL", "https://a b.com", WHOLE_HTTP),
        (
            "UPBIT_BASE_URL",
            "http://10.0.0.2:9000",
            "plain http is for this machine only; use https",
        ),
        ("UPBIT_BASE_URL", "https://me:pw@a.com", f"{WHOLE_HTTP}, without user, password, ? and #"),
        ("GEMINI_BASE_URL", "https://a.com?key=1", f"{WHOLE_HTTP}, without user, password, ?"),
        (
            "UPBIT_BASE_URL",
            "https://api.upbit.com/v1/",
            "leave the version off the end; it is added",
        ),
        ("GEMINI_BASE_URL", "https://a.com/v1beta", "leave the version off the end; it is added"),
        (
            "UPBIT_WS_URL",
            "https://api.upbit.com",
            "write a whole address, like ws://127.0.0.1:9000",
        ),
        ("UPBIT_WS_URL", "ws://a.com", "plain ws is for this machine only; use wss"),
        (
            "DATABASE_URL",
            "host=db password=x",
            "write it like postgresql://user:password@127.0.0.1:5432/name",
        ),
        ("GEMINI_API_KEY", "two words", "it holds a blank or an odd character; copy it anew"),
        ("UPBIT_SECRET_KEY", "a\nb", "it holds a blank or an odd character; copy it anew"),
        ("TRADER_ADMIN_TOKEN", "열쇠", "it holds a blank or an odd character; copy it anew"),
        ("TRADER_VIEWER_TOKEN", "  ", "it holds a blank or an odd character; copy it anew"),
        ("TRADER_ADMIN_TOKEN", "a", TOO_SHORT),
        ("TRADER_ADMIN_TOKEN", "fourteen-chars", TOO_SHORT),
        ("TRADER_VIEWER_TOKEN", "fourteen-chars", TOO_SHORT),
        ("TRADER_PASSWORD", "fourteen chars", TOO_SHORT),
        ("TRADER_PASSWORD", " fourteen chars\n", TOO_SHORT),
    ],
)
def test_a_malformed_value_is_one_line_with_its_name_and_the_remedy(
    sets: Sets, name: str, value: str, sentence: str
) -> None:
    sets(**{name: value})

    said = refusal()

    assert said.startswith(f"{name}: {sentence}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"TRADER_MODE": "live"},
            "TRADER_MODE=live needs UPBIT_ACCESS_KEY, UPBIT_SECRET_KEY, GEMINI_API_KEY",
        ),
        (LIVE | {"GEMINI_API_KEY": ""}, "TRADER_MODE=live needs GEMINI_API_KEY"),
        (
            {"UPBIT_BASE_URL": "http://127.0.0.1:9000"},
            "TRADER_MODE=sandbox needs UPBIT_ACCESS_KEY, UPBIT_SECRET_KEY, GEMINI_BASE_URL",
        ),
        (
            PAPER | {"UPBIT_BASE_URL": "http://127.0.0.1:9000"},
            "TRADER_MODE=paper needs UPBIT_ACCESS_KEY, UPBIT_SECRET_KEY",
        ),
        (PAPER, PAPER_LATER),
        (PAPER | {"GEMINI_API_KEY": SECRET}, PAPER_LATER),
        (LIVE | {"TRADER_CANDLES": "x"}, "TRADER_CANDLES is for the sandbox, not for live"),
        (PAPER | {"TRADER_CANDLES": "x"}, "TRADER_CANDLES is for the sandbox, not for paper"),
        (LIVE | {"TRADER_SPEED": "2"}, "TRADER_SPEED is for the sandbox; live runs in real time"),
        (
            PAPER | {"TRADER_HOST": "0.0.0.0"},
            f"TRADER_HOST=0.0.0.0 {REACHED}",
        ),
        (
            LIVE | {"TRADER_HOST": "::"},
            f"TRADER_HOST=:: {REACHED}",
        ),
        (
            {"TRADER_ADMIN_TOKEN": SECRET, "TRADER_VIEWER_TOKEN": SECRET},
            "TRADER_VIEWER_TOKEN and TRADER_ADMIN_TOKEN are the same: change one",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(
    sets: Sets, variables: dict[str, str], sentence: str
) -> None:
    sets(**variables)

    assert refusal() == sentence


@pytest.mark.parametrize(
    "variables",
    [
        PAPER | KEYS,
        PAPER | KEYS | {"UPBIT_BASE_URL": "https://api.upbit.com"},
        KEYS | {"UPBIT_BASE_URL": "https://api.upbit.com", "GEMINI_BASE_URL": "https://a.com"},
    ],
)
def test_keys_for_a_real_exchange_are_refused_outside_live_mode(
    sets: Sets, variables: dict[str, str]
) -> None:
    sets(**variables)

    assert "its orders would go to a real exchange" in refusal()


@pytest.mark.parametrize(
    "variables",
    [
        LIVE,
        LIVE | {"TRADER_HOST": "0.0.0.0", "TRADER_PASSWORD": SECRET},
        PAPER | KEYS | {"UPBIT_BASE_URL": "http://127.0.0.1:9000"},
        PAPER | KEYS | {"UPBIT_BASE_URL": "http://[::1]:9000", "TRADER_HOST": "localhost"},
        KEYS,  # the sandbox brings its own exchange and uses none of them
        {"TRADER_HOST": "0.0.0.0"},  # strangers see health only, and no money is real
    ],
)
def test_what_fits_together_is_taken(sets: Sets, variables: dict[str, str]) -> None:
    sets(**variables)

    assert load().mode == variables.get("TRADER_MODE", "sandbox")


@pytest.mark.parametrize("name", ["TRADER_ADMIN_TOKEN", "TRADER_VIEWER_TOKEN", "TRADER_PASSWORD"])
def test_fifteen_characters_let_a_caller_in(sets: Sets, name: str) -> None:
    sets(**{name: "fifteen-letters"})

    assert load().secrets() == ("fifteen-letters",)


def test_commands_that_serve_no_caller_need_no_token_in_live_mode(sets: Sets) -> None:
    """`trader settings set trading_enabled false` must not wait for one."""
    sets(**LIVE)

    assert load().admin_token is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TRADER_PROT", "did you mean TRADER_PORT?"),
        ("trader_mod", "did you mean TRADER_MODE?"),
        ("TRADER_DATABASE_URL", "did you mean DATABASE_URL?"),
        ("TRADER_XYZZY_PLUGH", "see docs/configuration.md"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(
    sets: Sets, name: str, hint: str
) -> None:
    sets(**{name: SECRET})

    assert refusal().splitlines()[0] == f"{name}: no such variable; {hint}"


def test_all_faults_are_told_at_once(sets: Sets) -> None:
    sets(TRADER_PROT="1", TRADER_SEED="x", TRADER_SPEED="y")

    assert refusal().splitlines() == [
        "TRADER_PROT: no such variable; did you mean TRADER_PORT?",
        "TRADER_SPEED: write a number",
        "TRADER_SEED: write a whole number",
    ]


# --- .env ----------------------------------------------------------------------------------------


def test_the_file_is_read_and_the_environment_wins(folder: Path, sets: Sets) -> None:
    (folder / ".env").write_text("# ours\nexport TRADER_PORT=9001\nTRADER_SEED=5\n")
    sets(TRADER_SEED="6")

    config = load()

    assert (config.port, config.seed) == (9001, 6)


def test_a_byte_order_mark_hides_no_name(folder: Path) -> None:
    (folder / ".env").write_text("TRADER_PORT=9001\n", encoding="utf-8-sig")

    assert load().port == 9001


def test_an_unknown_name_of_ours_in_the_file_is_refused(folder: Path) -> None:
    (folder / ".env").write_text("export TRADER_PROT=9001\n#TRADER_NOTHING=1\n")

    assert refusal() == "TRADER_PROT: no such variable; did you mean TRADER_PORT?"


def test_other_programs_variables_are_left_alone(folder: Path, sets: Sets) -> None:
    (folder / ".env").write_text("POSTGRES_PASSWORD=x\nPORT=1\nMODE=live\n")
    sets(PORT="2", HOST="elsewhere", MODE="live", SPEED="x", PASSWORD="y")

    assert load() == Config()


def test_a_line_inside_a_quoted_value_is_no_name(folder: Path) -> None:
    """Names are what python-dotenv finds, as the values are."""
    (folder / ".env").write_text(
        "NOTE=\"ours:\nTRADER_PROT=9001\nend\"\nOTHER='TRADER_X=1\nTRADER_Y=2'\nTRADER_PORT=9002\n"
    )

    assert load().port == 9002


def test_an_unknown_name_after_a_quoted_value_is_refused(folder: Path) -> None:
    (folder / ".env").write_text("NOTE=\"a\nb\"\n  export 'TRADER_PROT' = 9001\n")

    assert refusal() == "TRADER_PROT: no such variable; did you mean TRADER_PORT?"


@pytest.mark.proves("FR-012")
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("TRADER_PORT 9001\n", [1]),
        (f'# ours\n\n  TRADER_PASSWORD="{SECRET}\nTRADER_PORT=9001\n', [3]),
        (f"TRADER_SEED=3\r\n\r\nTRADER_PASSWORD='{SECRET}' x\r\nnot a line at all\r\n", [3, 4]),
        ("=9001", [1]),
    ],
)
def test_a_line_of_the_file_that_cannot_be_read_is_one_sentence_with_its_number(
    folder: Path, caplog: pytest.LogCaptureFixture, text: str, lines: list[int]
) -> None:
    """FR-012: python-dotenv alone would warn and start without what the line sets."""
    (folder / ".env").write_text(text, newline="")

    assert refusal().splitlines() == [
        f".env line {line} cannot be read: write NAME=value, close its quotes, or begin it with #"
        for line in lines
    ]
    assert not caplog.records


def test_a_file_that_is_no_text_is_one_sentence(folder: Path) -> None:
    (folder / ".env").write_bytes(b"TRADER_PORT=\xff\n")

    assert refusal() == ".env is not UTF-8 text: save it as UTF-8"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_sentence(folder: Path) -> None:
    (folder / ".env").write_text("TRADER_PORT=1\n")
    (folder / ".env").chmod(stat.S_IWUSR)

    assert refusal() == ".env cannot be read (Permission denied): allow it"


def test_a_directory_of_that_name_is_no_file(folder: Path) -> None:
    (folder / ".env").mkdir()

    assert load() == Config()


# --- secrets -------------------------------------------------------------------------------------


SECRETS = (
    "TRADER_PASSWORD", "TRADER_VIEWER_TOKEN", "TRADER_ADMIN_TOKEN", "TRADER_ALERT_URLS",
    "DATABASE_URL", "UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY", "GEMINI_API_KEY",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_shows_in_no_text_of_the_configuration(sets: Sets, name: str) -> None:
    value = f"postgresql://me:{SECRET}@db/x" if name == "DATABASE_URL" else SECRET
    sets(**{name: value})

    config = load()

    assert config.secrets() == (value,)
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump())):
        assert SECRET not in text


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_shows_in_no_refusal(sets: Sets, name: str) -> None:
    sets(**{name: f"{SECRET} and a blank", "TRADER_PORT": "no"})

    with pytest.raises(ConfigError) as refused:
        load()

    chain: BaseException | None = refused.value
    while chain is not None:
        assert SECRET not in str(chain) + repr(chain)
        chain = chain.__cause__ or chain.__context__


def test_every_field_that_may_hold_a_secret_is_in_the_list_above() -> None:
    hidden = {f for f, info in Config.model_fields.items() if "SecretStr" in str(info.annotation)}

    assert {variable(field) for field in hidden} == set(SECRETS)


# --- this machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "", "2130706433"],
)
def test_names_that_others_can_reach(host: str) -> None:
    assert not is_loopback(host)


# --- secrets as files ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trader_admin_token", "TRADER_ADMIN_TOKEN"])
def test_a_secret_may_be_a_file_of_its_variables_name(
    sets: Sets, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(f"{SECRET}\n")
    sets(CREDENTIALS_DIRECTORY=str(tmp_path))

    config = load()

    assert config.admin_token is not None
    assert config.admin_token.get_secret_value() == SECRET
    assert SECRET in config.secrets()


def test_the_environment_wins_over_a_file(sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "upbit_base_url").write_text("http://127.0.0.1:1")
    sets(CREDENTIALS_DIRECTORY=str(tmp_path), UPBIT_BASE_URL="http://127.0.0.1:2", **KEYS)
    sets(GEMINI_BASE_URL="http://127.0.0.1:3")

    assert load().upbit_base_url == "http://127.0.0.1:2"


def test_a_directory_of_secrets_that_is_not_there_is_none(sets: Sets, tmp_path: Path) -> None:
    sets(CREDENTIALS_DIRECTORY=str(tmp_path / "nowhere"))

    assert load().admin_token is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_secret_that_may_not_be_read_is_a_sentence(sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "trader_admin_token").touch(mode=0o000)
    sets(CREDENTIALS_DIRECTORY=str(tmp_path))

    assert "cannot be read" in refusal()


def test_a_secret_that_is_not_text_is_a_sentence(sets: Sets, tmp_path: Path) -> None:
    (tmp_path / "trader_admin_token").write_bytes(b"\xff\xfe")
    sets(CREDENTIALS_DIRECTORY=str(tmp_path))

    assert refusal() == "A file with a secret is not UTF-8 text: write it anew"
