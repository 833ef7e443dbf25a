"""The configuration: one frozen class, read from the environment once at the start."""

import difflib
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from dotenv.parser import Binding, parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from service.crashpoints import planned_crash
from service.domain.errors import ConfigError, UnknownMarket
from service.domain.markets import Market

UPBIT_REST: Final = "https://api.upbit.com"
UPBIT_WS: Final = "wss://api.upbit.com/websocket/v1"
GEMINI_REST: Final = "https://generativelanguage.googleapis.com"
_PREFIX: Final = "TRADER_"
_ENV_FILE: Final = ".env"
_RUN_SECRETS: Final = Path("/run/secrets")
_VERSION: Final = re.compile(r"/v\d\w*$")
_ADDRESS: Final = "write a whole address, like"
_TOKEN_FROM: Final = 8  #: characters
LEAST_SECRET: Final = 15  #: characters of a secret that lets a caller in
#: A shell command that prints a token; operators copy it.
MAKE_ONE_WITH: Final = 'python3 -c "import secrets; print(secrets.token_hex(32))"'
_IS_HOST: Final = re.compile(r"[0-9.]+$|\[?[0-9a-fA-F:]+\]$")
#: Texts for pydantic's kinds of error; pydantic gives the bounds.
_WORDS: Final = {
    "int_parsing": "write a whole number",
    "decimal_parsing": "write a number",
    "finite_number": "write a number",
    "greater_than_equal": "{ge} is the least",
    "less_than_equal": "{le} is the most",
    "enum": "write {expected}",
    "literal_error": "write {expected}",
}


class Mode(StrEnum):
    """What is real: nothing (`sandbox`), the market (`paper`), everything (`live`)."""

    SANDBOX = "sandbox"
    PAPER = "paper"
    LIVE = "live"


