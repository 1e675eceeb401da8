"""Faults: every type of problem that is answered over HTTP, what has happened, and what to do; there are no others."""

from __future__ import annotations

from enum import Enum

WHERE = "/problems/"
"""Where the service tells of each type, and what a type's name as a URI begins with."""


class Fault(Enum):
    """A type of problem: its status, its title, what has happened, and what to do about it.

    The name of one is a promise: programs tell problems apart by it.
    """

    BODY_CUT_OFF = (
        400, "Body cut off",
        "The connection ended before the whole body had come.",
        "Send it again.",
    )  # fmt: skip
    BODY_NOT_JSON = (
        400, "Body is not JSON",
        "The body cannot be read as JSON, or as UTF-8.",
        "Send JSON in UTF-8; `detail` says where it stops being that.",
    )  # fmt: skip
    IDEMPOTENCY_KEY_UNREADABLE = (
        400, "Idempotency key unreadable",
        "`Idempotency-Key` is empty, too long, given twice, or not printable ASCII.",
        "Send one key of up to 255 characters, such as a UUID.",
    )  # fmt: skip
    LOGIN_STALE = (
        400, "Log-in not valid any more",
        "What came back from the provider of identities is not what this browser was sent for, or is too old.",
        "Log in again, in one window.",
    )  # fmt: skip
    TOKEN_NEEDED = (
        401, "Token needed",
        "Nobody is known by what the request shows: no token, or one that is wrong, revoked or over.",
        "Send `Authorization: Bearer` with an API token that is good.",
    )  # fmt: skip
    TOKEN_REFUSED = (
        401, "Token refused",
        "The token that was shown to log in is wrong, revoked, or has expired.",
        "Log in with another; an admin makes them.",
    )  # fmt: skip
    NOT_VERIFIED = (
        401, "Delivery not verified",
        "A webhook's signature is missing, wrong or too old; nothing of it was kept.",
        "Compare the secret that the sender has with that of the source, and the clocks; the service's log and "
        "metrics have the reason, which senders are not told.",
    )  # fmt: skip
    LOGIN_REFUSED = (
        403, "Log-in refused",
        "The provider of identities did not let this person in, or its word gives them no role here.",
        "Log in as somebody else, or ask whoever runs the service for a role.",
    )  # fmt: skip
    ROLE_TOO_LOW = (
        403, "Role too low",
        "Who asks is known, and may not do this.",
        "Use a token of the role that `detail` names, or ask an admin.",
    )  # fmt: skip
    NOT_FROM_HERE = (
        403, "Not from a page of this service",
        "A browser's session was used to change something, by another site's page.",
        "Use a page of this service, or send a token in place of the session's cookie.",
    )  # fmt: skip
    NOT_THIS_MACHINE = (
        403, "Only for this machine",
        "The service has no API tokens, so it answers only whoever sits at its machine.",
        "Set `HOOKLINE_API_TOKENS`, or make a token with `hookline tokens create`.",
    )  # fmt: skip
    SENDER_NOT_ALLOWED = (
        403, "Sender not allowed",
        "The source takes nothing from the address that the webhook came from.",
        "Add the address to what the source allows; behind a proxy, set `HOOKLINE_TRUSTED_PROXIES`.",
    )  # fmt: skip
    NO_SUCH_PATH = (
        404, "No such path",
        "The service answers nothing there.",
        "Look the path up in `/docs` or `/openapi.json`.",
    )  # fmt: skip
    UNKNOWN_RUN = (
        404, "Unknown run",
        "There is no run with this id; it may have been deleted since.",
        "List them: `GET /api/runs`.",
    )  # fmt: skip
    UNKNOWN_JOB = (
        404, "Unknown job",
        "The application that answers declares no job of this name.",
        "List them: `GET /api/jobs`; after a deploy, see that this replica has it.",
    )  # fmt: skip
    UNKNOWN_DELIVERY = (
        404, "Unknown delivery",
        "There is no delivery with this id; it may have been deleted since.",
        "List them: `GET /api/deliveries`.",
    )  # fmt: skip
    UNKNOWN_DEFINITION = (
        404, "Unknown definition",
        "There is no definition of this name, or not of that version, or it was deleted.",
        "List them: `GET /api/definitions`.",
    )  # fmt: skip
    UNKNOWN_SCHEDULE = (
        404, "Unknown schedule",
        "No job declares a schedule of this name.",
        "List them: `GET /api/schedules`.",
    )  # fmt: skip
    UNKNOWN_SOURCE = (
        404, "Unknown source",
        "There is no source of this name.",
        "List them: `GET /api/sources`; a sender's address ends in the name of one.",
    )  # fmt: skip
    UNKNOWN_TOKEN = (
        404, "Unknown token",
        "There is no API token with this id.",
        "List them: `GET /api/tokens`.",
    )  # fmt: skip
    UNKNOWN_CALLBACK = (
        404, "Unknown callback",
        "The address of this callback is none that this service gave away.",
        "Use the whole address as the run told it.",
    )  # fmt: skip
    METHOD_NOT_ALLOWED = (
        405, "Method not allowed",
        "The path is there, and is asked in other ways; `Allow` lists them.",
        "Use one of those.",
    )  # fmt: skip
    NOT_ACCEPTABLE = (
        406, "Not acceptable",
        "`Accept` leaves out the one media type that this is answered in.",
        "Accept what `detail` names, or `*/*`.",
    )  # fmt: skip
    BODY_TOO_SLOW = (
        408, "Body too slow",
        "The body did not arrive in time.",
        "Send it again, faster; `HOOKLINE_BODY_TIMEOUT` is the time.",
    )  # fmt: skip
    NOT_YET = (
        408, "Not yet",
        "What was waited for has not come about in that time; nothing is wrong.",
        "Ask again.",
    )  # fmt: skip
    RUN_ENDED = (
        409, "The run has ended",
        "The run is over, and what is over is final.",
        "Start another, or retry or fork this one.",
    )  # fmt: skip
    STATE_FORBIDS = (
        409, "The run's state forbids it",
        "The state that the run is in does not lead to what was asked for.",
        "Look at the run, and ask again once it is in a state that allows it.",
    )  # fmt: skip
    COMPLETED_ALREADY = (
        409, "Completed already",
        "This callback was completed before; the first answer counts.",
        "Nothing: it is done.",
    )  # fmt: skip
    TOKEN_EXISTS = (
        409, "The token exists",
        "A token with this id was made before, and is shown only once.",
        "Revoke it and make another, with another id.",
    )  # fmt: skip
    SOURCE_FIXED = (
        409, "The source is declared elsewhere",
        "Settings or code declare a source of this name, and go before the API.",
        "Change it there, or take another name.",
    )  # fmt: skip
    SOURCE_UNUSABLE = (
        409, "The source cannot be used",
        "The source is not configured here, or its parser is not installed.",
        "Configure it again, or install the parser, and ask again.",
    )  # fmt: skip
    SOURCE_UNSIGNED = (
        409, "The source is unsigned",
        "The source takes webhooks without proof, so it has no secrets.",
        "Declare it with secrets first.",
    )  # fmt: skip
    TOO_MANY_SECRETS = (
        409, "Too many secrets",
        "So many secrets of the source are active that no more are looked at.",
        "Rotate with an overlap that ends the old ones sooner.",
    )  # fmt: skip
    NO_ENCRYPTION_KEY = (
        409, "No encryption key",
        "Secrets are kept in Postgres only encrypted, and the service has no key for that.",
        "Set `HOOKLINE_ENCRYPTION_KEYS`, or declare the source in the settings.",
    )  # fmt: skip
    REQUEST_IN_PROGRESS = (
        409, "Request in progress",
        "The first request with this idempotency key is being answered right now.",
        "Send it again after `Retry-After` seconds: it is answered as the first was.",
    )  # fmt: skip
    CALLBACK_CLOSED = (
        410, "Callback closed",
        "Nobody waits for this callback any more: it was answered, has expired, or its run has ended.",
        "Nothing; a run that still wants to know asks anew.",
    )  # fmt: skip
    PRECONDITION_FAILED = (
        412, "Changed meanwhile",
        "What `If-Match` names is not what is there now: somebody else has changed it.",
        "Read it again, make the change to that, and send it with the new `ETag`.",
    )  # fmt: skip
    BODY_TOO_LARGE = (
        413, "Body too large",
        "The body has more bytes than are taken.",
        "Send a smaller one; `HOOKLINE_MAX_BODY`, or the source's `max_body`, is the limit.",
    )  # fmt: skip
    MEDIA_TYPE = (
        415, "Unsupported media type",
        "The body is declared to be of a type, or in an encoding, that is not taken here.",
        "Send what `detail` names, uncompressed, and say so in `Content-Type`.",
    )  # fmt: skip
    INVALID_PARAMETER = (
        422, "Invalid parameter",
        "A parameter of the query, of the path or a header is unknown, or does not fit.",
        "See `detail`, and the call in `/docs`.",
    )  # fmt: skip
    INVALID_BODY = (
        422, "Invalid body",
        "The body is well formed, and not of the shape that is asked for here.",
        "See `detail`, and the call in `/docs`.",
    )  # fmt: skip
    INVALID_INPUT = (
        422, "Invalid input",
        "What was asked for does not fit its job, its definition or its run; nothing was made.",
        "See `detail`; `GET /api/jobs` has the schema of each job's input.",
    )  # fmt: skip
    IDEMPOTENCY_KEY_REUSED = (
        422, "Idempotency key reused",
        "Another request was made with this idempotency key before.",
        "Send the same request again, or this one with a key of its own.",
    )  # fmt: skip
    TOO_OFTEN = (
        429, "Too often",
        "The source's rate is used up, or too many wrong tokens came from this address.",
        "Come again after `Retry-After` seconds.",
    )  # fmt: skip
    HEAD_TOO_LARGE = (
        431, "Headers too large",
        "The request has too many headers, or too many bytes of them.",
        "Send fewer.",
    )  # fmt: skip
    FAILED = (
        500, "The service failed",
        "The service has a defect that this request came upon.",
        "Look for `instance` in its log, which has the reason.",
    )  # fmt: skip
    PROVIDER_WRONG = (
        502, "The provider cannot be believed",
        "What the provider of identities said could not be verified, so nobody was let in.",
        "Try again; the service's log has the reason.",
    )  # fmt: skip
    PROVIDER_AWAY = (
        503, "The provider does not answer",
        "The provider of identities cannot be reached right now.",
        "Try again in a moment, or log in with a token.",
    )  # fmt: skip
    KEY_MISSING = (
        503, "Encryption key missing",
        "What is asked for rests encrypted under a key that this replica has not; nothing was changed.",
        "Add the key that `detail` names to `HOOKLINE_ENCRYPTION_KEYS`, and ask again.",
    )  # fmt: skip
    UNAVAILABLE = (
        503, "Unavailable",
        "Postgres does not answer, or too much is in flight; nobody knows whether a change was made.",
        "Send it again after `Retry-After` seconds, with the same id or idempotency key.",
    )  # fmt: skip

    def __init__(self, status: int, title: str, happened: str, advice: str) -> None:
        self.status = status
        self.title = title
        self.happened = happened
        self.advice = advice

    @property
    def slug(self) -> str:
        """Its name in addresses."""
        return self.name.lower().replace("_", "-")

    @property
    def uri(self) -> str:
        """What `type` says: where the service tells of it."""
        return WHERE + self.slug


BY_SLUG = {each.slug: each for each in Fault}

OF_STATUS = {404: Fault.NO_SUCH_PATH, 405: Fault.METHOD_NOT_ALLOWED}
"""What the routes themselves find wrong."""
