"""Any backend, many times over: replicas as Ray actors, on one machine or a cluster, and what becomes of lost ones."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from judgebench import plugins
from judgebench.backends import ray_cluster
from judgebench.backends.desk import MOST_LOSSES, Asked, Desk
from judgebench.backends.openai_options import checked_url
from judgebench.backends.options import read_options
from judgebench.backends.replica import STOCK, Fault, Method, Shard
from judgebench.backends.secret_values import find_secret
from judgebench.errors import BackendError, UserError
from judgebench.types import ChoiceReply, ChoiceRequest, Model, Record, Reply, Request

CARRIED = ("OPENAI_BASE_URL",)
"""Environment variables that go with the model, for they say who is asked; keys never do."""

ON_DEVICES = ("hf", "vllm", "classifier")
"""Backends whose replicas take GPUs where the cluster has any."""

PLACEMENT = 300.0
"""Seconds to wait for the cluster to find a place for any replica; clusters that grow take minutes."""

MOST_FRUITLESS = 5
"""Losses of one replica without a reply in between after which it is not replaced."""


class Fleet(Record, frozen=True, kw_only=True):
    """How many replicas, and what each may use."""

    replicas: int = 1
    """Replicas of each model."""
    cpus: float = 1.0
    """CPUs that each is given."""
    gpus: float | None = None
    """GPUs that each is given; None is as many as its backend needs where the cluster has GPUs, else none."""
    decides: tuple[str, ...] = ()
    """Keys of a description in which all replicas must agree: what decides an answer."""


class _Seat:
    """A place for one replica: the actor in it now, and what it has been asked."""

    def __init__(self, actor: Any) -> None:
        self.description: dict[str, Any] = {}
        self.fruitless = 0
        self.place(actor)

    def place(self, actor: Any) -> None:
        """Puts a new actor here."""
        self.actor, self.stage, self.node = actor, "placing", ""
        self.future: Any = actor.where.remote()
        self.free()

    def free(self) -> None:
        """Forgets what was asked."""
        self.outstanding: dict[str, Any] = {}
        self.waiting, self.alone = 0, False


class Replicas:
    """A backend whose requests are answered by replicas on a Ray cluster, each a backend of its own.

    Requests go out in shards as replicas run short; replies come back as they complete, each exactly once. What a lost
    replica had not answered goes to another, and the replica is replaced. A request with which three replicas were
    lost, the last time alone, is a reply with ``error``.

    Args:
        model: whose replicas; options travel to the workers, keys do not: they read their own environment.
        fleet: how many, and what each may use.

    Raises:
        UserError: a wrong option, one that looks like a key, an address with a user, password or query, or what the
            first replica refuses.
        MissingPackage: Ray is not installed.
        BackendError: no cluster, no place on it, or the first replica cannot start.
    """

    def __init__(self, model: Model, fleet: Fleet) -> None:
        kind = plugins.load("backends", model.backend)
        self.Options = kind.Options
        self.provides: frozenset[str] = getattr(kind, "provides", frozenset())
        checked = read_options(model, kind.Options)
        asks_here = model.backend in ON_DEVICES
        carried = {} if asks_here else {name: os.environ[name] for name in CARRIED if os.environ.get(name)}
        base_url = getattr(checked, "base_url", None) or ()
        for url in (*carried.values(), *([base_url] if isinstance(base_url, str) else base_url)):
            checked_url(model, url)
        options = {name: value for name, value in model.options.items() if name != "api_key_env"}
        if found := find_secret({**options, **carried}):
            raise UserError(f"model {model.name!r}: {found} looks like a key: it may not travel to Ray's workers")
        self.model, self.fleet, self._carried = model, fleet, carried
        self._ray = ray_cluster.join()
        self._gpus = _gpus(model, fleet, ray_cluster.gpus_of(self._ray))
        self._call = self._lost = self._repeated = 0
        self._answered = False
        self._gone: list[str] = []
        self._notes: dict[str, None] = {}
        self._seats = [_Seat(self._actor())]
        try:
            self._await_first()
        except BaseException:
            self.close()
            raise

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order of completion.

        Raises:
            BackendError: a replica answers nothing at all, or none is left.
        """
        return self._ask("generate", Desk(requests), lambda error: Reply(finish="error", error=error))

    def describe(self) -> dict[str, Any]:
        """The first replica's description with all notes; ``executor`` says how many there were and what was lost."""
        for seat in self._seats:
            if seat.stage == "ready":
                with contextlib.suppress(self._ray.exceptions.RayError):
                    seat.description = self._ray.get(seat.actor.describe.remote(), timeout=30) or seat.description
        described = together([seat.description for seat in self._seats if seat.description] or [{}])
        described["notes"] = [*described.get("notes", ()), *self._notes, *self._said()]
        described["executor"] = {
            "name": "ray", "version": self._ray.__version__, "replicas": self.fleet.replicas,
            "nodes": len({seat.node for seat in self._seats if seat.node}),
            "cpus": self.fleet.cpus, "gpus": self._gpus, "lost": self._lost, "repeated": self._repeated,
        }  # fmt: skip
        return described

    def close(self) -> None:
        """Closes every replica and gives its place back; safe to call twice."""
        seats, self._seats = self._seats, []
        if not self._ray.is_initialized():
            return
        stopped = [seat.actor.stop.remote() for seat in seats if seat.stage == "ready"]
        if stopped:
            self._ray.wait(stopped, num_returns=len(stopped), timeout=15)
        for seat in seats:
            self._ray.kill(seat.actor)

    def _ask(self, method: Method, desk: Desk[Asked], failed: Any) -> Generator[tuple[Any, Any]]:
        self._call += 1
        call = self._call
        while len(self._seats) + len(self._gone) < self.fleet.replicas:
            self._seats.append(_Seat(self._actor()))
        since = time.monotonic()
        try:
            while True:
                if call != self._call:
                    raise RuntimeError("replicas answer one call at a time, and another has begun")
                for seat in self._seats:
                    self._feed(seat, desk, call, method)
                if desk.empty and not any(seat.outstanding for seat in self._seats):
                    return
                futures = {seat.future: seat for seat in self._seats if seat.future is not None}
                done, _ = self._ray.wait(list(futures), timeout=5)
                if not done and not any(seat.outstanding for seat in self._seats):
                    self._refuse_nowhere(since)
                for future in done:
                    seat = futures[future]
                    yield from self._hear(seat, desk, failed)
                    if seat.stage == "ready":
                        since = time.monotonic()
        finally:
            self._repeated += desk.repeated
            for seat in self._seats:
                if seat.outstanding:
                    seat.free()
                    seat.actor.drop.remote(call)

    def _feed(self, seat: _Seat, desk: Desk[Asked], call: int, method: Method) -> None:
        """Sends the seat what it can take, and asks for what it has answered."""
        if seat.stage != "ready" or seat.future is not None:
            return
        shard: list[Asked] = []
        if seat.waiting < STOCK and not seat.alone:
            shard = desk.shard(idle=not seat.outstanding)
            seat.alone = len(shard) == 1 and desk.suspected(shard[0])
        seat.outstanding.update({request.id: request for request in shard})
        if seat.outstanding:
            more = desk.more and not seat.alone
            seat.future = seat.actor.exchange.remote(Shard(call=call, method=method, requests=tuple(shard), more=more))

    def _hear(self, seat: _Seat, desk: Desk[Asked], failed: Any) -> Iterator[tuple[Any, Any]]:
        """What the seat has answered; what it has not, where it is lost, goes back to the desk."""
        found = self._advance(seat)
        if isinstance(found, str):
            for request in desk.take_back(self._lose(seat, found)):
                seat.fruitless = 0
                words = f"model: {MOST_LOSSES} replicas were lost with this request, the last time: {found}"
                yield request, failed(words)
            return
        for identifier, reply in found:
            request = seat.outstanding.pop(identifier, None)
            if request is not None:
                self._answered, seat.fruitless = True, 0
                yield request, reply
        if not seat.outstanding:
            seat.alone = False

    def _advance(self, seat: _Seat) -> str | Sequence[tuple[str, Any]]:
        """What the seat's next step brought: replies, none while it starts, or in words why the replica is lost."""
        future, seat.future = seat.future, None
        try:
            value = self._ray.get(future)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            return "its replica was lost: " + _first_line(error)
        if seat.stage == "placing":
            seat.node, seat.stage = value, "starting"
            seat.future = seat.actor.start.remote(self.model, str(Path.cwd()), self._carried)
            return ()
        if value.fault is not None:
            return self._fault(seat, value.fault)
        if seat.stage == "starting":
            self._check_alike(value.judgebench, value.description)
            seat.description, seat.stage = value.description, "ready"
            return ()
        if value.call != self._call:
            return ()
        seat.waiting = value.waiting
        return tuple(value.answered)

    def _fault(self, seat: _Seat, fault: Fault) -> str:
        """What a replica cannot go on for, where others may; raised where none has answered yet."""
        if not self._answered:
            raise (BackendError if fault.backend else UserError)(fault.words)
        return fault.words

    def _lose(self, seat: _Seat, why: str) -> list[Any]:
        """Counts the seat's replica as lost and puts another in its place; gives back what was not answered."""
        lost = list(seat.outstanding.values())
        self._lost += 1
        seat.fruitless += 1
        self._ray.kill(seat.actor)
        if seat.fruitless < MOST_FRUITLESS:
            seat.place(self._actor())
            return lost
        self._seats.remove(seat)
        self._gone.append(why)
        seat.free()
        if not self._seats:
            raise BackendError(f"no replica is left; {MOST_FRUITLESS} in a row answered nothing: {why}")
        return lost

    def _check_alike(self, judgebench: str, description: Mapping[str, Any]) -> None:
        """Refuses replicas that would answer otherwise than the first."""
        here = version("judgebench")
        if judgebench != here:
            raise BackendError(f"JudgeBench is {here} here and {judgebench} on a node of the cluster")
        first = next((seat.description for seat in self._seats if seat.description), description)
        for key in self.fleet.decides:
            if first.get(key) != description.get(key):
                raise BackendError(
                    f"model {self.model.name!r}: replicas differ in {key}: {first.get(key)!r} and "
                    f"{description.get(key)!r}; the nodes hold different files"
                )

    def _await_first(self) -> None:
        since, seat = time.monotonic(), self._seats[0]
        while seat.stage != "ready":
            done, _ = self._ray.wait([seat.future], timeout=5)
            found = self._advance(seat) if done else ()
            if isinstance(found, str):
                self._lose(seat, found)
            elif not done:
                self._refuse_nowhere(since)

    def _refuse_nowhere(self, since: float) -> None:
        """Raises where no replica finds a place: at once on a cluster that cannot grow, else after a while."""
        patience = PLACEMENT if ray_cluster.may_fit(self._ray, self.fleet.cpus, self._gpus) else 0.0
        if all(seat.stage == "placing" for seat in self._seats) and time.monotonic() - since >= patience:
            raise BackendError(
                f"there is no place for a replica of {self.model.name!r}: it needs {self.fleet.cpus:g} CPUs and "
                f"{self._gpus:g} GPUs (--replica-cpus, --replica-gpus); there are {ray_cluster.resources(self._ray)}"
            )

    def _actor(self) -> Any:
        return ray_cluster.new_actor(self._ray, self.fleet.cpus, self._gpus)

    def _said(self) -> list[str]:
        """What of replicas must be said."""
        said = []
        if self._lost:
            again = f"{self._repeated} requests were asked again (what they had cost there is not known)"
            said.append(f"{self._lost} replicas were lost; {again}")
        if self._gone:
            said.append(f"{len(self._gone)} replicas were not replaced any more: {self._gone[-1]}")
        placing = sum(seat.stage == "placing" for seat in self._seats)
        if placing and self._call:
            said.append(f"{placing} of {self.fleet.replicas} replicas found no place on the cluster")
        return said


