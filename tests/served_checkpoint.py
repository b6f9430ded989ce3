"""A real HTTP server that answers for a tiny checkpoint through the hf backend: chat completions, and ``/tokenize``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from judgebench.types import Message, Model, Request, Sampling

Tokens = Callable[[Sequence[int]], list[int]]


@contextmanager
def served(folder: Path, *, tokenizes: bool = True, reads: Tokens = list) -> Iterator[str]:
    """The ``base_url`` of a server.

    Args:
        folder: of the checkpoint.
        tokenizes: whether it has ``/tokenize``.
        reads: what it does to the tokens that it says it reads, and counts.
    """
    from judgebench.backends.hf import HFBackend

    backend = HFBackend(Model(name="served", backend="hf", id=str(folder)))
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            messages = tuple(Message(role=each["role"], content=each["content"]) for each in body["messages"])
            with one_at_a_time:
                if self.path == "/tokenize" and tokenizes:
                    prompt = reads(backend.prompt_tokens(messages).tokens)
                    self.answer(200, {"count": len(prompt), "tokens": prompt, "token_strs": [f"<{t}>" for t in prompt]})
                elif self.path == "/v1/chat/completions":
                    self.answer(200, completion(body, messages))
                else:
                    self.answer(404, {"detail": "Not Found"})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def completion(body: dict[str, Any], messages: tuple[Message, ...]) -> dict[str, Any]:
        sampling = Sampling(max_tokens=body["max_tokens"], logprobs=body.get("top_logprobs", 0))
        [(_, reply)] = backend.generate([Request(id="1", messages=messages, sampling=sampling)])
        content = [
            {
                "token": one.token,
                "logprob": one.logprob,
                "top_logprobs": [{"token": t, "logprob": v} for t, v in one.top],
            }
            for one in reply.logprobs
        ]
        read = len(reads(backend.prompt_tokens(messages).tokens))
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": reply.text},
                    "finish_reason": reply.finish,
                    "logprobs": {"content": content} if content else None,
                }
            ],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": reply.usage.completion_tokens,
                "total_tokens": read + reply.usage.completion_tokens,
            },
        }

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        backend.close()
