"""Carriers are added by hand, looked at, switched off and taken away; no secret is ever shown."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.typing import EventDict

from channels.base import ChannelKind, ReceiptWord
from channels.errors import ErrorClass
from channels.registry import ADAPTERS, build_channels
from tests.fakes.account import Canary, with_carriers
from tests.fakes.channel import Accept, FakeChannel, Reject, Throttle
from tests.fakes.county import County
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.adapter_form import ParameterType
from warnsvc.service.canary import tend_canaries
from warnsvc.service.carrier import (
    PROBLEMS,
    CarrierDraft,
    CarrierView,
    adapters,
    add_carrier,
    carrier_address,
    list_carriers,
    load_added,
    open_channel,
    remove_carrier,
    set_enabled,
)
from warnsvc.service.fleet import Fleet
from warnsvc.service.ledger import verify

SECRET = "nobody-must-ever-read-this-word"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "carrier_secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def draft(secret_file: Path) -> CarrierDraft:
    return CarrierDraft(
        name="spare-sms",
        adapter="simulated-sms",
        params={
            "base_url": "http://127.0.0.1:9",
            "account": "warnsvc",
            "sender": "106900000001",
            "per_second": "20",
            "links_allowed": "false",
            "canary_to": "+8615400009999",
            "canary_minutes": "30",
        },
        secret_files={"secret": str(secret_file)},
    )


async def view_of(county: County, name: str) -> CarrierView:
    return {view.name: view for view in await list_carriers(county.ctx)}[name]


async def refusals(county: County, draft: CarrierDraft) -> dict[str, str]:
    """Field → code of what is wrong with a draft."""
    with pytest.raises(Refusals) as refused:
        await add_carrier(county.ctx, county.duty, draft)
    return {field: refusal.code for field, refusal in refused.value.by_field().items()}


# Adding ----------------------------------------------------------------------------------------


async def test_an_added_carrier_is_kept_with_typed_values_and_without_its_secret(
    county: County, draft: CarrierDraft, secret_file: Path
) -> None:
    await add_carrier(county.ctx, county.duty, draft)

    (row,) = await county.rows("SELECT * FROM carrier")
    assert json.loads(row["params_json"]) == {
        "account": "warnsvc",
        "base_url": "http://127.0.0.1:9",
        "canary_minutes": 30,
        "canary_to": "+8615400009999",
        "links_allowed": False,
        "per_second": 20.0,
        "sender": "106900000001",
    }
    assert json.loads(row["secret_files_json"]) == {"secret": str(secret_file)}
    (line,) = await county.rows("SELECT actor, body FROM ledger_line WHERE act = 'carrier.added'")
    assert line["actor"] == f"officer:{county.duty}"
    assert SECRET.encode() not in line["body"]
    assert (await verify(county.ctx)).ok


async def test_it_serves_from_the_next_start_and_stands_behind_those_of_the_settings(
    county: County, draft: CarrierDraft
) -> None:
    with_carriers(county)
    await add_carrier(county.ctx, county.duty, draft)

    views = await list_carriers(county.ctx)
    assert [view.name for view in views] == ["fake-sms", "fake-voice", "fake-webhook", "spare-sms"]
    assert views[-1].source == "added"
    assert (views[-1].running, "not_running" in views[-1].problems) == (False, True)

    assert await load_added(county.store, county.clock, taken={"spare-sms"}) == []
    built = build_channels(await load_added(county.store, county.clock), clock=county.clock.now)
    assert built["spare-sms"].capabilities.per_second == 20.0
    county.ctx = replace(county.ctx, fleet=Fleet({**county.ctx.fleet.channels, **built}))
    view = await view_of(county, "spare-sms")
    assert (view.running, "not_running" in view.problems) == (True, False)
    for channel in built.values():
        await channel.close()


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"name": "Spare SMS"}, "name", "carrier_name_malformed"),
        ({"name": "add"}, "name", "carrier_name_malformed"),
        ({"name": "fake-sms"}, "name", "carrier_name_taken"),
        ({"adapter": "pigeon"}, "adapter", "adapter_unknown"),
        ({"params": {}}, "base_url", "parameter_missing"),
        ({"secret_files": {}}, "secret", "parameter_missing"),
        ({"secret_files": {"secret": "/no/such/file"}}, "secret", "secret_file_unreadable"),
        ({"secret_files": {"secret": "relative"}}, "secret", "secret_file_forbidden"),
        ({"secret_files": {"secret": "/proc/self/environ"}}, "secret", "secret_file_forbidden"),
        ({"secret_files": {"sender": "/etc/hostname"}}, "sender", "parameter_unknown"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    county: County, draft: CarrierDraft, changes: dict[str, object], field: str, code: str
) -> None:
    with_carriers(county)

    assert (await refusals(county, replace(draft, **changes)))[field] == code  # type: ignore[arg-type]
    assert await county.rows("SELECT name FROM carrier") == []


@pytest.mark.parametrize(
    ("param", "value", "code"),
    [
        ("per_second", "fast", "parameter_malformed"),
        ("links_allowed", "perhaps", "parameter_malformed"),
        ("canary_minutes", "1.5", "parameter_malformed"),
        ("sender", "9" * 501, "parameter_malformed"),
        ("canary_to", "13800138000", "test_no_phone"),
        ("colour", "red", "parameter_unknown"),
        ("secret", SECRET, "parameter_is_secret"),
        ("secret_file", "/etc/hostname", "parameter_is_secret"),
    ],
)
async def test_a_parameter_that_is_wrong_is_named(
    county: County, draft: CarrierDraft, param: str, value: str, code: str
) -> None:
    wrong = replace(draft, params={**draft.params, param: value})

    assert (await refusals(county, wrong))[param] == code


async def test_two_carriers_never_share_a_name(county: County, draft: CarrierDraft) -> None:
    await add_carrier(county.ctx, county.duty, draft)

    assert await refusals(county, draft) == {"name": "carrier_name_taken"}


async def test_our_own_secrets_are_nobody_elses(
    county: County, draft: CarrierDraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, config, link = tmp_path / "data", tmp_path / "warnsvc.toml", tmp_path / "innocent"
    data.mkdir()
    (data / "secret.key").write_text("k" * 40)
    config.write_text("secret_key = 'k'")
    link.symlink_to(data / "secret.key")
    monkeypatch.setenv("WARNSVC_CONFIG", str(config))
    settings = county.ctx.settings.model_copy(update={"data_dir": data})
    county.ctx = replace(county.ctx, settings=settings)

    for path in (data / "secret.key", config, link):
        wrong = await refusals(county, replace(draft, secret_files={"secret": str(path)}))
        assert wrong == {"secret": "secret_file_forbidden"}
        wrong = await refusals(county, replace(draft, params={**draft.params, "sender": str(path)}))
        assert wrong == {"sender": "secret_file_forbidden"}


async def test_what_the_adapter_says_against_itself_is_the_refusal_without_the_secret(
    county: County, draft: CarrierDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complain(**params: object) -> None:
        raise ValueError(f"cannot use {params['secrets']}")

    complain.__signature__ = __import__("inspect").signature(  # type: ignore[attr-defined]
        ADAPTERS["simulated-sms"].build
    )
    broken = replace(ADAPTERS["simulated-sms"], build=complain)  # type: ignore[arg-type]
    monkeypatch.setitem(ADAPTERS, "simulated-sms", broken)

    with pytest.raises(Refusals) as refused:
        await add_carrier(county.ctx, county.duty, draft)

    (refusal,) = refused.value.refusals
    assert refusal.code == "carrier_misconfigured"
    assert SECRET not in str(refusal.params)
    assert "[redacted]" in str(refusal.params)


# Off, on, away ---------------------------------------------------------------------------------


async def test_one_that_is_switched_off_does_not_come_up(
    county: County, draft: CarrierDraft
) -> None:
    await add_carrier(county.ctx, None, draft)

    await set_enabled(county.ctx, county.duty, "spare-sms", False)
    assert await load_added(county.store, county.clock) == []
    assert not (await view_of(county, "spare-sms")).enabled
    await set_enabled(county.ctx, county.duty, "spare-sms", True)

    assert [spec.name for spec in await load_added(county.store, county.clock)] == ["spare-sms"]
    acts = await county.rows("SELECT act FROM ledger_line WHERE act LIKE 'carrier.%' ORDER BY id")
    assert [r["act"] for r in acts] == ["carrier.added", "carrier.disabled", "carrier.enabled"]


async def test_one_that_is_removed_is_gone_and_one_of_the_settings_cannot_be(
    county: County, draft: CarrierDraft
) -> None:
    with_carriers(county)
    await add_carrier(county.ctx, county.duty, draft)

    await remove_carrier(county.ctx, county.duty, "spare-sms")

    assert "spare-sms" not in [view.name for view in await list_carriers(county.ctx)]
    for name, code in (("fake-sms", "carrier_of_settings"), ("spare-sms", "carrier_unknown")):
        with pytest.raises(Refusal, match=code):
            await remove_carrier(county.ctx, county.duty, name)
        with pytest.raises(Refusal, match=code):
            await set_enabled(county.ctx, county.duty, name, False)


async def test_one_whose_secret_is_gone_is_left_out_and_says_why(
    county: County, draft: CarrierDraft, secret_file: Path, logs: list[EventDict]
) -> None:
    await add_carrier(county.ctx, county.duty, draft)
    secret_file.unlink()

    assert await load_added(county.store, county.clock) == []

    assert [log["carrier"] for log in logs if log["event"] == "carrier.left_out"] == ["spare-sms"]
    view = await view_of(county, "spare-sms")
    assert view.problems[0] == "misconfigured"
    assert "cannot be read" in view.fault
    with pytest.raises(Refusal, match="carrier_misconfigured"):
        async with open_channel(county.ctx, "spare-sms"):
            pass


async def test_a_channel_is_lent_running_or_built_for_the_moment(
    county: County, draft: CarrierDraft
) -> None:
    await add_carrier(county.ctx, county.duty, draft)

    async with open_channel(county.ctx, "fake-sms") as running:
        assert running is county.sms
    async with open_channel(county.ctx, "spare-sms") as lent:
        assert lent.name == "spare-sms"
    with pytest.raises(Refusal, match="carrier_unknown"):
        async with open_channel(county.ctx, "nobody"):
            pass


async def test_no_live_warning_goes_out_beside_a_simulated_carrier_that_was_added(
    county: County, draft: CarrierDraft
) -> None:
    await add_carrier(county.ctx, county.duty, draft)
    await county.red_warning()  # it does not run yet
    built = build_channels(await load_added(county.store, county.clock), clock=county.clock.now)
    county.ctx = replace(county.ctx, fleet=Fleet({**county.ctx.fleet.channels, **built}))
    second = await county.signed(hazard="11B04")

    with pytest.raises(Refusal, match="carrier_simulated"):
        await county.release(second)

    for channel in built.values():
        await channel.close()


# Looking ---------------------------------------------------------------------------------------


async def test_a_view_says_how_a_carrier_stands(county: County) -> None:
    ctx = with_carriers(county, sms=Canary(minutes=30))
    county.sms.script(Accept(early=(ReceiptWord.DELIVERED,)))
    await tend_canaries(ctx)
    warning = await county.red_warning()
    county.sms.always(Throttle(retry_after=2.0))
    await county.advance(minutes=1)

    view = await view_of(county, "fake-sms")

    assert (view.kind, view.source, view.running, view.fault) == ("sms", "settings", True, "")
    assert view.capabilities is county.sms.capabilities
    assert view.circuit_state == "closed"
    assert view.last_ok_at is not None
    sent = await warning.attempts(channel="sms", state="accepted")
    assert view.sent_last_hour == len(sent) > 0
    assert view.canary_address_masked == "154****9999"
    assert view.last_canary is not None
    assert view.last_canary.state == "delivered"
    assert view.last_canary_ok_at == view.last_canary.sent_at
    assert [test.purpose for test in view.last_tests] == ["canary"]
    assert view.routes == ("sms * * → fake-sms",)
    assert view.inbound_address == "http://127.0.0.1:8080/callbacks/fake-sms"
    assert view.callback_address == view.inbound_address + "/{token}"
    assert view.problems == ()


async def test_a_view_says_what_is_wrong(county: County) -> None:
    with_carriers(county)
    county.sms.always(Reject(ErrorClass.CONFIG, "the account of 13800138000 is closed"))
    await county.red_warning()
    county.sms.capabilities = replace(
        county.sms.capabilities, inbound_countries=frozenset({"1"}), receipts=False
    )

    view = await view_of(county, "fake-sms")

    assert set(view.problems) == {"circuit_open", "cannot_receive", "no_receipts", "no_canary"}
    assert view.problems[0] == "circuit_open"
    assert "13800138000" not in view.last_error
    assert set(view.problems) <= set(PROBLEMS)
    county.sms.always(None)
    await county.finish()


async def test_a_view_counts_what_was_refused_and_forgets_it_after_an_hour(
    county: County,
) -> None:
    with_carriers(county)
    county.sms.always(Reject(ErrorClass.BAD_NUMBER))
    await county.red_warning()

    assert (await view_of(county, "fake-sms")).refused_last_hour > 0
    county.clock.move(seconds=timedelta(hours=2).total_seconds())
    assert (await view_of(county, "fake-sms")).refused_last_hour == 0


async def test_a_silent_canary_is_a_problem(county: County) -> None:
    ctx = with_carriers(county, sms=Canary(minutes=10))
    await tend_canaries(ctx)
    for _ in range(3):
        await county.advance(minutes=10)
        await tend_canaries(ctx)

    assert "canary_silent" in (await view_of(county, "fake-sms")).problems


async def test_a_key_in_an_address_is_told_only_to_who_asks_for_it(county: County) -> None:
    class Unsigned(FakeChannel):
        callback_query = "key=not-for-pages"

    county.carriers["sms"] = Unsigned(ChannelKind.SMS, clock=county.clock.now)
    with_carriers(county, county.sms)

    view = await view_of(county, "fake-sms")

    assert view.inbound_address == view.callback_address
    assert view.inbound_address == "http://127.0.0.1:8080/callbacks/fake-sms?key=…"
    assert await carrier_address(county.ctx, "fake-sms") == (
        "http://127.0.0.1:8080/callbacks/fake-sms?key=not-for-pages"
    )
    assert (await carrier_address(county.ctx, "fake-voice")).endswith("/callbacks/fake-voice")


async def test_a_gateway_says_how_its_address_is_written(
    county: County, secret_file: Path
) -> None:
    draft = CarrierDraft(
        name="kannel",
        adapter="http-gateway",
        params={
            "profile": "kannel",
            "base_url": "http://127.0.0.1:13013",
            "user": "tester",
            "sender": "1069012345",
        },
        secret_files={"secret": str(secret_file)},
    )
    await add_carrier(county.ctx, county.duty, draft)

    view = await view_of(county, "kannel")
    whole = await carrier_address(county.ctx, "kannel")

    assert view.inbound_address.startswith("http://127.0.0.1:8080/callbacks/kannel?key=…&from=%p")
    assert view.callback_address == "http://127.0.0.1:8080/callbacks/kannel/{token}"
    assert "…" not in whole
    assert len(whole) > len(view.inbound_address)
    assert SECRET not in whole


# Forms -----------------------------------------------------------------------------------------


def test_every_adapter_has_a_form_with_its_secrets_apart() -> None:
    forms = {form.name: form for form in adapters()}

    assert set(forms) == set(ADAPTERS)
    for form in forms.values():
        names = [parameter.name for parameter in form.parameters]
        assert len(names) == len(set(names))
        assert names[-2:] == ["canary_to", "canary_minutes"]
        assert not {"name", "clock", "limits", "secrets"} & set(names)
    sms = {p.name: p for p in forms["simulated-sms"].parameters}
    assert sms["base_url"].required
    assert (sms["secret"].secret, sms["secret"].required) == (True, True)
    assert (sms["previous_secret"].secret, sms["previous_secret"].required) == (True, False)
    assert (sms["per_second"].type, sms["per_second"].default) == (ParameterType.NUMBER, "50.0")
    assert sms["links_allowed"].type is ParameterType.YES_NO
    shared = {p.name: p for p in forms["webhook"].parameters}["shared_secret"]
    assert (shared.type, shared.secret) == (ParameterType.YES_NO, False), "it asks, and holds none"


def test_every_parameter_that_must_be_given_can_be_typed_and_is_explained() -> None:
    for form in adapters():
        for parameter in form.parameters:
            assert parameter.help, f"{form.name}: nobody says what {parameter.name} is"
