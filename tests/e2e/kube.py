"""kubectl and helm as a user runs them; waiting watches instead of sleeping. Standard library only, for the demo."""

import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

Obj = dict[str, Any]
Lines = queue.Queue[str | None]  # as a process prints them; None after the last
CACHE = Path(os.environ.get("SLIPWAY_CACHE", Path.home() / ".cache" / "slipway"))

RUN_SECONDS = 900  # the longest that one command may take: helm waits for three minutes, a drain for a few
AGAIN_SECONDS = 0.5


class Failed(AssertionError):
    """A command failed, or what was awaited did not come. The message carries what was seen last."""


class Kube:
    """kubectl and helm against one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{CACHE / 'bin'}:{os.environ['PATH']}",
        }

    def run(self, *argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv, env=self.environment, input=stdin, capture_output=True, text=True, check=False, timeout=RUN_SECONDS
        )
        if check and done.returncode:
            raise Failed(f"{' '.join(argv)} exited {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def kubectl(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        return self.run("kubectl", *argv, stdin=stdin, check=check).stdout

    def helm(self, *argv: str) -> str:
        return self.run("helm", *argv).stdout

    def apply(self, namespace: str, *objects: Obj) -> None:
        listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=json.dumps(listing))

    def refusal(self, namespace: str, obj: Obj) -> str:
        """What the API server answers to an object that it must not accept."""
        done = self.run("kubectl", "-n", namespace, "create", "-f", "-", stdin=json.dumps(obj), check=False)
        if done.returncode == 0:
            raise Failed(f"the API server accepted {json.dumps(obj)}")
        return done.stderr

    def get(self, namespace: str, kind: str, name: str) -> Obj | None:
        text = self.kubectl("-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else None

    def items(self, namespace: str, kind: str, selector: str = "") -> list[Obj]:
        listed: Obj = json.loads(self.kubectl("-n", namespace, "get", kind, "-l", selector, "-o", "json"))
        return list(listed["items"])

    def until(
        self,
        namespace: str,
        kind: str,
        what: str,
        holds: Callable[[Obj], bool],
        *,
        seconds: float,
        selector: bool = False,
    ) -> Obj:
        """Watch `kind` until an object holds; `what` is a name, or a label selector. Returns the object."""
        chosen = ["-l", what] if selector else ["--field-selector", f"metadata.name={what}"]
        argv = ["kubectl", "-n", namespace, "get", kind, *chosen, "--watch", "-o", "json"]
        seen: Obj = {}
        with tempfile.TemporaryFile("w+") as complaints:
            for seen in self._stream(argv, seconds, complaints):
                if holds(seen):
                    return seen
            complaints.seek(0)
            said = complaints.read().strip()[-500:]
        complained = f"; kubectl said: {said}" if said else ""
        raise Failed(
            f"{kind} {what} in {namespace}: not within {seconds:.0f} s; last seen: {summary(seen)}{complained}"
        )

    def _stream(self, argv: list[str], seconds: float, complaints: IO[str]) -> Iterator[Obj]:
        """Objects from a watch until `seconds` are over; a watch that ends early is begun again, not at once."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with self._reading(argv, stderr=complaints) as lines:
                yield from _documents(lines, left)
            time.sleep(min(AGAIN_SECONDS, left))

    def logged(self, namespace: str, pod: str, pattern: str, *, seconds: float) -> re.Match[str]:
        """Follow the log of a training pod from its beginning until a line has `pattern`; returns what was found."""
        self.until(namespace, "pods", pod, lambda seen: seen["status"].get("phase") != "Pending", seconds=seconds)
        argv = ["kubectl", "-n", namespace, "logs", "--follow", pod, "--container=pytorch"]
        last: list[str] = []
        with self._reading(argv, stderr=subprocess.STDOUT) as lines:
            for line in _until(lines, seconds):
                if found := re.search(pattern, line):
                    return found
                last = [*last[-9:], line]
        raise Failed(f"log of {pod} in {namespace}: no line {pattern} within {seconds:.0f} s; last:\n{''.join(last)}")

    def gone(self, namespace: str, kind: str, name: str, *, seconds: float) -> None:
        self.kubectl("-n", namespace, "wait", "--for=delete", f"{kind}/{name}", f"--timeout={seconds:.0f}s")

    @contextlib.contextmanager
    def forward(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """A port-forward to `target`; yields its URL once it accepts connections."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            local = free.getsockname()[1]
        argv = ["kubectl", "-n", namespace, "port-forward", target, f"{local}:{port}"]
        with self._reading(argv) as lines:
            first = lines.get()
            if first is None or "Forwarding" not in first:
                raise Failed(f"{' '.join(argv)} ended: {first or 'it said nothing'}")
            yield f"http://127.0.0.1:{local}"

    @contextlib.contextmanager
    def _reading(self, argv: list[str], stderr: IO[str] | int | None = None) -> Iterator[Lines]:
        """What a process prints. It is killed in the end, and its pipe is closed when nobody reads from it any more."""
        lines: Lines = queue.Queue()
        with subprocess.Popen(argv, env=self.environment, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
            reader.start()
            try:
                yield lines
            finally:
                process.kill()
                reader.join()


def _read(stream: IO[str], lines: Lines) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _documents(lines: Lines, seconds: float) -> Iterator[Obj]:
    """JSON documents as kubectl prints them, one after the other, until the time is over or kubectl ends."""
    text: list[str] = []
    for line in _until(lines, seconds):
        text.append(line)
        if line.rstrip("\n") == "}":  # kubectl indents: only the end of a document stands at the margin
            yield json.loads("".join(text))
            text.clear()


def _until(lines: Lines, seconds: float) -> Iterator[str]:
    """Lines, until the time is over or there are no more."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            return
        if line is None:
            return
        yield line


def condition(obj: Obj, kind: str) -> Obj:
    """The condition of that type, or {}."""
    listed = obj.get("status", {}).get("conditions", [])
    return next((each for each in listed if each["type"] == kind), {})


def is_true(kind: str, reason: str | None = None) -> Callable[[Obj], bool]:
    return _has(kind, "True", reason)


def is_false(kind: str, reason: str | None = None) -> Callable[[Obj], bool]:
    return _has(kind, "False", reason)


def _has(kind: str, status: str, reason: str | None) -> Callable[[Obj], bool]:
    def holds(obj: Obj) -> bool:
        found = condition(obj, kind)
        return found.get("status") == status and reason in (None, found.get("reason"))

    return holds


def summary(obj: Obj) -> str:
    """An object's status in a line, for failures."""
    return json.dumps(obj.get("status", obj))[:2000]
