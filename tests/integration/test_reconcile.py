"""What a provider sent and never arrived comes in, once, and starts what it would have started."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pydantic import SecretStr
from starlette.responses import RedirectResponse, Response
from structlog.testing import capture_logs
from tests import providers
from tests.integration.test_cli import hookline
from tests.providers import APP, HOOK, KEY, TOKEN, Installation, ago, problem, served
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event
from hookline.engine.ledger import Ledger
from hookline.engine.watchdog import Watchdog
from hookline.ingress import reconcile
from hookline.ingress.reconcile import PREFIX
from hookline.ingress.reconcilers.fates import TRIES
from hookline.ingress.reconcilers.github import GitHub
from hookline.jobs.retry import Retry
from hookline.source_settings import SourceSettings
from hookline.store.journal import Record
from hookline_parsers import github, stripe


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to be spared."""
    monkeypatch.setattr(GitHub, "pause", 0.0)
    monkeypatch.setattr(reconcile, "RETRY", Retry(attempts=3, delay=0, on=reconcile.RETRY.on))
    monkeypatch.setattr(reconcile, "LOOK", 0.02)


def make_app() -> App:
    app = App()

    @app.job(on=github.push(), scope="{repository}")
    async def deploy(ctx: Context, event: Event) -> Any:
        return event.data["after"]

    @app.job(on=stripe("invoice.paid"))
    async def ship(ctx: Context, event: Event) -> Any:
        return event.data["id"]

    return app


def push(number: int) -> bytes:
    return PUSH.replace(b"9fceb02", b"%07d" % number)


class Pair:
    """A service, and a stand-in that it asks."""

    def __init__(self, site: Site, api: providers.GitHub, source: str = "github") -> None:
        self.site = site
        self.api = api
        self.source = source

    async def arrived(self, guid: str, number: int, at: Any) -> None:
        """A webhook that came through."""
        self.api.happened(guid, push(number), at).ok = True
        assert (await self.site.push(guid, push(number))).status_code == 202

    async def long_there(self) -> None:
        """Let the source have received its first delivery two hours ago."""
        await self.arrived("first", 0, ago(hours=2))
        await self.site.house.watch.connection.execute(
            "update hookline.deliveries set received_at = now() - interval '2 hours'"
        )

    async def age(self, span: timedelta) -> None:
        """Let what GitHub has done, and what passes have told, be so much longer ago."""
        self.api.age(span)
        await self.site.house.watch.connection.execute(
            "update hookline.run_data set output = jsonb_set(output::jsonb, '{until}',"
            " to_jsonb((output->>'until')::timestamptz - $1::interval)) where output->>'until' is not null",
            span,
        )

    async def run(self, **wanted: Any) -> dict[str, Any]:
        """A pass, once it has ended."""
        run = await self.site.house.finish(PREFIX + self.source, wanted)
        return run | {"told": None if run["output"] is None else json.loads(run["output"])}

    async def passes(self, **wanted: Any) -> dict[str, Any]:
        """What a pass that succeeds returns."""
        run = await self.run(**wanted)
        assert run["state"] == "succeeded", run["reason"]
        told: dict[str, Any] = run["told"]
        return told

    async def outputs(self, job: str = "deploy") -> list[Any]:
        """What the runs of `job` returned, in the order in which they were created."""
        connection = self.site.house.watch.connection
        runs = [row["id"] for row in await connection.fetch("select id from hookline.runs where job = $1", job)]
        await self.site.house.watch.ended(*runs)
        rows = await connection.fetch(
            "select output from hookline.runs join hookline.run_data on run_id = id where job = $1 order by seq", job
        )
        return [json.loads(row["output"]) for row in rows]


@asynccontextmanager
async def paired(
    dsn: str, *, lists: str = HOOK, reaching: bool = True, replica: bool = True, **said: str
) -> AsyncIterator[Pair]:
    """A service whose source github is reconciled with a stand-in, a worker at work on it.

    Args:
        reaching: whether what the stand-in sends again reaches the service.
        said: further settings.
    """
    api = providers.GitHub()
    async with served(api):
        said = {"": lists, "URL": api.url} | ({"TOKEN": TOKEN} if "APP_ID" not in said else {}) | said
        source = SourceSettings(
            "github", "github", (SecretStr(SECRET),), unsigned=False,
            reconcile={name: SecretStr(value) for name, value in said.items()},
        )  # fmt: skip
        async with on_site(make_app(), dsn, sources=(source,)) as site:
            house = site.house
            reconcile.declare(house.app, house.settings, house.database, house.intake)
            if reaching:

                async def send(guid: str, event: str, body: bytes) -> None:
                    await site.push(guid, body, X_GitHub_Event=event)

                api.send = send
            if replica:
                async with house.replica():
                    yield Pair(site, api)
            else:
                yield Pair(site, api)


