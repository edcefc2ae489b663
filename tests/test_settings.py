"""Settings: where they come from, what is refused, and that nothing secret gets out."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from scripts import settings_table
from warnsvc.secret import make_secret_key, read_secret, signing_secrets
from warnsvc.settings import (
    SECRET_SETTINGS,
    Settings,
    SettingsFault,
    load_settings,
    unknown_variables,
)

KEY = "k" * 32
OLD_KEY = "o" * 32


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"WARNSVC_{name.upper()}", raising=False)
    monkeypatch.delenv("WARNSVC_CONFIG", raising=False)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "warnsvc.toml"
    monkeypatch.setenv("WARNSVC_CONFIG", str(path))
    return path


def test_with_nothing_set_it_runs_on_sqlite_for_this_machine_only() -> None:
    settings = load_settings()

    assert settings.database_address == "sqlite:///data/warnsvc.sqlite3"
    assert settings.host == "127.0.0.1"
    assert settings.public_url == "http://127.0.0.1:8080"
    assert not settings.demo


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("port = 9001\nlease_seconds = 90\n")
    monkeypatch.setenv("WARNSVC_PORT", "9002")

    settings = load_settings()

    assert (settings.port, settings.lease_seconds, settings.claim_batch) == (9002, 90, 500)


def test_the_database_lies_in_the_data_folder_unless_told_otherwise() -> None:
    settings = load_settings(data_dir="/var/lib/warnsvc")

    assert settings.database_address == "sqlite:////var/lib/warnsvc/warnsvc.sqlite3"


def test_a_secret_can_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    monkeypatch.setenv("WARNSVC_SECRET_KEY_FILE", str(file))

    assert signing_secrets(load_settings()) == (KEY.encode(),)


@pytest.mark.parametrize("name", SECRET_SETTINGS)
def test_every_secret_has_a_file_beside_it_and_no_place_in_a_repr(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("https://" + "hunter2" * 8)

    settings = load_settings(
        database_url="postgresql://warnsvc@db/warnsvc", **{f"{name}_file": str(file)}
    )

    assert isinstance(getattr(settings, name), SecretStr)
    assert "hunter2" not in repr(settings) + str(settings) + str(settings.model_dump())


def test_fields_that_sound_secret_are_secret() -> None:
    words = ("password", "secret", "token", "database_url", "heartbeat_url")
    sounding = {
        name
        for name in Settings.model_fields
        if any(word in name for word in words) and not name.endswith("_file")
    }

    assert sounding == {*SECRET_SETTINGS, "database_url"}
    assert all("SecretStr" in str(Settings.model_fields[name].annotation) for name in sounding)


def test_the_database_password_goes_to_the_driver_and_nowhere_else() -> None:
    settings = load_settings(
        database_url="postgresql://warnsvc@db:5433/county", database_password="p@ss/word"
    )

    assert settings.database_address == "postgresql://warnsvc:p%40ss%2Fword@db:5433/county"
    assert settings.database_shown == "postgresql://warnsvc@db:5433/county"


def test_a_password_inside_the_address_is_not_shown_either() -> None:
    settings = load_settings(database_url="postgresql://warnsvc:hunter2@db/county")

    assert "hunter2" not in settings.database_shown + repr(settings)


def test_every_mistake_is_named_and_no_value_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARNSVC_PORT", "tcp://hunter2")
    monkeypatch.setenv("WARNSVC_TIME_ZONE", "Asia/Hunter2")
    monkeypatch.setenv("WARNSVC_SECRET_KEY", "hunter2")
    monkeypatch.setenv("WARNSVC_PUBLIC_BASE_URL", "ftp://hunter2")
    monkeypatch.setenv("WARNSVC_DATABASE_URL", "mysql://hunter2")

    with pytest.raises(SettingsFault) as fault:
        load_settings()

    message = str(fault.value)
    named = [line.partition(":")[0] for line in message.splitlines()]
    assert sorted(named) == [
        "database_url (WARNSVC_DATABASE_URL)",
        "port (WARNSVC_PORT)",
        "public_base_url (WARNSVC_PUBLIC_BASE_URL)",
        "secret_key (WARNSVC_SECRET_KEY)",
        "time_zone (WARNSVC_TIME_ZONE)",
    ]
    assert "hunter2" not in message.lower()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"session_idle_minutes": 900}, "longer than session_absolute_minutes"),
        ({"secret_key": KEY, "secret_key_file": "/dev/null"}, "both set"),
        ({"secret_key_file": "/nowhere/key"}, "cannot be read"),
        ({"secret_key_file": "/dev/null"}, "empty"),
        ({"database_password": "x"}, "names no user"),
        ({"public_base_url": "https://a:b@example.org"}, "no user"),
        ({"local_country": "China"}, "local_country"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsFault, match=said):
        load_settings(**given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 9000\n", "prot"),
        ("port = \n", "cannot be read"),
        ('port = "\xff"\n', "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(config: Path, text: str, said: str) -> None:
    config.write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsFault, match=said):
        load_settings()


def test_a_file_that_is_not_there_is_refused(config: Path) -> None:
    with pytest.raises(SettingsFault, match="there is no file"):
        load_settings()


def test_carriers_come_from_the_file_with_their_secrets_in_files(
    config: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text("hunter2\n")
    config.write_text(
        f"""
        [[carriers]]
        name = "county-sms"
        kind = "sms"
        adapter = "simulated"
        params = {{ base_url = "http://127.0.0.1:8081", per_second = 50 }}
        secret_files = {{ token = "{secret}" }}
        """
    )

    (carrier,) = load_settings().carriers

    assert carrier.params == {"base_url": "http://127.0.0.1:8081", "per_second": 50}
    assert carrier.secrets["token"].get_secret_value() == "hunter2"
    assert "hunter2" not in repr(carrier)


def test_two_carriers_of_one_name_are_refused() -> None:
    carrier = {"name": "a", "kind": "sms", "adapter": "simulated"}

    with pytest.raises(SettingsFault, match="share a name"):
        load_settings(carriers=[carrier, carrier])


def test_a_slip_of_the_pen_in_the_environment_is_found() -> None:
    environment = {
        "WARNSVC_PROT": "9000",
        "WARNSVC_PORT": "9000",
        "WARNSVC_CONFIG": "x",
        "WARNSVC_TEST_PG_DSN": "x",
        "HOME": "/",
    }

    assert unknown_variables(environment) == ["WARNSVC_PROT"]


@pytest.mark.parametrize(
    ("given", "secure"),
    [
        ({}, False),
        ({"public_base_url": "https://warn.example.org/"}, True),
        ({"public_base_url": "https://warn.example.org", "cookie_secure": False}, False),
        ({"cookie_secure": True}, True),
    ],
)
def test_the_cookie_is_secure_wherever_pages_are(given: dict[str, object], secure: bool) -> None:
    assert load_settings(**given).cookie_is_secure is secure


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")

    made = make_secret_key(settings)
    again = make_secret_key(settings)

    assert made == tmp_path / "data" / "secret.key"
    assert made.stat().st_mode & 0o777 == 0o600
    assert again is None
    assert signing_secrets(settings) == (read_secret(made).encode(),)
    assert len(read_secret(made)) >= 32


def test_without_a_key_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="warnsvc db init"):
        signing_secrets(load_settings(data_dir=tmp_path))


def test_no_key_is_made_on_postgresql_because_every_process_needs_the_same(tmp_path: Path) -> None:
    settings = load_settings(database_url="postgresql://w@db/w", data_dir=tmp_path)

    with pytest.raises(SettingsFault, match="same one"):
        make_secret_key(settings)

    assert list(tmp_path.iterdir()) == []


def test_the_key_before_is_read_second() -> None:
    settings = load_settings(secret_key=KEY, previous_secret_key=OLD_KEY)

    assert signing_secrets(settings) == (KEY.encode(), OLD_KEY.encode())


def test_the_page_lists_every_setting_as_it_is() -> None:
    page = settings_table.PAGE.read_text(encoding="utf-8")

    assert settings_table.written(page) == page, "run `make docs`"


def test_log_levels_are_ones_that_python_knows() -> None:
    for level in ("debug", "info", "warning", "error"):
        assert load_settings(log_level=level).log_level.upper() in logging.getLevelNamesMapping()
