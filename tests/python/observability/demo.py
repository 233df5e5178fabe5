"""The demo as a process: started on free ports, spoken to as people and as the cloud's administrator, spoilt from outside."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

# Until a process, such as the demo in a debug build on a busy machine, is ready.
START_MAX = 60

# Until something that the demo does at once is seen.
SOON = 30

FLAGS = ("--port", "--cloud-port", "--ops-port", "--store-port", "--intake-ops-port")


class Started:
    """A process that is waited for, and that leaves with its folder."""

    name = ""
    folder = process = log = None

    def is_ready(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            eventually(f"{self.name} is ready", START_MAX, self.is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()


class Demo(Started):
    """A running demo; `split` runs intake and controller as two processes."""

    name = "the demo"

    def __init__(self, binaries, split=False):
        self.folder = tempfile.TemporaryDirectory()
        self.data = pathlib.Path(self.folder.name)
        self.ports = dict(zip(FLAGS, free_ports(len(FLAGS)), strict=True))
        command = [str(pathlib.Path(binaries) / "curfew-demo"), "--data", self.folder.name, *(["--split"] if split else [])]
        command += [word for flag, port in self.ports.items() for word in (flag, str(port))]
        environment = {name: value for name, value in os.environ.items() if name != "FIRESTORE_EMULATOR_HOST"} | {"CURFEW_LOG": "error"}
        self.log = (self.data / "demo.log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        components = [("controller", "--ops-port"), *([("intake", "--intake-ops-port")] if split else [])]
        self.targets = {component: f"127.0.0.1:{self.ports[flag]}" for component, flag in components}

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the demo ended: {(self.data / 'demo.log').read_text(encoding='utf-8')[-2000:]}")
        return all(ask("GET", f"http://{target}/readyz")[0] == 200 for target in self.targets.values()) and self.call("alice", "GET", "/v1/me")[0] == 200

    def call(self, person, method, path, body=None):
        """A call of intake's API through the simulated IAP: status and answer."""
        return ask(method, f"http://127.0.0.1:{self.ports['--port']}{path}", body, {"X-Demo-User": f"{person}@example.com"})

    def cloud(self, method, path, body):
        """A call of the simulated cloud as its administrator."""
        status, answer = ask(method, f"http://127.0.0.1:{self.ports['--cloud-port']}{path}", body, {"Authorization": "Bearer x"})
        if status != 200:
            raise RuntimeError(f"{path}: {status} {answer}")
        return answer

    def file(self, person, resource, role, duration="1m"):
        """Files a request and gives its id."""
        body = {"resource": resource, "roles": [{"role": role}], "duration": duration, "justification": "BUG-1"}
        status, answer = self.call(person, "POST", "/v1/requests", body)
        if status != 201:
            raise RuntimeError(f"{person} on {resource}: {status} {answer}")
        return answer["name"].removeprefix("requests/")

    def act(self, person, request, verb):
        """approve and deny with the digest that is shown, withdraw and revoke with a reason."""
        path = f"/v1/requests/{request}"
        body = {"digest": self.call(person, "GET", path)[1]["digest"]} if verb in ("approve", "deny") else {"reason": "over"}
        status, answer = self.call(person, "POST", f"{path}:{verb}", body)
        if status != 200:
            raise RuntimeError(f"{person} {verb} {request}: {status} {answer}")

    def until(self, person, request, phase, within=SOON):
        """Waits for a phase."""
        seen = []

        def is_there():
            seen[:] = self.call(person, "GET", f"/v1/requests/{request}")
            return seen[0] == 200 and seen[1].get("status", {}).get("phase") == phase

        try:
            eventually(f"{request} is {phase}", within, is_there)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; last {seen}") from error

    def change_policy(self, resource, change):
        """Reads a policy, lets it be changed, and writes it, as another administrator would."""
        policy = self.cloud("POST", f"/v3/{resource}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}})
        change(policy["bindings"])
        self.cloud("POST", f"/v3/{resource}:setIamPolicy", {"policy": policy | {"version": 3}})

    @contextlib.contextmanager
    def store(self):
        """A client of Google's on the store, that may write anything."""
        from google.cloud import firestore  # noqa: PLC0415: it reads the variable when it is made

        name, before = "FIRESTORE_EMULATOR_HOST", os.environ.get("FIRESTORE_EMULATOR_HOST")
        os.environ[name] = f"127.0.0.1:{self.ports['--store-port']}"
        try:
            yield firestore.Client(project="curfew-demo")
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before

    @contextlib.contextmanager
    def stopped(self, part):
        """The process of a part does not run meanwhile: it is there, and says nothing."""
        process = int((self.data / f"{part}.pid").read_text(encoding="utf-8"))
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)


def ask(method, url, body=None, headers=None):
    """Status and JSON of an answer; 0 if none came."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"} | (headers or {}))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _json(error.read())
    except OSError:
        return 0, None


def _json(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def free_ports(number):
    """Ports on which nobody listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def eventually(what, within, look):
    """Polls until `look` answers something true, and gives it."""
    end = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within} s")
        time.sleep(0.2)
