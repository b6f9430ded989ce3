"""A Ray cluster as seen by the driver: joining one or starting one here, and actors on it."""

from __future__ import annotations

import os
import socket
from typing import Any

from judgebench.backends.replica import Replica
from judgebench.errors import BackendError, MissingPackage

THREADS = 4
"""Calls that an actor takes at once: the exchange under way, one of a call that has ended, and questions."""

CONNECT = 10.0
"""Seconds until a cluster's address is given up."""


def join() -> Any:
    """The module ``ray``, connected: to what is connected already, to ``RAY_ADDRESS``, or to a cluster on this machine.

    Where there is none, one of this machine alone is started; it ends with this process. Nothing is reported to Ray's
    makers, and there is no dashboard.

    Raises:
        MissingPackage: Ray is not installed.
        BackendError: there is no cluster at ``RAY_ADDRESS``, or none can be started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise MissingPackage("ray", "ray") from None
    if not ray.is_initialized():
        refuse_silent(os.environ.get("RAY_ADDRESS", ""))
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            words = " ".join(str(error).split())[:200] or type(error).__name__
            address = os.environ.get("RAY_ADDRESS")
            where = f"no Ray cluster answers at RAY_ADDRESS={address}" if address else "Ray does not start here"
            raise BackendError(f"{where}: {words}") from None
    return ray


def refuse_silent(address: str) -> None:
    """Nothing, where somebody listens at an address ``HOST:PORT``; Ray itself would ask for minutes.

    Raises:
        BackendError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # empty, or a word that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT).close()
    except (OSError, OverflowError) as error:
        raise BackendError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from None


def new_actor(ray: Any, cpus: float, gpus: float) -> Any:
    """A replica asked of the cluster, on another node than its sisters where it can be; it may have to wait."""
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_concurrency": THREADS, "scheduling_strategy": "SPREAD",
               "max_restarts": 0, "max_task_retries": 0}  # fmt: skip
    return ray.remote(Replica).options(**options).remote()


def gpus_of(ray: Any) -> float:
    """GPUs of the whole cluster."""
    return float(ray.cluster_resources().get("GPU", 0))


def may_fit(ray: Any, cpus: float, gpus: float) -> bool:
    """Whether a replica fits on a node, or a node may come that it fits on: a cluster found by address may grow."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits = any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes)
    return fits or len(nodes) != 1 or bool(os.environ.get("RAY_ADDRESS"))


def resources(ray: Any) -> str:
    """What each living node has, in words."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    told = (f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
    return "; ".join(told) or "no node"
