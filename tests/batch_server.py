"""A real HTTP server with a provider's batch endpoints, for tests: it answers, holds, fails, expires and forgets."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "sk-canary-batches-5f0e9a"


@dataclass
class Made:
    """A batch at the server."""

    id: str
    rows: list[dict[str, Any]]
    asked: dict[str, Any]
    looks: int = 0
    status: str = "completed"
    """What it becomes once it is no longer held."""
    output: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)


def answered(row: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    """A line of an output file; the text echoes the prompt, where none is given."""
    text = f"heard {row['body']['messages'][-1]['content']}" if text is None else text
    message = {"role": "assistant", "content": text}
    body = {
        "id": "chatcmpl-1",
        "model": f"{row['body']['model']}-2025-01-01",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    return _line(row, {"status_code": 200, "request_id": "r", "body": body}, None)


def refused(row: dict[str, Any], status: int, message: str) -> dict[str, Any]:
    """A line of an error file with the endpoint's refusal."""
    return _line(row, {"status_code": status, "request_id": "r", "body": {"error": {"message": message}}}, None)


def dropped(row: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    """A line of an error file of a request that was never put to the model."""
    return _line(row, None, {"code": code, "message": message})


def _line(row: dict[str, Any], response: Any, error: Any) -> dict[str, Any]:
    return {"id": "batch_req_1", "custom_id": row["custom_id"], "response": response, "error": error}


def answers_all(batch: Made, number: int) -> None:
    """Every request is answered, in another order than asked."""
    batch.output = [answered(row) for row in reversed(batch.rows)]


class BatchServer:
    """The server on a free port of 127.0.0.1.

    Args:
        work: (batch, number of batches before it) → fills in what becomes of the batch.
        key: what calls must bring.
    """

    def __init__(self, work: Callable[[Made, int], None] = answers_all, key: str = KEY) -> None:
        self.work, self.key = work, key
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Made] = {}
        self.calls: list[str] = []
        self.held = threading.Event()
        """While it is not set, batches stay in progress."""
        self.held.set()
        self.looked = threading.Event()
        """Set at a look at a batch."""
        self.lose_created = 0
        """How many answers to the making of a batch get lost on the way."""
        self.faults: list[tuple[str, int, str]] = []
        """(beginning of method and path, status, message) of calls that fail, each once."""
        self.raw: list[tuple[str, bytes]] = []
        """(beginning of method and path, body) of calls that are answered so."""
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer("GET")

            def do_POST(self) -> None:
                self.answer("POST")

            def answer(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with server.lock:
                    told = server.answer(method, self.path, dict(self.headers.items()), body)
                if told is None:
                    self.close_connection = True
                    return
                status, raw = told
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def count(self, beginning: str) -> int:
        """How many calls began so."""
        return sum(call.startswith(beginning) for call in self.calls)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        call = f"{method} {target}"
        self.calls.append(call)
        url = urlsplit(target)
        if headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, f"wrong key: {headers.get('Authorization')}")
        for fault in self.faults:
            if call.startswith(fault[0]):
                self.faults.remove(fault)
                return _error(fault[1], fault[2])
        for beginning, raw in self.raw:
            if call.startswith(beginning):
                return 200, raw
        if call == "POST /v1/files":
            return self.upload(headers["Content-Type"], body)
        if call == "POST /v1/batches":
            return self.create(json.loads(body))
        if method == "GET" and url.path == "/v1/batches":
            return self.listed(parse_qs(url.query))
        if found := re.fullmatch(r"/v1/batches/([^/]+)", url.path):
            self.looked.set()
            batch = self.batches.get(found[1])
            if batch is None:
                return _error(404, f"no batch {found[1]}")
            batch.looks += 1
            return _told(self.shown(batch))
        if (found := re.fullmatch(r"/v1/files/([^/]+)/content", url.path)) and found[1] in self.files:
            return 200, self.files[found[1]]
        return _error(404, f"nothing at {target}")

    def upload(self, content_type: str, body: bytes) -> tuple[int, bytes]:
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        form = parser.parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        assert parts["purpose"].get_payload(decode=True) == b"batch"
        assert parts["file"].get_filename().endswith(".jsonl")
        content = parts["file"].get_payload(decode=True)
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return _told({"id": name, "object": "file", "purpose": "batch"})

    def create(self, asked: dict[str, Any]) -> tuple[int, bytes] | None:
        assert asked["endpoint"] == "/v1/chat/completions"
        rows = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert len({row["custom_id"] for row in rows}) == len(rows)
        assert all((row["method"], row["url"]) == ("POST", "/v1/chat/completions") for row in rows)
        batch = Made(f"batch_{len(self.batches)}", rows, asked)
        self.work(batch, len(self.batches))
        self.batches[batch.id] = batch
        for kind, lines in (("out", batch.output), ("err", batch.errors)):
            self.files[f"{kind}-{batch.id}"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        if self.lose_created:
            self.lose_created -= 1
            return None
        return _told(self.shown(batch))

    def shown(self, batch: Made) -> dict[str, Any]:
        told: dict[str, Any] = {"id": batch.id, "object": "batch", "metadata": batch.asked.get("metadata")}
        told |= {"status": "in_progress", "output_file_id": None, "error_file_id": None, "errors": None}
        if self.held.is_set():
            told["status"] = batch.status
            told["output_file_id"] = f"out-{batch.id}" if batch.output else None
            told["error_file_id"] = f"err-{batch.id}" if batch.errors else None
            told["errors"] = {"object": "list", "data": batch.problems} if batch.problems else None
        return told

    def listed(self, query: dict[str, list[str]]) -> tuple[int, bytes]:
        newest = list(reversed(self.batches.values()))
        if "after" in query:
            newest = newest[[batch.id for batch in newest].index(query["after"][0]) + 1 :]
        page = newest[: int(query["limit"][0])]
        return _told({"data": [self.shown(batch) for batch in page], "has_more": len(page) < len(newest)})


def _told(found: dict[str, Any]) -> tuple[int, bytes]:
    return 200, json.dumps(found).encode()


def _error(status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"message": message}}).encode()