class Config(BaseSettings):
    """Environment variables and `.env`; docs/configuration.md has a heading for each."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=_ENV_FILE,
        env_file_encoding="utf-8-sig",  # a byte order mark would hide the first name
        env_ignore_empty=True,
        extra="ignore",  # .env may serve other programs; unknown TRADER_ names are refused below
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # the input may be a secret
    )

    mode: Mode = Mode.SANDBOX
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)  #: 0 takes any free port
    data_dir: Path = Path("var")
    markets: Annotated[tuple[Market, ...], NoDecode] = (Market("KRW", "BTC"),)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"  #: auto = text on a terminal
    password: SecretStr | None = None
    viewer_token: SecretStr | None = None
    admin_token: SecretStr | None = None
    alert_urls: SecretStr | None = None
    candles: Path | None = None
    speed: Decimal = Field(default=Decimal(1), ge=0, le=100_000)  #: 0 = as fast as possible
    seed: int = 7
    max_waiting: int = Field(default=64, ge=0, le=10_000)  #: requests queued for a connection
    crashpoint: str | None = None  #: for tests in the sandbox: where the process kills itself

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    upbit_access_key: SecretStr | None = Field(default=None, validation_alias="UPBIT_ACCESS_KEY")
    upbit_secret_key: SecretStr | None = Field(default=None, validation_alias="UPBIT_SECRET_KEY")
    upbit_base_url: str | None = Field(default=None, validation_alias="UPBIT_BASE_URL")
    upbit_ws_url: str | None = Field(default=None, validation_alias="UPBIT_WS_URL")
    gemini_api_key: SecretStr | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    gemini_base_url: str | None = Field(default=None, validation_alias="GEMINI_BASE_URL")

    @field_validator("markets", mode="before")
    @classmethod
    def _markets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            markets = tuple(Market.parse(code.strip()) for code in value.split(",") if code.strip())
        except UnknownMarket as exc:
            raise ValueError(str(exc)) from exc
        if not markets:
            raise ValueError("name at least one market, like KRW-BTC,KRW-ETH")
        if len(set(markets)) < len(markets):
            raise ValueError("each market may be named once")
        return markets

    @field_validator("log_level", mode="before")
    @classmethod
    def _level(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", mode="before")
    @classmethod
    def _format(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("data_dir", "candles")
    @classmethod
    def _path(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            return value.expanduser()  # no shell has done it for what stands in .env
        except RuntimeError as exc:
            raise ValueError("there is no such home directory; write the path out") from exc

    @field_validator("upbit_base_url", "gemini_base_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        address = value and _address(value, plain="http", secure="https")
        if address and _VERSION.search(address):
            raise ValueError("leave the version off the end; it is added to each call")
        return address

    @field_validator("upbit_ws_url")
    @classmethod
    def _ws_url(cls, value: str | None) -> str | None:
        return value and _address(value, plain="ws", secure="wss")

    @field_validator(
        "upbit_access_key", "upbit_secret_key", "gemini_api_key", "viewer_token", "admin_token"
    )
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        word = value.get_secret_value().strip()  # the last line break of a file
        if not (word and word.isascii() and word.isprintable()) or " " in word:
            raise ValueError("it holds a blank or an odd character; copy it anew")
        return SecretStr(word)

    @field_validator("password", "viewer_token", "admin_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().strip()) < LEAST_SECRET:
            raise ValueError(
                f"{LEAST_SECRET} characters are the least, because it lets a caller in;"
                f" make one with {MAKE_ONE_WITH}"
            )
        return value

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("postgresql://", "postgres://")
        ):
            raise ValueError("write it like postgresql://user:password@127.0.0.1:5432/name")
        return value

    @field_validator("crashpoint")
    @classmethod
    def _crashpoint(cls, value: str | None) -> str | None:
        if value is not None:
            planned_crash(value)
        return value

    @field_validator("speed")
    @classmethod
    def _speed(cls, value: Decimal) -> Decimal:
        if 0 < value < 1:
            raise ValueError("1 is real time, 60 a minute a second, 0 as fast as possible")
        return value

    @model_validator(mode="after")
    def _keys_for_mode(self) -> Self:
        missing = [name for name in self._needed() if getattr(self, name) is None]
        if missing:
            names = ", ".join(name.upper() for name in missing)
            raise ValueError(f"TRADER_MODE={self.mode} needs {names}")
        if self.mode is not Mode.LIVE and self._could_spend_money():
            # Outside live mode trading is on from the first start, and no token is needed.
            raise ValueError(
                f"TRADER_MODE={self.mode} plays, but its orders would go to a real exchange:"
                " unset UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY, or name a sandbox on this"
                " machine in UPBIT_BASE_URL"
            )
        return self

    @model_validator(mode="after")
    def _sandbox_only(self) -> Self:
        if self.mode is not Mode.SANDBOX and self.candles is not None:
            raise ValueError(f"TRADER_CANDLES is for the sandbox, not for {self.mode}")
        if self.mode is not Mode.SANDBOX and self.speed != 1:
            raise ValueError(f"TRADER_SPEED is for the sandbox; {self.mode} runs in real time")
        if self.mode is not Mode.SANDBOX and self.crashpoint is not None:
            raise ValueError(
                f"TRADER_CRASHPOINT kills the process, for tests in the sandbox; unset it for"
                f" {self.mode}"
            )
        return self

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if self.viewer_token is not None and self.viewer_token == self.admin_token:
            raise ValueError("TRADER_VIEWER_TOKEN and TRADER_ADMIN_TOKEN are the same: change one")
        if self.mode is not Mode.SANDBOX and not self.is_local and self.password is None:
            raise ValueError(
                f"TRADER_HOST={self.host} can be reached from other machines:"
                " set TRADER_PASSWORD, or bind to 127.0.0.1"
            )
        return self

    def _needed(self) -> tuple[str, ...]:
        if self.mode is Mode.LIVE:
            return ("upbit_access_key", "upbit_secret_key", "gemini_api_key")
        if self.mode is Mode.SANDBOX and self.upbit_base_url is not None:
            # A sandbox in another process: `trader sandbox` prints its keys.
            return ("upbit_access_key", "upbit_secret_key", "gemini_base_url")
        if self.mode is Mode.PAPER and self.upbit_base_url is not None:
            return ("upbit_access_key", "upbit_secret_key")
        return ()

    def _could_spend_money(self) -> bool:
        if self.upbit_access_key is None and self.upbit_secret_key is None:
            return False
        if self.upbit_base_url is not None:
            return not is_loopback(urlsplit(self.upbit_base_url).hostname or "")
        return self.mode is not Mode.SANDBOX  # the sandbox has its own exchange

    def secrets(self) -> tuple[str, ...]:
        """Return every secret in plain text; only for the masking of the log."""
        values = (getattr(self, field) for field in type(self).model_fields)
        given = tuple(v.get_secret_value() for v in values if isinstance(v, SecretStr))
        return tuple(dict.fromkeys((*given, *_tokens_in(self.alert_urls))))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the HTTP port."""
        return is_loopback(self.host)