async def test_what_was_lost_in_an_outage_comes_in_once_the_oldest_first(dsn: str) -> None:
    async with paired(dsn) as pair:
        await pair.long_there()
        for number in range(1, 261):
            at = ago(minutes=90, seconds=-number)
            if number % 10:
                await pair.arrived(f"guid-{number}", number, at)
            else:
                pair.api.happened(f"guid-{number}", push(number), at)
        told = await pair.passes()
        lost = [f"guid-{number}" for number in range(10, 261, 10)]
        assert (told["looked_at"], told["missing"], told["asked"], told["arrived"]) == (260, 26, 26, 26)
        assert (told["waiting"], told["left"], told["gave_up"], told["problem"]) == (0, 0, 0, None)
        assert pair.api.asked == lost
        assert [each["key"] for each in told["found"]] == lost
        assert {each["fate"] for each in told["found"]} == {"arrived"}
        assert sorted(await pair.outputs()) == [f"{number:07}" for number in range(261)]

        again = await pair.passes()
        assert (again["missing"], again["asked"], again["since"]) == (0, 0, told["until"])
        assert again["looked_at"] == 26
        assert len(pair.api.asked) == 26


async def test_what_does_not_arrive_is_asked_for_again_ever_less_often_and_given_up_aloud(dsn: str) -> None:
    async with paired(dsn, reaching=False) as pair:
        with patch.object(reconcile, "PATIENCE", 0.05):
            await pair.long_there()
            pair.api.happened("lost", push(1), ago(minutes=30))
            pair.api.happened("on its way", push(2), ago(seconds=20))
            told = await pair.passes()
            assert (told["missing"], told["asked"], told["arrived"], told["waiting"]) == (2, 1, 0, 2)
            assert told["problem"] == "1 deliveries were asked for and none arrived: can GitHub reach us?"
            for _ in range(2):
                assert (await pair.passes())["waiting"] == 2
            assert pair.api.asked == ["lost"]

            await pair.site.house.watch.connection.execute(
                "insert into hookline.deliveries (id, source, key, type, status, secret, headers, body)"
                " values (gen_random_uuid(), 'github', 'on its way', 'x', 'quarantined', '', '[]', '')"
            )
            for tries in range(1, TRIES):
                await pair.age(timedelta(minutes=10 * 2 ** (tries - 1) - 1))
                assert (await pair.passes())["asked"] == 0
                await pair.age(timedelta(minutes=1, seconds=5))
                assert (await pair.passes())["asked"] == 1
            assert pair.api.asked == ["lost"] * TRIES
            await pair.age(timedelta(minutes=11))
            with capture_logs() as logs:
                told = await pair.passes()
            assert (told["asked"], told["gave_up"], told["waiting"]) == (0, 1, 0)
            assert [each["fate"] for each in told["found"]] == ["gave_up"]
            assert [each["key"] for each in logs if each["event"] == "reconcile.gave_up"] == ["lost"]
            assert (await pair.passes())["missing"] == 0, "it is told of once: the next pass begins behind it"

            told = await pair.passes(since=ago(days=2).isoformat())
            assert (told["asked"], told["missing"]) == (1, 1), "a person who says since when asks again"
            assert told["until"] == (await pair.passes())["since"], "and moves nothing"


async def test_what_is_too_old_or_from_before_the_sources_time_is_left_alone(dsn: str) -> None:
    async with paired(dsn) as pair:
        pair.api.happened("before", push(1), ago(hours=3))
        pair.api.happened("ancient", push(2), ago(days=4))
        told = await pair.passes()
        assert (told["looked_at"], told["missing"]) == (0, 0)
        await pair.long_there()
        await pair.site.house.watch.connection.execute("delete from hookline.run_data")  # nobody knows what was settled
        assert (await pair.passes())["missing"] == 0
        told = await pair.passes(since=ago(days=30).isoformat())
        assert (told["missing"], pair.api.asked) == (1, ["before"])


