"""What an operator can set, by environment (`WARNSVC_*`) or by a TOML file (`WARNSVC_CONFIG`).

The environment goes before the file, the file before the defaults. A secret `x` may be given as
`x`, or as the path of a file that holds it in `x_file`; both at once is refused. No secret appears
in a repr, a log or an error. docs/SETTINGS.md lists every field, and a test keeps it true.

It reads files and the environment once, at start; it never looks at a database.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from channels.base import ChannelKind
from warnsvc.core.route import RECEIPT_SECONDS_MAX
from warnsvc.secret import SettingsFault, read_secret

ENV_PREFIX = "WARNSVC_"
CONFIG_VARIABLE = "WARNSVC_CONFIG"
"""Names the TOML file; it is not a setting itself, because it says where settings are."""

SECRET_CHARS_MIN = 32
"""Fewer can be guessed when a secret signs callback addresses that anybody may try."""


class CarrierSettings(BaseModel):
    """One carrier account: `[[carriers]]` in the TOML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="Its name in logs, pages and the ledger."
    )
    kind: ChannelKind = Field(description="What it carries: `sms`, `voice` or `webhook`.")
    adapter: str = Field(description="Which adapter of the channel registry speaks to it.")
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="What the adapter needs to know, such as a base address."
    )
    secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="What the adapter must keep to itself, such as a token."
    )
    secret_files: dict[str, Path] = Field(
        default_factory=dict, description="The same as `secrets`, each in a file of its own."
    )
    price: float = Field(
        default=0.0,
        ge=0.0,
        description="What one SMS part, call or request costs; 0: not known. For estimates only.",
    )
    currency: str = Field(
        default="CNY", pattern=r"^[A-Z]{3}$", description="The currency of `price` (ISO 4217)."
    )
    canary_to: str = Field(
        default="",
        pattern=r"^(|\+[1-9][0-9]{6,14}|https://\S+)$",
        repr=False,
        description="A test number (E.164) or endpoint that gets a canary on a schedule;"
        " empty: none.",
    )
    canary_minutes: int = Field(
        default=60,
        ge=0,
        le=10_080,
        description="How often the canary is sent; after twice as long without one that came"
        " through there is an alarm. 0: never.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("secret_files"):
            return values
        read = {name: read_secret(Path(path)) for name, path in values["secret_files"].items()}
        if twice := read.keys() & values.get("secrets", {}).keys():
            raise ValueError(f"{', '.join(sorted(twice))}: given both as secret and as secret file")
        return {**values, "secrets": {**values.get("secrets", {}), **read}}


class RouteSettings(BaseModel):
    """One rule of the routes: `[[routes]]` in the TOML file. The first one that fits holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ChannelKind = Field(description="Which channel it is about.")
    countries: tuple[str, ...] = Field(
        default=("*",), description="Country calling codes such as `86`; `*`: all."
    )
    languages: tuple[str, ...] = Field(
        default=("*",), description="Languages such as `zh`, `ug`, `kk-Arab`; `*`: all."
    )
    carriers: tuple[str, ...] = Field(
        min_length=1, description="Names of carriers, in the order in which they are tried."
    )
    receipt_seconds: int = Field(
        default=0,
        ge=0,
        le=RECEIPT_SECONDS_MAX,
        description="After so many seconds without a word that a text arrived, the next carrier"
        " sends it too; 0: never. Calls are never placed twice for want of a receipt.",
    )

    @field_validator("countries")
    @classmethod
    def _are_codes(cls, countries: tuple[str, ...]) -> tuple[str, ...]:
        codes = tuple(code.lstrip("+") for code in countries)
        if not all(code == "*" or (code.isdecimal() and len(code) <= 4) for code in codes):
            raise ValueError("must be country calling codes such as 86, or *")
        return codes


class Settings(BaseSettings):
    """Every setting, checked. `load_settings` makes one."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="Where the database is: `sqlite:///path` or `postgresql://user@host/name`;"
        " unset: `sqlite:///` and `data_dir/warnsvc.sqlite3`.",
    )
    database_password: SecretStr | None = Field(
        default=None, description="The PostgreSQL password, when it is not part of the address."
    )
    database_password_file: Path | None = Field(
        default=None, description="A file that holds `database_password`."
    )
    allow_weak_database: bool = Field(
        default=False,
        description="Start on a PostgreSQL that may lose what it confirms"
        " (`fsync=off`): for tests.",
    )
    data_dir: Path = Field(
        default=Path("data"),
        description="The folder for what the service keeps beside the database.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on; `0.0.0.0` behind a proxy or in a container.",
    )
    port: int = Field(default=8080, ge=1, le=65_535, description="The port to listen on.")
    connections_per_peer: int = Field(
        default=200,
        ge=0,
        le=100_000,
        description="How many connections one address may have; 0: no limit, for a proxy on another"
        " machine that everybody comes through. This machine's own addresses are never limited.",
    )
    phones_port: int = Field(
        default=8081, ge=1, le=65_535, description="The port of the simulated carrier's phones."
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Where a `warnsvc worker`, which has no pages, answers"
        " `/healthz`, `/readyz` and"
        " `/metrics`, on `host`; 0: nowhere.",
    )
    public_base_url: str = Field(
        default="",
        description="How carriers and browsers reach this service, such as `https://warn.example.org`;"
        " empty: `http://host:port`.",
    )
    cookie_secure: bool | None = Field(
        default=None,
        description="Send the session cookie over https only; unset: if `public_base_url` is.",
    )
    time_zone: str = Field(
        default="Asia/Shanghai", description="The zone in which times are shown and written."
    )
    local_country: str = Field(
        default="CN",
        pattern="^[A-Z]{2}$",
        description="The country of phone numbers that are written without a country code.",
    )
    language: Literal["zh", "en"] = Field(
        default="zh", description="The language of pages for somebody who has not chosen one."
    )
    install_name: str = Field(
        default="预警叫应平台", max_length=60, description="The name of this installation."
    )
    desk_name: str = Field(
        default="值班室", max_length=60, description="The duty desk that gets alarms and tasks."
    )
    desk_phone: str = Field(
        default="",
        max_length=40,
        description="The desk's phone as messages and pages print it; empty: not printed.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs callback addresses and answer links; at least 32 characters. Unset: made"
        " at first start and kept in `data_dir/secret.key`.",
    )
    secret_key_file: Path | None = Field(
        default=None, description="A file that holds `secret_key`."
    )
    previous_secret_key: SecretStr | None = Field(
        default=None,
        description="The key before `secret_key`, still good for reading while it is replaced.",
    )
    previous_secret_key_file: Path | None = Field(
        default=None, description="A file that holds `previous_secret_key`."
    )
    session_idle_minutes: int = Field(
        default=60,
        ge=1,
        le=1440,
        description="A login ends after so many minutes without a request.",
    )
    session_absolute_minutes: int = Field(
        default=720, ge=1, le=10_080, description="A login ends after so many minutes in any case."
    )
    dispatch_concurrency: int = Field(
        default=100, ge=1, le=2000, description="How many sends may be under way at once."
    )
    lease_seconds: int = Field(
        default=60,
        ge=5,
        le=900,
        description="How long a claimed send belongs to one worker; longer than any carrier's time"
        " limit, because after it another worker looks the send up.",
    )
    claim_batch: int = Field(
        default=500, ge=1, le=5000, description="How many sends are claimed in one transaction."
    )
    heartbeat_url: SecretStr | None = Field(
        default=None,
        description="An address at somebody else's that is fetched while nothing is late, so that"
        " our silence is an alarm there.",
    )
    heartbeat_url_file: Path | None = Field(
        default=None, description="A file that holds `heartbeat_url`."
    )
    heartbeat_seconds: int = Field(
        default=30, ge=5, le=3600, description="How often `heartbeat_url` is fetched."
    )
    tests_kept_days: int = Field(
        default=90,
        ge=30,
        le=3650,
        description="For how many days tests and canaries are kept; a carrier's last ten, and its"
        " last one that came through, stay. Nothing that belongs to a warning is ever deleted.",
    )
    carriers: tuple[CarrierSettings, ...] = Field(
        default=(), description="The carrier accounts, one table each; see below."
    )
    routes: tuple[RouteSettings, ...] = Field(
        default=(),
        description="Which carriers are tried for which country and language, in which order; see"
        " below. Without any for a channel: all its carriers, in their order.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important thing that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`json` for machines; `auto`: console on a terminal, else JSON."
    )
    demo: bool = Field(
        default=False,
        description="This is a demonstration with invented people, and every page says so.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings]
        if path := os.environ.get(CONFIG_VARIABLE):
            sources.append(TomlConfigSettingsSource(settings_cls, Path(path)))
        return tuple(sources)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        for name in SECRET_SETTINGS:
            path = values.get(f"{name}_file")
            if path and values.get(name):
                raise ValueError(f"{name} and {name}_file are both set; keep one")
            if path:
                values[name] = read_secret(Path(path))
        return values

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as fault:
            raise ValueError("no such time zone; write it like Asia/Shanghai") from fault
        return name

    @field_validator("public_base_url")
    @classmethod
    def _is_web_address(cls, address: str) -> str:
        parts = urlsplit(address)
        if address and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("must begin with http:// or https:// and name a host")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("must have no user, query or fragment")
        return address.rstrip("/")

    @field_validator("heartbeat_url")
    @classmethod
    def _heartbeat_is_web_address(cls, address: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(address.get_secret_value() if address else "https://unset")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and name a host")
        return address

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, address: SecretStr | None) -> SecretStr | None:
        known = ("sqlite:///", "postgresql://")
        if address is not None and not address.get_secret_value().startswith(known):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return address

    @field_validator("secret_key", "previous_secret_key")
    @classmethod
    def _key_is_long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < SECRET_CHARS_MIN:
            raise ValueError(f"must have at least {SECRET_CHARS_MIN} characters")
        return key

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.session_idle_minutes > self.session_absolute_minutes:
            raise ValueError("session_idle_minutes is longer than session_absolute_minutes")
        names = [carrier.name for carrier in self.carriers]
        if len(names) != len(set(names)):
            raise ValueError("two carriers share a name")
        if self.database_password is not None and "@" not in self._plain_database_url:
            raise ValueError("database_password is set, but database_url names no user")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the desk."""
        return ZoneInfo(self.time_zone)

    @property
    def public_url(self) -> str:
        """How others reach this service, without a slash at the end."""
        if self.public_base_url:
            return self.public_base_url
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def cookie_is_secure(self) -> bool:
        """Whether the session cookie may travel over https only."""
        if self.cookie_secure is not None:
            return self.cookie_secure
        return self.public_url.startswith("https://")

    @property
    def database_address(self) -> str:
        """The database's address with its password in it: for the driver, never for a log."""
        if self.database_password is None:
            return self._plain_database_url
        password = quote(self.database_password.get_secret_value(), safe="")
        return _with_password(self._plain_database_url, password)

    @property
    def database_shown(self) -> str:
        """The database's address without its password: for logs and `warnsvc doctor`."""
        return _with_password(self._plain_database_url, None)

    @property
    def secret_key_path(self) -> Path:
        """Where a key that nobody configured is kept."""
        return self.data_dir / "secret.key"

    @property
    def _plain_database_url(self) -> str:
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'warnsvc.sqlite3'}"
        return self.database_url.get_secret_value()


