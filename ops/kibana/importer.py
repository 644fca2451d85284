"""Brings saved objects into Kibana; may be repeated: what is there becomes what is brought.

Kibana answers 200 also when it has taken nothing: what counts is what the answer says.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from events.loops import Backoff

PATIENCE: Final = 300.0  # seconds; Kibana takes a minute or two to start
REQUEST_SECONDS: Final = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# About the moment, not about what was sent.
PASSING: Final = frozenset({408, 409, 429})
IMPORT: Final = "/api/saved_objects/_import"
FILE: Final = "sins.ndjson"  # Kibana wants this ending


class KibanaError(Exception):
    """Nothing was brought; the message is a sentence for a person."""


class Unusable(KibanaError):
    """The environment does not say how to reach Kibana."""


class Refused(KibanaError):
    """Kibana, or what answers in its place, says no; asking again would not help."""


class TooLate(KibanaError):
    """Kibana was not ready in time."""


class _NotYet(Exception):
    """Asking again may help."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where Kibana answers and who asks: a user, or an API key; ``authority`` signs for HTTPS."""

    url: str
    username: str = ""
    password: str = ""
    api_key: str = ""
    authority: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Login:
        """Return what the environment says, or a file it names; ``Unusable`` if that is too little.

        KIBANA_URL, and KIBANA_USERNAME with KIBANA_PASSWORD or KIBANA_API_KEY, and
        ELASTICSEARCH_CA, a certificate file, where HTTPS needs one.
        """
        url = environment.get("KIBANA_URL", "").rstrip("/")
        if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s@?#]*)?", url):
            raise Unusable("KIBANA_URL must look like https://kibana:5601, without a password.")
        login = cls(
            url,
            environment.get("KIBANA_USERNAME", ""),
            _secret(environment, "KIBANA_PASSWORD"),
            _secret(environment, "KIBANA_API_KEY"),
            environment.get("ELASTICSEARCH_CA", ""),
        )
        if not login.api_key and not (login.username and login.password):
            raise Unusable("Set KIBANA_USERNAME and KIBANA_PASSWORD, or KIBANA_API_KEY.")
        return login

    def client(self) -> httpx.Client:
        """Return a client that says who asks."""
        headers = {"kbn-xsrf": "true"}
        if self.api_key:
            headers["Authorization"] = f"ApiKey {self.api_key}"
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            auth=None if self.api_key else (self.username, self.password),
            verify=_trusted(self.authority),
            timeout=REQUEST_SECONDS,
            trust_env=False,
        )


def bring(
    login: Login,
    ndjson: bytes,
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Import the objects, waiting at most ``patience`` seconds for a Kibana that is not ready.

    ``Refused`` or ``TooLate`` if they are not there, all of them.
    """
    deadline = time.monotonic() + patience
    backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
    with login.client() as client:
        while True:
            try:
                return _import(client, ndjson)
            except _NotYet as not_yet:
                seconds = backoff.next()
                if time.monotonic() + seconds > deadline:
                    raise TooLate(f"{not_yet} Gave up after {patience:.0f} s.") from None
                print(not_yet, "Trying again.", flush=True)
                pause(seconds)


def _import(client: httpx.Client, ndjson: bytes) -> None:
    files = {"file": (FILE, ndjson, "application/x-ndjson")}
    try:
        answer = client.post(IMPORT, params={"overwrite": "true"}, files=files)
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Refused(
                f"The certificate at {client.base_url} is not trusted: set ELASTICSEARCH_CA."
            ) from None
        raise _NotYet(
            f"Kibana does not answer at {client.base_url}: {type(error).__name__}."
        ) from None
    said = _said(answer)
    _check_status(answer, said)
    _check_outcome(said, len(ndjson.splitlines()))


def _check_status(answer: httpx.Response, said: Mapping[str, Any]) -> None:
    status = answer.status_code
    if status in PASSING or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _NotYet(f"Kibana is not ready: it answers {status}.")
    if status == httpx.codes.UNAUTHORIZED:
        raise Refused("Kibana does not accept the user and password, or the API key.")
    if status == httpx.codes.FORBIDDEN:
        raise Refused("This user may not import saved objects into Kibana.")
    if answer.is_redirect:
        raise Refused(f"{answer.url.host} sends elsewhere: KIBANA_URL is not Kibana's address.")
    if not answer.is_success:
        raise Refused(f"Kibana answers {status}: {said.get('message') or 'without a reason'}")
    if not isinstance(said.get("success"), bool):
        raise Refused(f"What answers at {answer.url.host} is not Kibana.")


def _check_outcome(said: Mapping[str, Any], sent: int) -> None:
    """Raise unless every object was taken; ``_NotYet`` if each error may pass."""
    errors = [error for error in said.get("errors", ()) if isinstance(error, Mapping)]
    final = [error for error in errors if not _may_pass(error)]
    if final:
        raise Refused("Kibana refuses " + "; ".join(map(_sentence, final)))
    if not said["success"]:
        reasons = "; ".join(map(_sentence, errors)) or "no object, without a reason"
        raise _NotYet(f"Kibana has not taken {reasons}.")
    if said.get("successCount") != sent:
        raise Refused(f"Kibana has taken {said.get('successCount')} of {sent} objects.")


def _may_pass(error: Mapping[str, Any]) -> bool:
    """Whether it is about the moment: somebody else was writing, or Elasticsearch was busy."""
    reason = _reason(error)
    status = reason.get("statusCode")
    is_passing = isinstance(status, int) and (status in PASSING or status >= 500)
    return reason.get("type") == "conflict" or (reason.get("type") == "unknown" and is_passing)


def _sentence(error: Mapping[str, Any]) -> str:
    reason = _reason(error)
    name = f"{error.get('type')} {error.get('id')}: {reason.get('type')}"
    missing = [f"{each.get('type')} {each.get('id')}" for each in reason.get("references", ())]
    details = reason.get("message") or ", ".join(missing)
    return f"{name} ({details})" if details else name


def _reason(error: Mapping[str, Any]) -> Mapping[str, Any]:
    reason = error.get("error")
    return reason if isinstance(reason, Mapping) else {}


def _said(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _secret(environment: Mapping[str, str], name: str) -> str:
    file = environment.get(f"{name}_FILE")
    if not file:
        return environment.get(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Unusable(f"{name}_FILE cannot be read: {error.strerror}.") from None


def _trusted(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError):
        raise Unusable(f"ELASTICSEARCH_CA names no certificate: {authority}") from None
