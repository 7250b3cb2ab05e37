"""Starts the shop's processes, watches them, carries out orders, and ends them all.

``python -m course.testbed.supervisor`` is started by ``course testbed up``. It takes one line of
JSON, reports each step as a line of JSON, and stops unless it is told to detach: should ``up``
be killed half-way, nothing is left. Children are started by the main thread only (see
`course.testbed.lifeline`), so orders that start one wait for its next turn.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import secrets
import signal
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from course.testbed import rundir, troubles
from course.testbed.breaker import BreakerSettings
from course.testbed.child import Child
from course.testbed.control import ask, listen
from course.testbed.layout import NODES
from course.testbed.ledger import Ledger
from course.testbed.rollback import AutoRollback, RollbackSettings, prometheus
from course.testbed.stack.process import Stack

_MB = 1 << 20
_READY_S = 20.0
_TICK_S = 0.2
_LOAD_AWAY = "the load generator is being started again; ask once more in a second"
_RESTART_PAUSES_S = (0.3, 0.3, 1.0, 2.0, 5.0)


class Supervisor:
    """The parent of all processes of one run.

    Parameters
    ----------
    folder : Path
        The run folder, made and locked.
    stack : str
        "real", "embedded" or "auto": which monitoring runs.
    interval : float
        Seconds between scrapes.
    """

    def __init__(self, folder: Path, stack: str, interval: float) -> None:
        self.folder, self.interval = folder, interval
        self.token = secrets.token_urlsafe(24)
        self.ledger = Ledger(folder)
        self.started = time.time()
        self.stop = threading.Event()
        self.environment = {
            **os.environ,
            rundir.MARK: str(folder),
            "PYTHONUNBUFFERED": "1",
            "OTEL_SDK_DISABLED": "false",
        }
        self.services = {
            name: self._child(name, "course.testbed.service", {"name": name, "token": self.token})
            for name in NODES
        }
        self.receiver = self._child(
            "receiver", "course.testbed.receiver", {"folder": str(folder / "telemetry")}
        )
        self.load = self._child("load", "course.testbed.load", {"token": self.token})
        self.stack = Stack(folder, stack, interval, self.token, self._child)
        self._faults: dict[int, dict[str, Any]] = {}
        self._load_order: dict[str, Any] = {}
        self._orders: queue.Queue[tuple[Any, Future[Any]]] = queue.Queue()
        self._due: dict[str, float] = {}  # child -> when it is started again
        self._versions = dict.fromkeys(NODES, "v1")
        self._earlier: dict[str, str] = {}  # service -> the version before the latest release
        self._breakers: dict[str, Any] = {"callees": [], "settings": {}}
        self._rollback = AutoRollback(
            prometheus(lambda: self.stack.addresses()["prometheus"]), self._order_rollback, interval
        )
        self._numbers = iter(range(1, 1 << 30))
        self.control = listen(self.token, self.order)

    def _child(self, name: str, module: str, config: dict[str, Any]) -> Child:
        return Child(name, module, {"folder": str(self.folder), **config}, self.folder,
                     self.environment)  # fmt: skip

    @property
    def children(self) -> dict[str, Child]:
        """All processes by name."""
        others = [self.receiver, self.load, *self.stack.children]
        return {**self.services, **{child.name: child for child in others}}

    # --- start and end --------------------------------------------------------------------------

    def start(self) -> None:
        """Start all processes, services side by side, and tell each where the others are."""
        deadline = time.monotonic() + _READY_S
        self.receiver.start()
        self.receiver.wait_ready(deadline)
        for child in self.services.values():
            child.config["receiver"] = self.receiver.ports["port"]
            child.start()
        for child in self.services.values():
            child.wait_ready(deadline)
        self._tell_addresses()
        self.load.config["gateway"] = self.services["gateway"].ports["port"]
        self.load.start()
        self.stack.start(self._targets(), self.control, deadline)
        self.load.wait_ready(deadline)
        self.stack.wait_ready(deadline)
        self._write_state()

    def _write_state(self) -> None:
        rundir.write_state(
            self.folder,
            {
                "pid": os.getpid(),
                "control": self.control,
                "token": self.token,
                "started": self.started,
                "interval": self.interval,
                "receiver": self.receiver.ports.get("port", 0),
                "gateway": self.services["gateway"].ports.get("port", 0),
                "gateway_admin": self.services["gateway"].ports.get("admin", 0),
                **self.stack.addresses(),
            },
        )

    def end(self) -> None:
        """End every process and remove the run folder."""
        started = [child for child in self.children.values() if child.starts]
        for child in started:
            child.cut()
        deadline = time.monotonic() + 4
        for child in started:
            child.wait(deadline)
        rundir.remove(self.folder)

    def _targets(self) -> dict[str, int]:
        return {name: child.ports.get("admin", 0) for name, child in self.services.items()}

    def _tell_addresses(self) -> None:
        addresses = {n: c.ports["port"] for n, c in self.services.items() if c.ports}
        for name in self.services:
            self._tell(name, {"addresses": addresses})

    def _tell(self, name: str, order: dict[str, Any]) -> None:
        port = self.services[name].ports.get("admin")
        if not port:
            return  # it is being started again and is told all then
        try:
            ask(port, "/control", order, token=self.token, timeout=5)
        except OSError:
            return  # it just died: the next turn of the loop sees that

    # --- the loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Watch the processes and carry out orders until told to stop."""
        while not self.stop.is_set():
            try:
                work, future = self._orders.get(timeout=_TICK_S)
                try:
                    future.set_result(work())
                except Exception as error:
                    future.set_exception(error)
            except queue.Empty:
                pass
            self._enforce_memory()
            self._restart_ended()
            self._end_faults()

    def _enforce_memory(self) -> None:
        """What the kernel does to a container: kill above the limit."""
        for name, child in self.services.items():
            try:
                used = psutil.Process(child.pid).memory_info().rss
            except psutil.Error:
                continue
            if used > NODES[name].memory_mb * _MB:
                child.kill()
                child.process.wait()
                limit = NODES[name].memory_mb
                self.ledger.event("oom", name, f"killed at {used // _MB} of {limit} MB")

    def _restart_ended(self) -> None:
        now = time.monotonic()
        for name, child in self.children.items():
            if not child.ended():
                continue
            if name not in self._due:
                pause = _RESTART_PAUSES_S[min(child.starts, len(_RESTART_PAUSES_S)) - 1]
                self._due[name] = now + pause
                child.ports = {}
            elif now >= self._due[name]:
                code = child.process.returncode
                child.cut()
                child.kill_program()
                self._start_again(child)
                del self._due[name]
                self.ledger.event("restart", name, f"ended with {code}, started again")

    def _start_again(self, child: Child) -> None:
        child.start()
        try:
            child.wait_ready(time.monotonic() + 10)
        except RuntimeError:
            child.kill()
            return
        if child.name in self.services:
            self._tell_addresses()
            self._tell(
                child.name,
                {"troubles": self._troubles_of(child.name), "breakers": self._breakers},
            )
            if self._versions[child.name] != "v1":
                self._tell(child.name, {"version": self._versions[child.name]})
            self.stack.write_targets(self._targets())
        if child.name == "receiver":
            self._restart_for_receiver()
        if child.name in ("gateway", "load"):
            gateway = self.services["gateway"].ports.get("port", 0)
            self._tell_load({"gateway": gateway, **self._load_order})
        self._write_state()

    def _restart_for_receiver(self) -> None:
        port = self.receiver.ports["port"]
        for name, child in self.services.items():
            child.config["receiver"] = port
            self._tell(name, {"receiver": port})

    def _tell_load(self, order: dict[str, Any]) -> dict[str, Any]:
        if not self.load.ports:
            raise ValueError(_LOAD_AWAY)
        try:
            return ask(self.load.ports["port"], "/", order, token=self.token)
        except OSError:
            raise ValueError(_LOAD_AWAY) from None

    # --- orders ---------------------------------------------------------------------------------

    def order(self, path: str, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order in the main thread; called in the threads of the control port."""
        actions = {
            "/status": self._status, "/fault": self._begin_fault, "/heal": self._heal,
            "/load": self._set_load, "/change": self._change, "/breakers": self._set_breakers,
            "/rollback": self._set_rollback, "/down": self._down,
        }  # fmt: skip
        if path == "/notify":
            self.ledger.notification(order)
            return {}
        if path not in actions:
            raise ValueError(f"there is no order {path}; there is {', '.join(actions)}")
        future: Future[Any] = Future()
        self._orders.put((lambda: actions[path](order), future))
        answer: dict[str, Any] = future.result(timeout=50)
        return answer

    def _status(self, order: dict[str, Any]) -> dict[str, Any]:
        rows = []
        for name, child in self.children.items():
            try:
                memory = psutil.Process(child.pid).memory_info().rss // _MB
            except psutil.Error:
                memory = 0
            rows.append({"name": name, "pid": child.pid, "running": not child.ended(),
                         "starts": child.starts, "memory_mb": memory, **child.ports})  # fmt: skip
        return {
            "started": self.started,
            "stack": self.stack.kind,
            "processes": rows,
            "faults": list(self._faults.values()),
            "load": self._load_state(),
            "versions": dict(self._versions),
            "breakers": self._breakers,
            "auto_rollback": self._rollback.on,
        }

    def _load_state(self) -> dict[str, Any]:
        try:
            return self._tell_load({})
        except ValueError:
            return {}

    def _begin_fault(self, order: dict[str, Any]) -> dict[str, Any]:
        kind, service = str(order.get("kind")), str(order.get("service") or "")
        severity, seconds = float(order.get("severity", 0.6)), float(order.get("seconds", 120))
        check_fault(kind, service, severity, seconds)
        if any((f["kind"], f["root_service"]) == (kind, service) for f in self._faults.values()):
            raise ValueError(
                f"{kind} acts at {service} already; stop it first, or wait for its end"
            )
        now = time.time()
        fault: dict[str, Any] = {
            "id": next(self._numbers), "kind": kind, "root_service": service,
            "severity": severity, "start": now, "end": now + seconds,
            "seed": int(order.get("seed", random.randrange(1 << 30))),
        }  # fmt: skip
        self._faults[fault["id"]] = fault
        self.ledger.begin_fault(dict(fault))
        if troubles.KINDS[kind].announced == "deploy":
            self._release(service, f"v{random.Random(fault['seed']).randrange(100, 1000)}")
        self._spread(fault)
        return fault

    def _spread(self, fault: dict[str, Any]) -> None:
        for name in troubles.concerned(fault["kind"], fault["root_service"]):
            self._tell(name, {"troubles": self._troubles_of(name)})

    def _troubles_of(self, name: str) -> list[dict[str, Any]]:
        return [
            {"kind": f["kind"], "root": f["root_service"], "severity": f["severity"],
             "begin": f["start"], "seconds": f["end"] - f["start"], "seed": f["seed"]}
            for f in self._faults.values()
            if name in troubles.concerned(f["kind"], f["root_service"])
        ]  # fmt: skip

    def _release(self, service: str, version: str) -> None:
        self._earlier[service] = self._versions[service]
        self._versions[service] = version
        self.ledger.event("deploy", service, version)
        self._tell(service, {"version": version})
        self._rollback.released(service, version)

    def _end_faults(self) -> None:
        now = time.time()
        for fault in [f for f in self._faults.values() if f["end"] <= now]:
            self._finish_fault(fault)

    def _finish_fault(self, fault: dict[str, Any]) -> None:
        del self._faults[fault["id"]]
        self._spread(fault)
        if troubles.KINDS[fault["kind"]].announced == "deploy":
            service = fault["root_service"]
            self._go_back(service, "v1", "deploy", "v1: rolled back")
            self._tell(service, {"version": "v1"})

    def _go_back(self, service: str, version: str, kind: str, detail: str) -> None:
        """Note that an earlier version holds: nothing to watch, nothing further to go back to."""
        self._versions[service] = version
        self._earlier.pop(service, None)
        self._rollback.forget(service)
        self.ledger.event(kind, service, detail)

    def _set_breakers(self, order: dict[str, Any]) -> dict[str, Any]:
        """Put circuit breakers before some callees, and take all others away."""
        callees = [str(callee) for callee in order.get("callees", [])]
        if unknown := sorted({*callees} - {*NODES}):
            raise ValueError(
                f"there is no service {', '.join(unknown)}; there is {', '.join(NODES)}"
            )
        settings = asdict(BreakerSettings(**order.get("settings", {})))
        self._breakers = {"callees": callees, "settings": settings}
        for name in self.services:
            self._tell(name, {"breakers": self._breakers})
        return self._breakers

    def _set_rollback(self, order: dict[str, Any]) -> dict[str, Any]:
        """Switch the automatic rollback, or roll one service back now."""
        if "service" in order:
            return self._roll_back(str(order["service"]), None, str(order.get("why", "ordered")))
        settings = {key: value for key, value in order.items() if key != "on"}
        self._rollback.switch(RollbackSettings(**settings) if order.get("on") else None)
        return {"on": self._rollback.on}

    def _order_rollback(self, service: str, version: str, why: str) -> None:
        """Let the main thread roll back; called by the thread that watches releases."""
        future: Future[Any] = Future()
        self._orders.put((lambda: self._roll_back(service, version, why), future))
        future.result(timeout=50)

    def _roll_back(self, service: str, version: str | None, why: str) -> dict[str, Any]:
        """Replace the process by one that runs the version before the latest release."""
        if service not in NODES:
            raise ValueError(f"there is no service {service!r}; there is {', '.join(NODES)}")
        now, earlier = self._versions[service], self._earlier.get(service)
        if earlier is None or version not in (None, now):
            raise ValueError(
                f"{service} runs {now} and nothing is known to go back to; nothing is changed"
            )
        for fault in [f for f in self._faults.values() if f["root_service"] == service]:
            if troubles.KINDS[fault["kind"]].announced == "deploy":  # the mistake in that release
                self.ledger.end_fault(fault["id"], time.time())
                del self._faults[fault["id"]]
        self._go_back(service, earlier, "rollback", f"{now} -> {earlier}: {why}")
        child = self.services[service]
        child.kill()  # the loop starts it again, with the version that now holds
        child.process.wait()
        return {"service": service, "version": earlier, "from": now}

    def _heal(self, order: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        healed = list(self._faults.values())
        for fault in healed:
            self.ledger.end_fault(fault["id"], now)
            self._finish_fault(fault)
        return {"healed": len(healed)}

    def _set_load(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = self._tell_load(order)
        if "rate" in order:
            self._load_order = {k: order[k] for k in ("rate", "day_minutes") if k in order}
        if surge := order.get("surge"):
            self.ledger.surge(surge["kind"], surge["seconds"], surge["size"])
        return answer

    def _change(self, order: dict[str, Any]) -> dict[str, Any]:
        kind, service = str(order.get("kind")), str(order.get("service"))
        detail = str(order.get("detail", ""))
        if service not in NODES or kind not in ("deploy", "flag", "scale"):
            raise ValueError(
                "a change has a kind (deploy, flag, scale) and a service of the testbed"
            )
        if kind == "deploy":
            self._release(service, detail or "v2")
        else:
            self.ledger.event(kind, service, detail)
        return {}

    def _down(self, order: dict[str, Any]) -> dict[str, Any]:
        self.stop.set()
        return {"pid": os.getpid()}


def check_fault(kind: str, service: str, severity: float, seconds: float) -> None:
    """Refuse a fault that the testbed can't make.

    Raises
    ------
    ValueError
        The message says what is allowed.
    """
    if kind not in troubles.KINDS:
        raise ValueError(f"unknown fault kind {kind!r}; choose one of: {', '.join(troubles.KINDS)}")
    where = troubles.KINDS[kind].services
    if service not in where:
        raise ValueError(f"{kind} can't strike {service!r}; choose one of: {', '.join(where)}")
    if not 0 < severity <= 1:
        raise ValueError(f"severity is {severity:g}; it must lie in (0, 1]")
    if not 1 <= seconds <= 86_400:
        raise ValueError(f"seconds is {seconds:g}; it must lie in 1..86400")


def main() -> None:
    """Run until told to stop, until a signal, or until ``up`` is gone before it let go."""
    config = json.loads(sys.stdin.buffer.readline())
    folder = Path(config["folder"])
    lock = rundir.Lock(folder)
    if not lock.acquire():
        _report(error="a testbed runs already; see `course testbed status`")
        return
    supervisor = None
    try:
        rundir.make(folder)
        supervisor = Supervisor(folder, config["stack"], config["interval"])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _interrupt)
        threading.Thread(target=_wait_for_detach, daemon=True).start()
        supervisor.start()
        _report(ready=supervisor.stack.kind)
        with (folder / "supervisor.err").open("ab") as errors:
            os.dup2(errors.fileno(), sys.stderr.fileno())  # ``up`` reads no further
        supervisor.run()
    except KeyboardInterrupt:
        pass
    except Exception as error:
        _report(error=str(error))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if supervisor is not None:
            supervisor.end()
        lock.release()
        os._exit(0)  # threads that serve orders must not keep it alive


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _wait_for_detach() -> None:
    """Stop, in the middle of a start too, unless ``up`` says that it leaves on purpose."""
    if os.read(sys.stdin.fileno(), 64).strip() != b"detach":
        os.kill(os.getpid(), signal.SIGINT)


def _report(**content: str) -> None:
    with contextlib.suppress(OSError):  # ``up`` may be gone; what runs must be ended all the same
        print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main()