SECRET_SETTINGS = ("database_password", "secret_key", "previous_secret_key", "heartbeat_url")
"""The settings that may also be given as a file."""


def load_settings(**given: Any) -> Settings:
    """Return the settings from arguments, environment and TOML file, in this order.

    Raises SettingsFault, with the name of everything that is wrong.
    """
    path = os.environ.get(CONFIG_VARIABLE)
    if path and not Path(path).is_file():
        raise SettingsFault(f"{CONFIG_VARIABLE}: there is no file {path}")
    try:
        return Settings(**given)
    except ValidationError as fault:
        raise SettingsFault(_told(fault)) from None
    except SettingsError as fault:
        raise SettingsFault(str(fault)) from fault
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsFault(f"{CONFIG_VARIABLE}: {path} cannot be read: {fault}") from fault


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the `WARNSVC_*` names that are no setting: most often a slip of the pen.

    They are reported by `warnsvc doctor` and not refused, because orchestrators put variables of
    their own beside a service's name.
    """
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    return sorted(
        name
        for name in environment
        if name.startswith(ENV_PREFIX)
        and not name.startswith(f"{ENV_PREFIX}TEST_")
        and name not in known
    )


def _told(fault: ValidationError) -> str:
    """Return one line per mistake: where it is, in both spellings, and what is wrong."""
    lines = []
    for error in fault.errors(include_input=False, include_url=False):
        place = ".".join(str(step) for step in error["loc"])
        setting = f"{place} ({ENV_PREFIX}{place.split('.')[0].upper()}): " if place else ""
        lines.append(setting + error["msg"].removeprefix("Value error, "))
    return "\n".join(lines)


def _with_password(url: str, password: str | None) -> str:
    """Return the address with this password, or with none."""
    parts = urlsplit(url)
    if not parts.hostname or "@" not in parts.netloc:
        return url
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    login = name if password is None else f"{name}:{password}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}"))
