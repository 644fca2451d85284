"""The one module that knows Elasticsearch: the index template, and creating documents in bulk."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch

from consumers.ship_documents import FIELDS, INDEX_PREFIX, Document, lines_of

TEMPLATE: Final = "sins-tx"
PATTERN: Final = f"{INDEX_PREFIX}*"
SECONDS: Final = 30.0  # a request may take
MOST_REASON: Final = 500  # characters
CREATED, EXISTS = 201, 409
BAD, TOO_LARGE = 400, 413
# These are about the document. Any other refusal is about who asks, the index, the cluster or the
# moment (a full cluster, too, says 400): the document waits, and the lag shows it.
OF_DOCUMENT: Final = frozenset(
    {
        "strict_dynamic_mapping_exception",
        "document_parsing_exception",
        "mapper_parsing_exception",
        "illegal_argument_exception",
    }
)
_PARTS: Final = [f"items.create.{part}" for part in ("status", "error.type", "error.reason")]


@dataclass(slots=True)
class Answer:
    """What became of documents: there for good, refused with the reason, or to be sent again."""

    accepted: list[Document] = field(default_factory=list)
    refused: list[tuple[Document, str]] = field(default_factory=list)
    again: list[Document] = field(default_factory=list)


class Bulk:
    """Creates documents; an id that exists is left as it is, so sending again changes nothing."""

    def __init__(self, host: str) -> None:
        # Of certificates it trusts what OpenSSL does: the system's, or those in SSL_CERT_FILE.
        tls: Any = {"ssl_context": ssl.create_default_context()} if _is_https(host) else {}
        self._client = Elasticsearch(host, request_timeout=SECONDS, max_retries=0, **tls)
        self._thread = ThreadPoolExecutor(1, "bulk")

    def prepare(self) -> None:
        """Make new months strict, and teach present ones the fields a release has added."""
        properties = {name: {"type": kind} for name, kind in FIELDS.items()}
        mappings = {"dynamic": "strict", "properties": properties}
        settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
        self._client.indices.put_index_template(
            name=TEMPLATE,
            index_patterns=[PATTERN],
            priority=500,
            template={"settings": settings, "mappings": mappings},
        )
        self._client.indices.put_mapping(
            index=PATTERN, allow_no_indices=True, dynamic="strict", properties=properties
        )

    def begin(self, documents: Sequence[Document]) -> Future[Answer]:
        """Let ``create`` go on while the caller does something else."""
        return self._thread.submit(self.create, documents)

    def create(self, documents: Sequence[Document]) -> Answer:
        """Send documents in one request; raises what ``elasticsearch`` does if none was taken.

        A request that is refused for its content is sent in halves, until what is refused is
        alone.
        """
        if not documents:
            return Answer()
        lines: Any = lines_of(documents)
        try:
            said = self._client.bulk(operations=lines, filter_path=_PARTS)
        except ApiError as exc:
            if exc.status_code not in {BAD, TOO_LARGE}:
                raise
            return self._halved(documents, exc)
        return _answer(documents, [item["create"] for item in said["items"]])

    def close(self) -> None:
        """Wait for what has begun, and close the connections."""
        self._thread.shutdown()
        self._client.close()

    def _halved(self, documents: Sequence[Document], error: ApiError) -> Answer:
        if len(documents) == 1:
            return Answer(refused=[(documents[0], _reason({"status": error.status_code}))])
        middle = len(documents) // 2
        first, second = self.create(documents[:middle]), self.create(documents[middle:])
        return Answer(
            first.accepted + second.accepted,
            first.refused + second.refused,
            first.again + second.again,
        )


def _is_https(host: str) -> bool:
    return host.lower().startswith("https:")


def _answer(documents: Sequence[Document], items: Sequence[Mapping[str, Any]]) -> Answer:
    answer = Answer()
    for document, item in zip(documents, items, strict=True):
        status = item["status"]
        if status in {CREATED, EXISTS}:
            answer.accepted.append(document)
        elif status == TOO_LARGE or (status == BAD and _type(item) in OF_DOCUMENT):
            answer.refused.append((document, _reason(item)))
        else:
            answer.again.append(document)
    return answer


def _type(item: Mapping[str, Any]) -> str:
    return str(item.get("error", {}).get("type", ""))


def _reason(item: Mapping[str, Any]) -> str:
    error = item.get("error", {})
    parts = (str(item["status"]), error.get("type"), error.get("reason"))
    return " ".join(part for part in parts if part)[:MOST_REASON]