@lru_cache(maxsize=1024)  # called several times per request, for few peers
def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine only. Host names are not looked up."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A dual-stack socket names an IPv4 peer like this; Python before 3.13 does not unwrap it.
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _address(value: str, *, plain: str, secure: str) -> str:
    """Return `value` without a trailing slash, so that a path can follow. Raises: ValueError."""
    like = f"{_ADDRESS} {plain}://127.0.0.1:9000"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port  # reading a port that is no number raises ValueError
    except ValueError:
        raise ValueError(like) from None
    if parts.scheme not in {plain, secure} or not host or any(map(str.isspace, value)):
        raise ValueError(like)
    if parts.username is not None or parts.query or parts.fragment:
        # `trader check` and errors show the address, so it must not hold a secret.
        raise ValueError(f"{like}, without user, password, ? and #")
    if parts.scheme == plain and not is_loopback(host):
        # Requests carry keys in headers, so plain text is allowed only to this machine.
        raise ValueError(f"plain {plain} is for this machine only; use {secure}")
    return value.rstrip("/")


def _tokens_in(addresses: SecretStr | None) -> Iterator[str]:
    """Yield each address, and its parts that look like tokens, which also appear in other URLs."""
    if addresses is None:
        return
    for address in re.split(r"[\s,;]+", addresses.get_secret_value()):
        yield address
        for part in re.split(r"[/:@?&=#]+", address):
            if len(part) >= _TOKEN_FROM and re.search(r"[0-9]", part) and not _IS_HOST.match(part):
                yield part


def variable(field: str) -> str:
    """Return the environment variable that sets `field`."""
    alias = Config.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else _PREFIX + field.upper()


def load(**overrides: object) -> Config:
    """Return the configuration of this process; `overrides` are command line options.

    Raises: ConfigError, one line for each wrong variable; nothing secret is repeated.
    """
    statements = _statements_in_env_file()
    if broken := list(_unreadable(statements)):
        # Reported alone: a variable that seems to be missing may stand in the broken line.
        raise ConfigError("\n".join(broken))
    names = {found.key for found in statements if found.key is not None}
    faults = list(_unknown_names(os.environ.keys() | names))
    try:
        given = {name: value for name, value in overrides.items() if value is not None}
        config = Config(_secrets_dir=_secret_folders(), **given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as exc:
        faults.extend(_sentences(exc))
    except SettingsError as exc:
        cause = exc.__cause__
        if isinstance(cause, OSError):
            what = f"{cause.filename} cannot be read ({cause.strerror}): allow it"
            raise ConfigError(what) from None
        raise ConfigError("A file with a secret is not UTF-8 text: write it anew") from None
    else:
        faults.extend(_not_yet(config))
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def _secret_folders() -> list[Path]:
    """Return the folders of container and systemd secrets: a file per variable, with its name."""
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [_RUN_SECRETS, *([Path(named)] if named else [])]
    return [folder for folder in folders if folder.is_dir()]


def _not_yet(config: Config) -> Iterator[str]:
    if config.mode is Mode.PAPER and config.upbit_base_url is None:
        # Nothing would match its orders yet: its exchange comes with the live market feed.
        yield (
            "TRADER_MODE=paper is not in this version yet: use sandbox, or name an exchange on"
            " this machine in UPBIT_BASE_URL"
        )


def _unknown_names(given: Iterable[str]) -> Iterator[str]:
    known = {variable(field) for field in Config.model_fields}
    for name in sorted(given):
        # pydantic-settings ignores case, so this does too.
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see docs/configuration.md"
            yield f"{name}: no such variable; {hint}"


def _statements_in_env_file() -> list[Binding]:
    """Return the statements in `.env`, as python-dotenv parses them for pydantic-settings."""
    try:
        text = Path(_ENV_FILE).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return []
    except OSError as exc:
        raise ConfigError(f"{_ENV_FILE} cannot be read ({exc.strerror}): allow it") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{_ENV_FILE} is not UTF-8 text: save it as UTF-8") from None
    return list(parse_stream(StringIO(text)))


def _unreadable(statements: Iterable[Binding]) -> Iterator[str]:
    """Yield an error text for each broken statement; python-dotenv only warns and skips it.

    The text does not repeat the statement, which may hold a secret.
    """
    for found in statements:
        if found.error:
            text = found.original.string
            # python-dotenv counts the blank lines before a statement as a part of it.
            blank = text.count("\n", 0, len(text) - len(text.lstrip()))
            yield (
                f"{_ENV_FILE} line {found.original.line + blank} cannot be read: write NAME=value,"
                " close its quotes, or begin it with #"
            )


def _sentences(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors(include_url=False, include_input=False):
        text = error["msg"].removeprefix("Value error, ")
        if words := _WORDS.get(error["type"]):
            text = words.format_map(error.get("ctx", {}))
        where = str(error["loc"][0]) if error["loc"] else ""
        name = variable(where) if where in Config.model_fields else where
        yield f"{name}: {text}" if name else text