async def test_a_pass_that_comes_too_late_says_what_cannot_be_had_any_more(dsn: str) -> None:
    async with paired(dsn) as pair:
        await pair.long_there()
        await pair.passes()
        settled = ago(days=4).isoformat()
        await pair.site.house.watch.connection.execute(
            "update hookline.run_data set output = json_build_object('until', $1::text)", settled
        )
        told = await pair.passes()
        assert told["problem"].startswith(f"what was sent from {settled[:10]}")
        assert told["problem"].endswith("cannot be had any more")
        assert (await pair.passes())["problem"] is None


async def test_a_dry_run_tells_what_is_missing_and_asks_for_nothing(dsn: str) -> None:
    async with paired(dsn) as pair:
        await pair.long_there()
        pair.api.happened("lost", push(1), ago(minutes=30))
        told = await pair.passes(dry_run=True)
        assert (told["missing"], told["left"], told["asked"], told["until"]) == (1, 1, 0, None)
        assert [(each["type"], each["fate"]) for each in told["found"]] == [("github.push", "due")]
        assert pair.api.asked == []
        assert (await pair.passes())["arrived"] == 1


async def test_one_pass_asks_for_so_many_and_the_next_for_the_rest(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MOST", 30)
    async with paired(dsn) as pair:
        await pair.long_there()
        for number in range(1, 51):
            pair.api.happened(f"guid-{number}", push(number), ago(minutes=90, seconds=-number))
        told = await pair.passes()
        assert (told["asked"], told["left"], told["arrived"]) == (30, 20, 30)
        assert (await pair.passes())["arrived"] == 20
        assert pair.api.asked == [f"guid-{number}" for number in range(1, 51)]


async def test_limits_are_kept_and_failures_passed_over(dsn: str) -> None:
    async with paired(dsn) as pair:
        await pair.long_there()
        for number in range(1, 31):
            pair.api.happened(f"guid-{number}", push(number), ago(minutes=60, seconds=-number))
        pair.api.answers = [
            Response(status_code=502),
            problem(403, "You have exceeded a secondary rate limit.", retry_after="1"),
            problem(429, "Too many requests", retry_after="1"),
            Response(b"<html>", media_type="text/html"),
        ]
        pair.api.remaining = 12
        told = await pair.passes()
        assert (told["asked"], told["arrived"], pair.api.violations) == (30, 30, 0)
        assert len(pair.api.asked) == len(set(pair.api.asked)) == 30


async def test_a_provider_that_only_ever_asks_to_wait_is_left_to_the_next_pass(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MOST_WAITS", 1)
    async with paired(dsn) as pair:
        pair.api.answers = [problem(429, "no", retry_after="1") for _ in range(2)]
        run = await pair.run()
        assert (run["state"], run["reason"].endswith("GitHub was to be left alone 1 times in a row")) == (
            "failed",
            True,
        )


@pytest.mark.parametrize(
    ("lists", "tokens", "said"),
    [
        (HOOK, {}, "401: Bad credentials. The token is wrong or has expired"),
        (HOOK, {TOKEN: ("write", 0.0)}, "401: Bad credentials. The token is wrong or has expired"),
        ("repos/octo/other/hooks/1", None, "404: Not Found. There is no such hook, or the token does not see it"),
        (
            HOOK,
            {TOKEN: ("read", 2e10)},
            "403: Resource not accessible by personal access token. The token lacks a perm",
        ),
    ],
)
async def test_a_token_that_does_not_do_fails_the_run_with_what_to_do(
    dsn: str, lists: str, tokens: dict[str, Any] | None, said: str
) -> None:
    with capture_logs() as logs:
        async with paired(dsn, lists=lists) as pair:
            await pair.long_there()
            pair.api.happened("lost", push(1), ago(minutes=30))
            pair.api.tokens = pair.api.tokens if tokens is None else tokens
            run = await pair.run()
            assert run["state"] == "failed"
            assert said in run["reason"]
            assert TOKEN not in await everything(pair.site)
    assert TOKEN not in repr(logs)


async def everything(site: Site) -> str:
    """All that the database keeps, as a text."""
    tables = ("runs", "run_data", "journal", "schedules", "deliveries")
    texts = [
        await site.house.watch.connection.fetchval(f"select json_agg(each)::text from hookline.{name} each")
        for name in tables
    ]
    return "".join(text or "" for text in texts)


async def test_one_hook_that_cannot_be_asked_hides_nothing_of_the_others(dsn: str) -> None:
    async with paired(dsn, lists=f"repos/octo/gone/hooks/9, {HOOK}") as pair:
        await pair.long_there()
        pair.api.happened("lost", push(1), ago(minutes=30))
        run = await pair.run()
        assert (run["state"], pair.api.asked) == ("failed", ["lost"])
        assert "repos/octo/gone/hooks/9/deliveries was answered 404" in run["reason"]
        assert (await pair.run())["journal"][1]["output"] is not None


async def test_a_token_is_told_to_nobody_else(dsn: str) -> None:
    elsewhere = providers.GitHub()
    async with served(elsewhere), paired(dsn) as pair:
        await pair.long_there()
        await pair.arrived("second", 1, ago(minutes=30))
        pair.api.answers = [RedirectResponse(f"{pair.api.url}/repos/octo/site/hooks/123/deliveries", 301)]
        assert (await pair.passes())["looked_at"] == 1
        pair.api.answers = [RedirectResponse(f"{elsewhere.url}/repos/octo/site/hooks/123/deliveries", 307)]
        assert "which is not told our token" in (await pair.run())["reason"]
        page = problem(200, "")
        page.body, page.headers["link"] = b"[]", f'<{elsewhere.url}/steal>; rel="next"'
        page.headers["content-length"] = "2"
        pair.api.answers = [page]
        assert "which is not told our token" in (await pair.run())["reason"]
    assert elsewhere.seen == []


async def test_an_app_asks_with_what_it_signs_and_with_tokens_of_its_installations(dsn: str, tmp_path: Path) -> None:
    org = "orgs/octo/hooks/5"
    key = tmp_path / "app.pem"
    with patch.object(providers, "generate_private_key", return_value=providers.GitHub().key):
        key.write_bytes(providers.GitHub().pem)
        async with paired(dsn, lists=f"app,{HOOK},{org}", APP_ID=APP, APP_KEY_FILE=str(key)) as pair:
            await pair.long_there()
            pair.api.attempts |= {"app": [], org: []}
            pair.api.installations = {
                "octo": Installation(7, {"repository_hooks": "write", "organization_hooks": "write"})
            }
            for number, hook in enumerate(("app", HOOK, org), 1):
                pair.api.happened(hook, push(number), ago(minutes=30), hook=hook)
            assert (await pair.passes())["arrived"] == 3
            assert sorted(pair.api.asked) == sorted(["app", HOOK, org])
            made = [path for _, path, _ in pair.api.seen if path.endswith("access_tokens")]
            assert len(made) == 2
            await pair.passes()
            assert [path for _, path, _ in pair.api.seen if path.endswith("access_tokens")] == made, "they are kept"

            pair.api.tokens = {token: (may, 0.0) for token, (may, _) in pair.api.tokens.items()}
            assert (await pair.passes())["problem"] is None, "one that was revoked is replaced"
            assert len([path for _, path, _ in pair.api.seen if path.endswith("access_tokens")]) == 4

            pair.api.installations["octo"].permissions.clear()
            pair.api.tokens.clear()
            run = await pair.run()
            assert "422: The permissions requested are not granted to this installation. An App has" in run["reason"]
            pair.api.installations.clear()
            assert "repos/octo/site/installation was answered 404" in (await pair.run())["reason"]
            kept = await everything(pair.site)
            assert not [token for token in {token for _, _, token in pair.api.seen} if token in kept]


async def test_a_worker_that_is_lost_in_mid_way_leaves_nothing_out_and_asks_for_nothing_twice(dsn: str) -> None:
    record, crashed = Ledger.record, False

    async def dying(ledger: Ledger, given: Record) -> None:
        nonlocal crashed
        if given.key == "ask#2" and given.settled and not crashed:
            crashed = True
            died.set_result(None)
            await asyncio.Event().wait()
        await record(ledger, given)

    async with paired(dsn, replica=False) as pair:
        house = pair.site.house
        await pair.long_there()
        for number in range(1, 51):
            pair.api.happened(f"guid-{number}", push(number), ago(minutes=90, seconds=-number))
        died = asyncio.get_running_loop().create_future()
        with patch.object(Ledger, "record", dying):
            doomed = asyncio.create_task(house.run_replica())
            run = await house.start(PREFIX + "github", {})
            await died
            doomed.cancel()
            await asyncio.gather(doomed, return_exceptions=True)
            await house.watch.value("select count(*) = 41 from hookline.deliveries")
            async with house.database.session() as connection:
                await connection.execute("update hookline.workers set expires_at = now() - interval '1 second'")
                await Watchdog(house.database, house.app.latest, 1.0, 1000).release_the_lost(connection)
            async with house.replica():
                await house.watch.ended(run)
                told = json.loads((await house.read(run))["output"])
                assert (told["missing"], told["arrived"], told["left"]) == (50, 50, 0)
                assert pair.api.asked == [f"guid-{number}" for number in range(1, 51)]
                assert len(await pair.outputs()) == 51


async def test_two_passes_at_once_make_no_sense(dsn: str) -> None:
    async with paired(dsn, replica=False) as pair:
        first, second = [await pair.site.house.start(PREFIX + "github", {}) for _ in range(2)]
        run = await pair.site.house.read(second)
        assert (run["state"], run["superseded_by"]) == ("cancelled", first)


async def test_a_quarantined_delivery_has_arrived(dsn: str) -> None:
    async with paired(dsn) as pair:
        await pair.long_there()
        pair.api.happened("broken", b"{", ago(minutes=30))
        assert (await pair.site.push("broken", b"{")).json()["status"] == "quarantined"
        assert (await pair.passes())["missing"] == 0


async def test_a_person_has_it_done_by_a_command(dsn: str) -> None:
    async with paired(dsn) as pair:
        service = {"URL": str(pair.site.client.base_url)}
        await pair.long_there()
        pair.api.happened("lost", push(1), ago(minutes=30))
        status, out, err = await hookline("reconcile", "github", "--dry-run", **service)
        assert (status, "github.push  lost" in out, "1 missing, 0 asked for" in out) == (1, True, True), err
        status, out, err = await hookline("reconcile", "github", **service)
        assert (status, "arrived" in out, "1 missing, 1 asked for, 1 arrived" in out) == (0, True, True), err
        assert pair.api.asked == ["lost"]
        status, out, _ = await hookline("reconcile", "github", "--json", "--since", "2026-01-01T00:00Z", **service)
        assert (status, json.loads(out)["missing"]) == (0, 0)
        pair.api.tokens.clear()
        status, _, err = await hookline("reconcile", "github", **service)
        assert (status, "The token is wrong or has expired" in err, TOKEN in err) == (1, True, False)
        status, _, err = await hookline("reconcile", "slack", **service)
        assert err == "hookline: nobody can be asked about slack: set HOOKLINE_SLACK_RECONCILE\n"


async def test_a_schedule_has_it_done(dsn: str) -> None:
    async with paired(dsn, replica=False, SCHEDULE="@every 1s") as pair:
        await pair.long_there()
        pair.api.happened("lost", push(1), ago(minutes=30))
        watch = pair.site.house.watch
        async with pair.site.house.replica():
            run = await watch.value("select id from hookline.runs where job <> 'deploy' order by seq limit 1")
            await watch.connection.execute("update hookline.runs set due_at = now() where id = $1", run)  # no jitter
            await watch.ended(run)
            assert json.loads((await pair.site.house.read(run))["output"])["arrived"] == 1
            (schedule,) = (await pair.site.client.get("/api/schedules")).json()["schedules"]
            assert (schedule["name"], schedule["declared"]) == (f"{PREFIX}github", True)


# Stripe


@asynccontextmanager
async def paired_with_stripe(dsn: str, **said: str) -> AsyncIterator[tuple[Pair, providers.Stripe]]:
    api = providers.Stripe()
    async with served(api):
        said = {"": "we_1", "URL": api.url, "TOKEN": KEY} | said
        source = SourceSettings(
            "stripe", "stripe", (SecretStr(SECRET),), unsigned=False,
            reconcile={name: SecretStr(value) for name, value in said.items()},
        )  # fmt: skip
        async with on_site(make_app(), dsn, sources=(source,)) as site:
            house = site.house
            reconcile.declare(house.app, house.settings, house.database, house.intake)
            async with house.replica():
                yield Pair(site, providers.GitHub(), "stripe"), api


async def sent(site: Site, body: bytes) -> dict[str, Any]:
    """What Stripe is answered, when it sends `body` itself."""
    headers = stripe.parser.headers_for("", "", body) | stripe.parser.scheme.sign(SECRET.encode(), body, {})
    answer: dict[str, Any] = (await site.client.post("/webhooks/stripe", content=body, headers=headers)).json()
    return answer


async def test_events_that_never_arrived_are_fetched_once_and_their_originals_are_duplicates(dsn: str) -> None:
    async with paired_with_stripe(dsn) as (pair, api):
        events = [api.happened(f"evt_{n}", "invoice.paid", ago(minutes=60, seconds=-n)) for n in range(1, 251)]
        api.happened("evt_other", "charge.failed", ago(minutes=40))
        for event in events[::2]:
            assert (await sent(pair.site, api.webhook(event)))["status"] == "accepted"
        told = await pair.passes(since=ago(hours=1, minutes=30).isoformat())
        assert (told["missing"], told["asked"], told["arrived"]) == (125, 125, 125)
        assert {each["fate"] for each in told["found"]} == {"fetched"}
        fetched = [path for path, _ in api.seen if path.startswith("/v1/events/")]
        assert fetched == [f"/v1/events/evt_{n}" for n in range(2, 251, 2)], "the oldest first, none twice"
        listed = [query for path, query in api.seen if path == "/v1/events"]
        assert [query.get("starting_after") for query in listed] == [None, ["evt_151"], ["evt_51"]]
        assert listed[0]["types[]"] == ["customer.created", "invoice.paid"]
        assert len(set(await pair.outputs("ship"))) == 250

        late = await sent(pair.site, api.webhook(events[1]))
        assert (late["status"], len(late["runs"])) == ("duplicate", 1)
        kept = await pair.site.client.get(f"/api/deliveries/{late['delivery']}")
        assert (kept.json()["secret"], kept.json()["status"]) == ("reconciled", "accepted")
        other = await sent(pair.site, api.webhook(events[0]) + b" ")
        assert other["status"] == "conflict", "two bodies of the sender's own are one still"
        assert len(await pair.outputs("ship")) == 250


async def test_an_original_that_comes_while_the_event_is_being_fetched_is_the_one_that_counts(dsn: str) -> None:
    async with paired_with_stripe(dsn) as (pair, api):
        event = api.happened("evt_1", "invoice.paid", ago(minutes=30))

        async def overtaken() -> None:
            assert (await sent(pair.site, api.webhook(event)))["status"] == "accepted"

        api.showing = overtaken
        told = await pair.passes(since=ago(hours=1).isoformat())
        assert told["arrived"] == 1
        rows = await pair.site.house.watch.connection.fetch("select status, secret from hookline.deliveries")
        assert [(row["status"], row["secret"] == "reconciled") for row in rows] == [("accepted", False)]
        assert await pair.outputs("ship") == ["evt_1"]


async def test_only_what_the_endpoint_is_sent_is_fetched(dsn: str) -> None:
    async with paired_with_stripe(dsn) as (pair, api):
        since = ago(hours=1).isoformat()
        api.endpoint |= {"enabled_events": ["*"], "created": int(ago(minutes=20).timestamp()), "status": "disabled"}
        api.happened("evt_before", "invoice.paid", ago(minutes=30))
        api.happened("evt_any", "charge.failed", ago(minutes=10))
        told = await pair.passes(since=since)
        assert [each["key"] for each in told["found"]] == ["evt_any"]
        assert told["problem"] == "Stripe has switched endpoint we_1 off: switch it on there"
        api.happened("evt_unwanted", "charge.failed", ago(minutes=25))
        api.endpoint |= {"enabled_events": [f"x.y{n}" for n in range(30)] + ["invoice.paid"], "created": 0}
        told = await pair.passes(since=since)
        assert [each["key"] for each in told["found"]] == ["evt_before"]
        api.answers = [Response(status_code=500) for _ in range(3)]
        assert "was answered 500" in (await pair.run())["reason"]
        api.endpoint["id"] = "we_2"
        assert "There is no such endpoint: it may be of the other mode" in (await pair.run())["reason"]


async def test_a_wrong_key_is_told_of_without_it(dsn: str) -> None:
    async with paired_with_stripe(dsn, TOKEN="rk_live_0therS3cret") as (pair, _):
        run = await pair.run()
        assert "401: Invalid API Key provided: Bearer ********. The key is wrong" in run["reason"]
        assert "0therS3cret" not in await everything(pair.site)
