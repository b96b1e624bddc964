"""The Docker Engine's API without a client, for the floor: one request, one answer."""

import base64
import http.client
import json
import socket
from urllib.parse import quote, urlencode

SOCKET = "/var/run/docker.sock"


class Connection(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(300)
        self.sock.connect(SOCKET)


class Refused(Exception):
    """The engine's own words for what it did not do."""


def ask(method, path, body=None, headers=None, **query):
    """One request; the whole answer, parsed where it is one document."""
    connection = Connection("engine")
    head = {"Content-Type": "application/json"} if body is not None else {}
    where = path + ("?" + urlencode(query) if query else "")
    connection.request(method, where, None if body is None else json.dumps(body), {**head, **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status >= 400:
        raise Refused(f"{method} {path}: {answer.status} {text}")
    return json.loads(text) if text and "\n" not in text.strip() else text


def pull(image, registry, user, password):
    """Pulls; the end of the engine's stream says whether it worked."""
    login = json.dumps({"username": user, "password": password, "serveraddress": registry})
    auth = base64.urlsafe_b64encode(login.encode()).decode()
    name, _, tag = image.rpartition(":")
    told = ask("POST", "/images/create", headers={"X-Registry-Auth": auth}, fromImage=name, tag=tag)
    lines = told.splitlines() if isinstance(told, str) else [json.dumps(told)]
    for line in filter(str.strip, lines):
        if error := json.loads(line).get("error"):
            raise Refused(error)


def create(name, image, env, labels, network, command=None, publish=None):
    """A container; returns its id."""
    host = {"NetworkMode": network}
    spec = {"Image": image, "Env": env, "Labels": labels, "HostConfig": host}
    if command:
        spec["Cmd"] = command
    if publish:
        host["PortBindings"] = {"8000/tcp": [{"HostPort": str(publish)}]}
    return ask("POST", "/containers/create", spec, name=name)["Id"]


def start(container):
    """Starts it."""
    ask("POST", f"/containers/{container}/start")


def wait(container):
    """Its exit code, once it has ended."""
    return ask("POST", f"/containers/{container}/wait")["StatusCode"]


def stop(container):
    """Stops it with the engine's default grace."""
    ask("POST", f"/containers/{container}/stop")


def remove(container):
    """Removes it, running or not."""
    ask("DELETE", f"/containers/{quote(container)}", force="1", v="1")


def containers(label):
    """The ids of all containers with this label."""
    found = ask("GET", "/containers/json", all="1", filters=json.dumps({"label": [label]}))
    return [container["Id"] for container in found]