class ComparingReplicas(Replicas):
    """Replicas of a backend that knows log-probabilities."""

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with its reply, in order of completion.

        Raises:
            BackendError: a replica answers nothing at all, or none is left.
        """
        return self._ask("loglikelihood", Desk(requests), lambda error: ChoiceReply(error=error))


def replicated(model: Model, fleet: Fleet) -> Replicas:
    """The replicas of a model, comparing choices where its backend does.

    Raises:
        UserError: see `Replicas`.
    """
    compares = hasattr(plugins.load("backends", model.backend), "loglikelihood")
    return (ComparingReplicas if compares else Replicas)(model, fleet)


def together(descriptions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One description of several replicas': the first's values, but lists hold what any of them says.

    >>> together([{"device": "cuda", "notes": ["a"]}, {"device": "cuda", "notes": ["b", "a"]}])
    {'device': 'cuda', 'notes': ['a', 'b']}
    """
    found = dict(descriptions[0])
    for description in descriptions[1:]:
        for key, value in description.items():
            if isinstance(value, list) and isinstance(found.get(key), list):
                found[key] = [*found[key], *(each for each in value if each not in found[key])]
    return found


def _gpus(model: Model, fleet: Fleet, there: float) -> float:
    if fleet.gpus is not None:
        return fleet.gpus
    if model.backend not in ON_DEVICES or not there or model.options.get("device") == "cpu":
        return 0.0
    return float(model.options.get("tensor_parallel_size", 1))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
