"""Stand-ins for what cannot run here: EC2's IMDSv2, the GitHub API, and a slow external service.

Real HTTP on the addresses given. Each refuses what the original refuses, so that a client which
forgets a header fails here as it would there. Standard library only.
"""

import argparse
import json
import re
import secrets
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROLE = "preview-agent-demo"
IDENTITY = {
    "accountId": "123456789012",
    "architecture": "x86_64",
    "availabilityZone": "us-east-1a",
    "imageId": "ami-0123456789abcdef0",
    "instanceId": "i-0123456789abcdef0",
    "instanceType": "t3.small",
    "pendingTime": "2026-01-01T00:00:00Z",
    "privateIp": "10.0.0.10",
    "region": "us-east-1",
    "version": "2017-09-30",
}


def utc(seconds_from_now):
    """A point in time the way IMDS writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def credentials():
    """The role's credentials: dummies, since moto checks none."""
    return {
        "Code": "Success",
        "LastUpdated": utc(0),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIASTANDIN000000000",
        "SecretAccessKey": "secret-access-key-of-the-stand-in",
        "Token": "session-token-of-the-stand-in",
        "Expiration": utc(6 * 3600),
    }


def metadata():
    """Every leaf below /latest/, as text."""
    meta = {
        "ami-id": IDENTITY["imageId"],
        "instance-id": IDENTITY["instanceId"],
        "instance-life-cycle": "on-demand",
        "instance-type": IDENTITY["instanceType"],
        "local-ipv4": IDENTITY["privateIp"],
        "public-ipv4": Imds.public_ipv4,
        "placement/availability-zone": IDENTITY["availabilityZone"],
        "placement/region": IDENTITY["region"],
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        "tags/instance/Name": "preview",
        "tags/instance/Purpose": "pr-preview-singleton",
        "iam/info": json.dumps(
            {
                "Code": "Success",
                "LastUpdated": utc(0),
                "InstanceProfileArn": f"arn:aws:iam::{IDENTITY['accountId']}:instance-profile/{ROLE}",
                "InstanceProfileId": "AIPASTANDIN000000000",
            }
        ),
        f"iam/security-credentials/{ROLE}": json.dumps(credentials()),
    }
    leaves = {f"meta-data/{path}": value for path, value in meta.items()}
    leaves["dynamic/instance-identity/document"] = json.dumps(IDENTITY)
    return leaves


def lookup(path):
    """The text at a path: a leaf, or the names below a folder; None if there is neither."""
    leaves = metadata()
    if path in leaves:
        return leaves[path]
    folder = path.rstrip("/") + "/"
    below = [leaf[len(folder) :] for leaf in leaves if leaf.startswith(folder)]
    names = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in below})
    return "\n".join(names) or None


class Handler(BaseHTTPRequestHandler):
    """What all stand-ins share: keep-alive and one way to answer."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes; without this the second waits 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True

    def answer(self, status, body=b"", content_type="text/plain", **headers):
        """Sends one complete answer; underscores in header names become dashes."""
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Imds(Handler):
    """IMDSv2: a session token first, then the data."""

    public_ipv4 = ""
    expiry = {}

    def do_PUT(self):
        """The session token."""
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or "X-Forwarded-For" in self.headers:
            self.answer(403)
        elif not ttl.isdecimal() or not 1 <= int(ttl) <= 21600:
            self.answer(400)
        else:
            token = secrets.token_urlsafe(40)
            self.expiry[token] = time.monotonic() + int(ttl)
            self.answer(200, token, X_aws_ec2_metadata_token_ttl_seconds=ttl)

    def do_GET(self):
        """The data, for a token that still holds."""
        token = self.headers.get("X-aws-ec2-metadata-token", "")
        version, _, path = self.path.lstrip("/").partition("/")
        if self.expiry.get(token, 0) < time.monotonic():
            self.answer(401)
        elif not re.fullmatch(r"latest|\d{4}-\d\d-\d\d", version) or (found := lookup(path)) is None:
            self.answer(404)
        else:
            self.answer(200, found)


class GitHub(Handler):
    """GET /repos/OWNER/REPOSITORY/tarball/REF: 302 to codeload with a token of its own."""

    token = ""
    codeload = ""

    def do_GET(self):
        """The redirect, or the refusals of a private repository."""
        limits = {"X_RateLimit_Limit": "5000", "X_RateLimit_Remaining": "4999", "X_RateLimit_Reset": str(int(time.time()) + 3600)}
        match = re.fullmatch(r"/repos/([\w.-]+/[\w.-]+)/tarball/(.+)", self.path)
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if "User-Agent" not in self.headers:
            self.refuse(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header", limits)
        elif value and (scheme.lower() not in ("bearer", "token") or value != self.token):
            self.refuse(401, "Bad credentials", limits)
        elif not value or not match or not Codeload.commit(match[1], match[2]):
            self.refuse(404, "Not Found", limits)
        else:
            link = secrets.token_urlsafe(20)
            Codeload.links.add(link)
            location = f"http://{self.codeload}/{match[1]}/legacy.tar.gz/{match[2]}?token={link}"
            self.answer(302, Location=location, **limits)

    def refuse(self, status, message, limits):
        """GitHub's error form."""
        self.answer(status, json.dumps({"message": message}), "application/json", **limits)


class Codeload(Handler):
    """The archives of the bare repositories below `repositories`, each link good for one download."""

    repositories = Path()
    links = set()

    @classmethod
    def git(cls, repository, *arguments):
        """The output of a git command, None if it failed."""
        command = ["git", "-C", str(cls.repositories / f"{repository}.git"), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    @classmethod
    def commit(cls, repository, ref):
        """The commit id that a branch, tag or commit names."""
        found = cls.git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}")
        return found.decode().strip() if found else None

    def do_GET(self):
        """The archive as git writes it, which is what GitHub sends."""
        url = urlsplit(self.path)
        match = re.fullmatch(r"/([\w.-]+/[\w.-]+)/legacy\.tar\.gz/(.+)", url.path)
        link = parse_qs(url.query).get("token", [""])[0]
        if "Authorization" in self.headers:
            self.answer(400, "the API's token does not belong here")
        elif not match or link not in self.links or not (commit := self.commit(match[1], match[2])):
            self.answer(404, "404: Not Found")
        else:
            self.links.discard(link)
            prefix = f"{match[1].replace('/', '-')}-{commit[:7]}/"
            archive = self.git(match[1], "archive", "--format=tar.gz", f"--prefix={prefix}", commit)
            self.answer(200, archive, "application/x-gzip")


class Slow(Handler):
    """GET /slow: an external service that takes 2 s to answer."""

    def do_GET(self):
        """The answer, late."""
        if self.path == "/slow":
            time.sleep(2)
            self.answer(200, "done\n")
        else:
            self.answer(404)


def main():
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("imds", "github", "codeload", "slow"):
        parser.add_argument(f"--{name}", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--public-ipv4", required=True, metavar="ADDRESS")
    parser.add_argument("--repositories", required=True, type=Path, help="folder of OWNER/NAME.git")
    parser.add_argument("--token-file", required=True, type=Path, help="file with the token that the GitHub API takes")
    options = parser.parse_args()
    GitHub.token, GitHub.codeload = options.token_file.read_text().strip(), options.codeload
    Imds.public_ipv4, Codeload.repositories = options.public_ipv4, options.repositories
    for handler, where in ((Imds, options.imds), (GitHub, options.github), (Codeload, options.codeload), (Slow, options.slow)):
        address, _, port = where.rpartition(":")
        server = ThreadingHTTPServer((address, int(port)), handler)
        threading.Thread(target=server.serve_forever).start()


main()
