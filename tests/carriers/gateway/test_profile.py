"""Profiles are read strictly: a mistake names its field and says what to do."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from channels.gateway import HttpGateway
from channels.gateway_reader import profile_from, read_profile, shipped_profiles
from channels.gateway_send_rules import SEND_NAMES
from channels.gateway_table import ProfileFault
from channels.registry import ChannelMisconfigured, build_channel, spec_from

SECRET = "very-secret-gateway-word"


def source(name: str) -> str:
    return (files("channels") / "gateway_profiles" / f"{name}.toml").read_text("utf-8")


def test_kannel_mas_and_json_are_shipped_and_readable() -> None:
    assert shipped_profiles() == ["json", "kannel", "mas"]
    for name in shipped_profiles():
        assert read_profile(name).name == name


MISTAKES = {
    # what is changed in the JSON profile: (old, new, what the fault says)
    "a misspelt field": ('method = "POST"', 'methods = "POST"', "send.method: is missing"),
    "a field nobody knows": (
        'title = "Generic',
        'titel = "x"\ntitle = "Generic',
        "titel: there is no such field; perhaps title is meant",
    ),
    "a country by its name": (
        'inbound_countries = ["*"]',
        'inbound_countries = ["China"]',
        "limits.inbound_countries: countries are calling codes",
    ),
    "a name that does not exist": (
        'to = "{to}"',
        'to = "{number}"',
        "send.fields.to: there is no {number}",
    ),
    "a name that is nearly right": (
        'text = "{text}"\nlanguage',
        'text = "{txt}"\nlanguage',
        "send.fields.text: there is no {txt}; perhaps text is meant",
    ),
    "a format after a name": ('to = "{to}"', 'to = "{to:>20}"', "send.fields.to: between braces"),
    "an attribute": ('to = "{to}"', 'to = "{to.__class__}"', "there is no {to.__class__}"),
    "a brace too many": ('to = "{to}"', 'to = "{to"', "send.fields.to: "),
    "an unknown encoding": (
        'encoding = "json"\nauth',
        'encoding = "jason"\nauth',
        "send.encoding: 'jason' is none of its words; perhaps json is meant",
    ),
    "an error class that is not ours": (
        'landline = "not_capable"',
        'landline = "land_line"',
        "answer.codes.landline: 'land_line' is none of our words",
    ),
    "a receipt word that is not ours": (
        'delivered = "delivered"',
        'delivered = "arrived"',
        "receipts.words.delivered: 'arrived' is none of its words",
    ),
    "half a word, that only calls of another kind need": (
        'delivered = "delivered"',
        'delivered = "played"',
        "receipts.words.delivered: 'played' is for calls that tell two things of one",
    ),
    "a status that is none": (
        'status = ["200", "201", "202"]',
        'status = ["2oo"]',
        "answer.accepted.status: '2oo' is no status",
    ),
    "a number where a text belongs": (
        'status = ["200", "201", "202"]',
        "status = [200]",
        "answer.accepted.status: must be a list of texts; put numbers in quotation marks",
    ),
    "a time without a form": (
        'form = "iso"\n\n[inbound]',
        'form = "ISO"\n\n[inbound]',
        "receipts.time.form: must be unix",
    ),
    "a zone that is none": ('zone = "UTC"', 'zone = "Beijing"', "zone: 'Beijing' is no time zone"),
    "a digest that is none": (
        'template = "{timestamp}.{body}" # over the body as it is sent, so it can only stand in'
        ' a header\ndigest = "hmac-sha256"',
        'template = "{timestamp}.{body}"\ndigest = "sha"',
        "send.signature.digest: 'sha' is none of its words",
    ),
    "a signature over the body in the body": (
        'reference = "{token}"           #',
        'reference = "{signature}"           #',
        "send.fields.reference: there is no {signature}",
    ),
    "a GET with a body": ('method = "POST"', 'method = "GET"', "send.encoding: a GET has no body"),
    "no way to prove a callback": (
        'header = "X-Gateway-Signature"\ntime_header',
        "time_header",
        "proof.by: a signature needs proof.header",
    ),
    "a reply that tells of failure": ("status = 204", "status = 500", "reply.status: must be from"),
    "a need that is none": (
        'needs = ["secret", "sender"]',
        'needs = ["password"]',
        "needs: there is no password",
    ),
    "a missing table": ("[answer.accepted]", "[answer.accept]", "answer.accepted: is missing"),
    "text around a table": ("[proof.signature]", "proof.signature = 3\n[x]", "proof"),
}


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_profile_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = source("json")
    assert old in text, "the profile has changed: this mistake changes nothing"
    path = tmp_path / "ours.toml"
    path.write_text(text.replace(old, new, 1))

    with pytest.raises(ProfileFault) as caught:
        read_profile(str(path))

    assert str(caught.value).startswith("profile ours: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("kanel", "no such profile is shipped; perhaps kannel is meant"),
        ("/nowhere/at-all.toml", "cannot read the file: No such file"),
        ("here.toml", "cannot read the file"),
    ],
)
def test_a_profile_that_is_not_there_says_where_it_was_looked_for(given: str, said: str) -> None:
    with pytest.raises(ProfileFault, match=said):
        read_profile(given)


def test_what_is_no_toml_and_no_utf8_is_said_plainly(tmp_path: Path) -> None:
    broken, gbk = tmp_path / "broken.toml", tmp_path / "gbk.toml"
    broken.write_text('title = "open')
    gbk.write_bytes('title = "网关"'.encode("gbk"))

    with pytest.raises(ProfileFault, match="profile broken: this is no TOML"):
        read_profile(str(broken))
    with pytest.raises(ProfileFault, match="not in UTF-8; save it so"):
        read_profile(str(gbk))


def test_a_value_may_not_take_a_name_that_has_a_meaning() -> None:
    document = tomllib.loads(source("mas").replace("values.sign]", "values.text]"))

    with pytest.raises(ProfileFault, match=r"values\.text: this name has a meaning already"):
        profile_from(document, name="x")


PARAMETERS = {
    "no secret": ({"secrets": ()}, "needs secret"),
    "a short secret": ({"secrets": ("short",)}, "at least 8 characters"),
    "no sender": ({"sender": ""}, "profile kannel needs sender"),
    "no web address": ({"base_url": "127.0.0.1:13013"}, "base_url begins with http"),
    "a password in the address": ({"base_url": "http://a:b@127.0.0.1"}, "no user"),
    "a value it has no name for": ({"values": "ec=1"}, "has no ec"),
    "values that are no pairs": ({"values": "ec_name"}, "written like"),
    "a network that is none": ({"allow_from": "10.0.0.0/33"}, "addresses or networks"),
    "a country by its name": ({"countries": "China"}, "calling codes such as 86"),
    "a country by its letters": ({"inbound_countries": ["CN"]}, "calling codes such as 86"),
    "digits nobody dials": ({"countries": "８６"}, "calling codes such as 86"),
    "a plus sign alone": ({"countries": "+"}, "calling codes such as 86"),
    "a pace below zero": ({"per_second": -1.0}, "per_second is a number from 0"),
}


@pytest.mark.parametrize(("changes", "said"), PARAMETERS.values(), ids=PARAMETERS)
def test_a_mistake_in_settings_stops_the_start_without_the_value(
    changes: dict[str, object], said: str
) -> None:
    table = {
        "name": "sms",
        "adapter": "http-gateway",
        "profile": "kannel",
        "base_url": "http://127.0.0.1:13013",
        "user": "u",
        "sender": "1069",
        "secrets": (SECRET,),
        **changes,
    }

    with pytest.raises(ChannelMisconfigured, match=said) as caught:
        build_channel(spec_from(table))

    assert str(caught.value).startswith("channel sms: ")
    assert SECRET not in str(caught.value)


def test_the_registry_builds_it_from_scalars_alone() -> None:
    """Settings hold texts, numbers and truths only."""
    channel = build_channel(
        spec_from(
            {
                "name": "mas",
                "adapter": "http-gateway",
                "kind": "sms",
                "profile": "mas",
                "base_url": "https://mas.example.org",
                "user": "ap1",
                "secret": SECRET,
                "values": "ec_name=清河县应急局; sign=8Kd2",
                "countries": "86 +852",
                "inbound_countries": "86",
                "per_second": 5.0,
                "sender": "01",
                "sender_per_second": 2.0,
                "allow_from": "10.1.0.0/16 192.0.2.7",
                "per_callee": "1/60 50/86400!",
            }
        )
    )

    can = channel.capabilities
    assert isinstance(channel, HttpGateway)
    assert can.countries == {"86", "852"}
    assert (can.per_second, can.paces[0].name, can.links_allowed) == (5.0, "sender:01", False)
    assert [(limit.count, limit.hard) for limit in can.per_callee] == [(1, False), (50, True)]


def test_the_profile_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "CARRIERS-GATEWAY.md").read_text("utf-8")
    text = page.partition("<!-- profile -->\n```toml\n")[2].partition("```")[0]
    path = tmp_path / "county.toml"
    path.write_text(text)

    profile = read_profile(str(path))

    assert profile.receipts is not None
    assert profile.receipts.token_field == "sid"
    for name in SEND_NAMES:
        assert f"`{name}`" in page, f"the page does not tell of {name}"
