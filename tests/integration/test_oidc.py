"""People log in at a provider of identities: whom it vouches for gets in as what the settings say, and nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from starlette.responses import JSONResponse, Response
from tests.identities import CLIENT, SECRET, Identities, Key, identities, unsigned
from tests.integration.test_access import ADMIN, jobs
from tests.integration.test_cli import hookline
from tests.support import Site, on_site

from hookline.errors import ConfigurationError
from hookline.settings import Settings, load
from hookline.web.oidc import provider as providers
from hookline.web.oidc.configured import configured
from hookline.web.oidc.entrance import COOKIE as SENT
from hookline.web.oidc.person import Rule, name_of, role_of
from hookline.web.sessions import COOKIE

RULES = {"oidc_operators": ("groups=ops",), "oidc_admins": ("email=grace@example.org",)}


@asynccontextmanager
async def with_provider(dsn: str, **changes: Any) -> AsyncIterator[tuple[Site, Identities]]:
    async with identities() as provider:
        told = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SecretStr(SECRET)}
        async with on_site(jobs(), dsn, tokens=["r00t"], public=True, **(told | RULES | changes)) as site:
            provider.redirect = f"{str(site.client.base_url).rstrip('/')}/login/oidc/callback"
            yield site, provider


@pytest.fixture
async def both(dsn: str) -> AsyncIterator[tuple[Site, Identities]]:
    async with with_provider(dsn) as found:
        yield found


async def sent_back(site: Site, next_: str = "/runs?state=failed") -> str:
    """The address with which a browser comes back from the provider."""
    sent = await site.client.get(f"/login/oidc?next={quote(next_, safe='')}")
    assert sent.status_code == 303, sent.text
    async with httpx.AsyncClient() as browser:
        at_provider = await browser.get(sent.headers["location"])
    assert at_provider.status_code == 302, at_provider.text
    return str(at_provider.headers["location"])


async def log_in(site: Site, next_: str = "/runs?state=failed") -> httpx.Response:
    return await site.client.get(await sent_back(site, next_))


def refused(site: Site, answer: httpx.Response, status: int, why: str, how: object = "") -> None:
    """It is a page that says why, with a way to go on, and nobody is logged in."""
    assert answer.status_code == status, (how, answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    text = re.sub(r"<[^>]*>", "", answer.text)
    assert why in text, text
    assert "Traceback" not in text
    assert 'href="/login?' in answer.text
    assert COOKIE not in site.client.cookies


async def test_who_logs_in_there_gets_where_they_wanted_to_in_their_role(both: tuple[Site, Identities]) -> None:
    site, provider = both
    page = await site.client.get("/login?next=/jobs")
    assert "Continue with 127.0.0.1" in page.text
    assert 'href="/login/oidc?next=%2Fjobs"' in page.text or 'href="/login/oidc?next=/jobs"' in page.text
    answer = await log_in(site)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?state=failed")
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in cookies)
    assert SENT not in site.client.cookies
    assert (await site.client.get("/api/me")).json() == {"name": "ada@example.org", "role": "operator"}
    assert (await site.client.get("/runs?state=failed")).status_code == 200

    ours = {"X-Hookline": "dashboard", "Origin": str(site.client.base_url).rstrip("/")}
    assert (await site.client.post("/api/jobs/order/runs", json={})).status_code == 403
    assert (await site.client.post("/api/jobs/order/runs", json={}, headers=ours)).status_code == 201
    assert (await site.client.post("/api/tokens", json={"name": "a", "role": "admin"}, headers=ours)).status_code == 403
    told = (await site.client.get("/api/audit", headers=ADMIN)).json()["audit"]
    assert [(each["who"], each["role"], each["path"], each["status"]) for each in told] == [
        ("ada@example.org", "operator", "/api/jobs/order/runs", 201),
        ("ada@example.org", "operator", "/login/oidc/callback", 303),
    ]
    assert provider.asked.count("/keys") == 1


async def test_what_a_browser_is_sent_with_gives_nothing_away(both: tuple[Site, Identities]) -> None:
    site, _ = both
    sent = await site.client.get("/login/oidc?next=/runs")
    query = {name: each[0] for name, each in parse_qs(urlsplit(sent.headers["location"]).query).items()}
    cookie = sent.headers["set-cookie"]
    assert "Path=/login/oidc" in cookie
    assert "Max-Age=600" in cookie
    assert not {"code_verifier", "client_secret"} & set(query)
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    kept = base64.urlsafe_b64decode(cookie.partition("=")[2].partition(";")[0])
    assert not [each for each in (query["state"], query["nonce"]) if each.encode() in kept]
    again = parse_qs(urlsplit((await site.client.get("/login/oidc")).headers["location"]).query)
    assert again["state"] != [query["state"]]


async def test_a_log_out_ends_it_and_so_does_time_and_another_provider(dsn: str) -> None:
    async with with_provider(dsn) as (site, _):
        for ending in ("/logout", "update hookline.sessions set expires_at = now()",
                       "update hookline.sessions set issuer = 'https://other.example'"):  # fmt: skip
            await log_in(site)
            kept = {"Cookie": f"{COOKIE}={site.client.cookies[COOKIE]}"}
            assert (await site.client.get("/api/me", headers=kept)).status_code == 200
            if ending == "/logout":
                await site.client.post(ending)
            else:
                await site.house.watch.connection.execute(ending)
            site.client.cookies.clear()

            async def is_out(_: object, kept: dict[str, str] = kept) -> bool:
                return (await site.client.get("/api/me", headers=kept)).status_code == 401

            await site.house.watch.until(is_out, timeout=5)


async def test_claims_that_only_userinfo_tells_count(both: tuple[Site, Identities]) -> None:
    site, provider = both
    provider.thin = True
    await log_in(site)
    assert (await site.client.get("/api/me")).json() == {"name": "ada@example.org", "role": "operator"}


async def test_userinfo_of_somebody_else_is_not_believed(both: tuple[Site, Identities]) -> None:
    site, provider = both
    provider.forge = lambda claims: claims | {"sub": "00u2other"}
    refused(site, await log_in(site), 502, "could not be verified")


@pytest.mark.parametrize(
    ("secret", "auth"), [(SECRET, "client_secret_basic"), (SECRET, "client_secret_post"), (None, "none")]
)
async def test_the_client_shows_who_it_is_as_the_provider_wants_it(dsn: str, secret: str | None, auth: str) -> None:
    given = {"oidc_client_secret": None if secret is None else SecretStr(secret)}
    async with with_provider(dsn, **given) as (site, provider):
        provider.secret, provider.auth = secret, auth
        assert (await log_in(site)).status_code == 303


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_keys_are_replaced_without_a_log_in_lost(both: tuple[Site, Identities], algorithm: str) -> None:
    site, provider = both
    assert (await log_in(site)).status_code == 303
    provider.rotate(algorithm)
    assert (await log_in(site)).status_code == 303
    assert (await log_in(site)).status_code == 303
    assert provider.asked.count("/keys") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1


def confused(provider: Identities) -> Callable[[dict[str, Any]], str]:
    """Signs with the public key, as if it were a secret of both."""
    public = provider.keys[0].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": provider.keys[0].id}).encode()).rstrip(b"=")

    def sign(claims: dict[str, Any]) -> str:
        said = head + b"." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        proof = base64.urlsafe_b64encode(hmac.digest(public, said, hashlib.sha256)).rstrip(b"=")
        return (said + b"." + proof).decode()

    return sign


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {each: value for each, value in claims.items() if each != name}


def with_(**more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: claims | more


NOW = int(time.time())

FORGED = {
    "another audience": with_(aud="another"),
    "no audience": without("aud"),
    "several audiences and nobody named": with_(aud=[CLIENT, "another"]),
    "made for another client": with_(aud=[CLIENT, "another"], azp="another"),
    "another issuer": with_(iss="https://evil.example"),
    "no issuer": without("iss"),
    "another nonce": with_(nonce="x"),
    "no nonce": without("nonce"),
    "a nonce that is none": with_(nonce=["x"]),
    "expired": with_(exp=NOW - 3600),
    "never expires": without("exp"),
    "of the future": with_(iat=NOW + 3600),
    "not yet good": with_(nbf=NOW + 3600),
    "of no time": without("iat"),
    "of nobody": without("sub"),
    "of a number": with_(sub=7),
}


async def test_an_id_token_that_says_something_wrong_is_refused(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for how, forge in FORGED.items():
        provider.forge = forge
        refused(site, await log_in(site), 502, "could not be verified", how)
    provider.forge = with_(aud=[CLIENT, "another"], azp=CLIENT)
    assert (await log_in(site)).status_code == 303


SIGNED: dict[str, Callable[[Identities], Callable[[dict[str, Any]], str]]] = {
    "by nobody": lambda _: unsigned,
    "with the public key as a secret": confused,
    "with the client's secret": lambda _: lambda claims: jwt.encode(claims, SECRET * 2, "HS256"),
    "with another key under the same name": lambda provider: (
        lambda claims: jwt.encode(claims, Key().private, "RS256", {"kid": provider.keys[0].id})
    ),
    "with a key that is not told": lambda _: Key().sign,
    "with a key that it brings along": lambda _: (
        lambda claims: (lambda key: jwt.encode(claims, key.private, "RS256", {"jwk": key.public}))(Key())
    ),
    "with nothing like a token": lambda _: lambda _: "x.y.z",
}


async def test_an_id_token_that_the_provider_did_not_sign_is_refused(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for how, signing in SIGNED.items():
        provider.sign = signing(provider)
        refused(site, await log_in(site), 502, "could not be verified", how)
    provider.sign = None
    assert (await log_in(site)).status_code == 303


async def test_clocks_may_differ_by_a_little(both: tuple[Site, Identities]) -> None:
    site, provider = both
    provider.forge = lambda claims: claims | {"iat": int(time.time()) + 30, "exp": int(time.time()) - 30}
    assert (await log_in(site)).status_code == 303


async def test_a_code_is_good_once_and_in_the_browser_that_asked(both: tuple[Site, Identities]) -> None:
    site, provider = both
    back = await sent_back(site)
    kept = {"Cookie": f"{SENT}={site.client.cookies[SENT]}"}
    stranger = httpx.AsyncClient(base_url=site.client.base_url)
    async with stranger:
        answer = await stranger.get(back)
        assert answer.status_code == 400
        assert "not begun in this browser" in answer.text
        assert COOKIE not in stranger.cookies
    assert (await site.client.get(back)).status_code == 303
    site.client.cookies.clear()
    refused(site, await site.client.get(back, headers=kept), 400, "was used already")
    refused(site, await site.client.get(back), 400, "not begun in this browser")
    assert len(provider.codes) == 0


async def test_another_state_is_refused_and_the_code_is_not_even_shown(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for change in (lambda url: re.sub(r"state=[^&]*", "state=x", url), lambda url: re.sub(r"&state=[^&]*", "", url),
                   lambda url: url + "&state=x"):  # fmt: skip
        back = change(await sent_back(site))
        refused(site, await site.client.get(back), 400, "not the log-in that was begun last")
    first = await sent_back(site)
    await sent_back(site)
    refused(site, await site.client.get(first), 400, "not the log-in that was begun last")
    assert "/token" not in provider.asked


async def test_an_answer_of_another_issuer_is_refused(both: tuple[Site, Identities]) -> None:
    site, provider = both
    back = re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fevil.example", await sent_back(site))
    refused(site, await site.client.get(back), 400, "not from 127.0.0.1")
    assert "/token" not in provider.asked


async def test_who_takes_too_long_begins_again(both: tuple[Site, Identities], monkeypatch: pytest.MonkeyPatch) -> None:
    site, provider = both
    back = await sent_back(site)
    now = time.time()
    monkeypatch.setattr("hookline.web.cookies.time.time", lambda: now + 601)
    refused(site, await site.client.get(back), 400, "has taken too long")
    assert "/token" not in provider.asked


async def test_what_the_provider_declines_is_told(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for error, status, why in (
        ("access_denied", 403, "did not let you in, or you did not agree"),
        ("temporarily_unavailable", 503, "Try again in a moment"),
        ("invalid_scope", 502, "invalid_scope"),
        ("<script>alert(1)</script>", 502, "an error"),
    ):
        provider.declines = error
        answer = await log_in(site)
        refused(site, answer, status, why)
        assert "<script>alert" not in answer.text


async def test_nobody_gets_in_whom_no_rule_lets_in_and_the_audit_tells(both: tuple[Site, Identities]) -> None:
    site, provider = both
    provider.person = {"sub": "00u3eve", "email": "grace@example.org", "email_verified": False, "groups": ["staff"]}
    refused(site, await log_in(site), 403, "nobody has given you a role")
    told = (await site.client.get("/api/audit", headers=ADMIN)).json()["audit"]
    assert [(each["who"], each["role"], each["status"], each["address"]) for each in told] == [
        ("00u3eve", "none", 403, "127.0.0.1")
    ]


async def test_when_the_audit_cannot_be_written_nobody_gets_in(
    both: tuple[Site, Identities], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, _ = both
    await site.client.get("/api/runs", headers=ADMIN)
    back = await sent_back(site)
    monkeypatch.setattr("hookline.store.audit.BEGIN", "select 1 from nowhere where $1::uuid is null")
    refused(site, await site.client.get(back), 503, "Postgres does not answer")


BROKEN: dict[str, tuple[str, Callable[[], Response], int]] = {
    "it fails": ("/token", lambda: Response(status_code=500), 503),
    "it has too much to do": ("/token", lambda: Response(status_code=429), 503),
    "it does not know us": ("/token", lambda: JSONResponse({"error": "invalid_client"}, 401), 502),
    "it answers what is no JSON": ("/token", lambda: Response("<html>", media_type="text/html"), 502),
    "it answers a list": ("/keys", lambda: JSONResponse([1]), 502),
    "its keys are none": ("/keys", lambda: JSONResponse({"keys": "x"}), 502),
    "it sends elsewhere": ("/keys", lambda: Response(status_code=302, headers={"Location": "http://[::1]/"}), 502),
    "it never stops": ("/keys", lambda: Response(b"{" + b" " * 600_000 + b"}"), 502),
    "it has no token": ("/token", lambda: JSONResponse({"access_token": "x"}), 502),
    "it keeps who it is to itself": ("/userinfo", lambda: JSONResponse({}, 403), 502),
}


async def test_a_page_says_what_is_wrong_with_the_provider(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for how, (path, answer, status) in BROKEN.items():
        provider.rotate("ES256")  # so that its keys are read again
        provider.before = lambda request, path=path, answer=answer: answer() if request.url.path == path else None
        refused(site, await log_in(site), status, "127.0.0.1", how)
    provider.before = lambda _: None
    assert (await log_in(site)).status_code == 303


async def test_a_provider_that_describes_itself_wrongly_is_not_gone_to(
    both: tuple[Site, Identities], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, provider = both
    monkeypatch.setattr(providers, "AGAIN", 0)
    for described in (
        {"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": None}, {"authorization_endpoint": "x"},
    ):  # fmt: skip
        provider.described = described
        refused(site, await site.client.get("/login/oidc"), 502, "could not be verified", described)
    provider.described = {}
    assert (await log_in(site)).status_code == 303


async def test_a_provider_that_is_away_is_asked_now_and_then_only_and_tokens_still_work(
    both: tuple[Site, Identities], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, provider = both
    provider.before = lambda _: Response(status_code=503)
    for _ in range(5):
        refused(site, await site.client.get("/login/oidc?next=/jobs"), 503, "does not answer right now")
    assert len(provider.asked) == 1
    assert (await site.client.post("/login", json={"token": "r00t"})).status_code == 200
    site.client.cookies.clear()
    provider.before = lambda _: None
    now = providers.monotonic()
    monkeypatch.setattr(providers, "monotonic", lambda: now + providers.AGAIN + 1)
    assert (await log_in(site)).status_code == 303


async def test_whoever_fails_too_often_has_to_wait(both: tuple[Site, Identities]) -> None:
    site, provider = both
    for _ in range(10):
        assert (await site.client.get("/login/oidc/callback?code=x&state=y")).status_code == 400
    refused(site, await log_in(site), 429, "wait a minute")
    assert "/token" not in provider.asked


EVIL = ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "\t//evil.example",
        "javascript:alert(1)", "/\r\nx: y", "///evil.example", "", "/" + "x" * 3000,
        "/é", "http:evil.example", "\\\\evil.example"]  # fmt: skip


async def test_nobody_is_sent_elsewhere(both: tuple[Site, Identities]) -> None:
    site, _ = both
    for wanted in EVIL:
        assert (await log_in(site, wanted)).headers["location"] == "/", wanted
        assert await _shown(site, wanted) == "/", wanted
    for wanted in ("/", "/runs?state=failed&job=a%20b", "/find?q=//x", "/%0d%0aSet-Cookie:x"):
        assert (await log_in(site, wanted)).headers["location"] == wanted


async def _shown(site: Site, wanted: str) -> str:
    page = (await site.client.get(f"/login?next={quote(wanted, safe='')}")).text
    found = re.search(r'data-next="([^"]*)"', page)
    assert found is not None
    return found[1]


async def test_no_secret_reaches_the_log(both: tuple[Site, Identities], capsys: pytest.CaptureFixture[str]) -> None:
    site, provider = both
    provider.sign = lambda claims: jwt.encode(claims, Key().private, "RS256")
    back = await sent_back(site)
    await site.client.get(back)
    provider.before = lambda request: Response(status_code=500) if request.url.path == "/token" else None
    again = await sent_back(site)
    await site.client.get(again)
    out = "".join(capsys.readouterr())
    assert "oidc.wrong" in out
    assert "oidc.away" in out
    codes = [parse_qs(urlsplit(each).query)["code"][0] for each in (back, again)]
    assert not [each for each in (*codes, *provider.bearers, SECRET, quote(SECRET, safe="")) if each in out]


RULE = [
    ({"groups": ["ops"]}, "operator"), ({"groups": "ops"}, "operator"), ({"groups": ["opsx", "op", "OPS"]}, None),
    ({"groups": {"ops": True}}, None), ({"groups": [["ops"]]}, None), ({"groups": None}, None), ({}, None),
    ({"groups": ["ops", "root"]}, "admin"), ({"email": "Ada@Example.org", "email_verified": True}, "viewer"),
    ({"email": "ada@example.org"}, None), ({"email": "ada@example.org", "email_verified": "yes"}, None),
    ({"email": "ada@example.org", "email_verified": "true"}, "viewer"),
    ({"email": "ada@example.org.evil.example", "email_verified": True}, None),
    ({"email": "evil@evil.example@example.org", "email_verified": True}, None),
    ({"email": ["ada@example.org"], "email_verified": True}, None), ({"sub": "u1"}, "viewer"),
    ({"https://example.org/roles": ["boss"]}, "admin"),
]  # fmt: skip


@pytest.mark.parametrize(("claims", "role"), RULE)
def test_a_rule_fits_or_it_does_not(claims: dict[str, Any], role: str | None) -> None:
    settings = Settings(
        oidc_issuer="https://id.example", oidc_client_id="c", public_url="https://hooks.example",
        oidc_viewers=("domain=Example.org", "sub=u1"), oidc_operators=("groups=ops",),
        oidc_admins=("groups=root", "https://example.org/roles=boss"),
    )  # fmt: skip
    told = configured(settings)
    assert told is not None
    assert role_of(claims, told.rules) == role


def test_who_somebody_is_called() -> None:
    assert name_of({"sub": "u1"}) == "u1"
    assert name_of({"sub": "u1", "email": "A@b.example", "email_verified": True}) == "a@b.example"
    assert name_of({"sub": "u1", "email": "a@b.example"}) == "u1"
    assert name_of({"sub": "u1", "email": "a\n@b.example", "email_verified": True}) == "u1"
    assert name_of({"sub": "u\n1"}) == r"'u\n1'"
    assert len(name_of({"sub": "x" * 1000})) == 200


GOOD = {
    "OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "c", "OIDC_ADMINS": "groups=a",
    "PUBLIC_URL": "https://hooks.example",
}  # fmt: skip

WRONG = [
    ({"OIDC_ISSUER": "http://id.example"}, "HOOKLINE_OIDC_ISSUER is an https address"),
    ({"OIDC_ISSUER": "https://id.example?x=1"}, "HOOKLINE_OIDC_ISSUER is an https address"),
    ({"OIDC_CLIENT_ID": None}, "HOOKLINE_OIDC_CLIENT_ID is not set"),
    ({"OIDC_ISSUER": None}, "HOOKLINE_OIDC_ISSUER is not"),
    ({"OIDC_ADMINS": None}, "lets nobody in"),
    ({"OIDC_ADMINS": "staff"}, "HOOKLINE_OIDC_ADMINS: 'staff' is not CLAIM=VALUE"),
    ({"OIDC_ADMINS": "groups="}, "is not CLAIM=VALUE"),
    ({"PUBLIC_URL": "http://hooks.example"}, "HOOKLINE_PUBLIC_URL has to be"),
    ({"PUBLIC_URL": None, "HOST": "0.0.0.0"}, "HOOKLINE_PUBLIC_URL has to be"),
    ({"OIDC_CLIENT_SECRET_FILE": "/nowhere/secret"}, "cannot read /nowhere/secret"),
    ({"OIDC_CLIENT_SECRET_FILE": "x", "OIDC_CLIENT_SECRET": "hush"}, "keep one of them"),
]


@pytest.mark.parametrize(("change", "why"), WRONG)
def test_settings_that_make_no_sense_stop_the_start(
    change: dict[str, str | None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (GOOD | change).items():
        if value is not None:
            monkeypatch.setenv(f"HOOKLINE_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        configured(load())
    assert why in str(caught.value)
    assert "hush" not in str(caught.value)


def test_the_secret_may_be_in_a_file_and_is_shown_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("hush\n")
    for name, value in (GOOD | {"OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret")}).items():
        monkeypatch.setenv(f"HOOKLINE_{name}", value)
    told = configured(load())
    assert told is not None
    assert told.secret == "hush"
    assert "hush" not in repr(told)
    assert told.callback == "https://hooks.example/login/oidc/callback"
    assert told.rules == (Rule("groups", "a", "admin"),)


async def test_the_command_line_stops_for_them_too(dsn: str) -> None:
    status, _, told = await hookline(
        "serve", "examples.deploy:app", "--port", "0", DATABASE_URL=dsn, OIDC_ISSUER="https://id.example"
    )
    assert status == 2
    assert "HOOKLINE_OIDC_CLIENT_ID is not set" in told
    assert "Traceback" not in told
