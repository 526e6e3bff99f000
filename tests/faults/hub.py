"""A hub on this machine that serves one small model, slowly if asked to, and can lie."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scene import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SERVED = ROOT / "fixtures/reference/tiny-llama/f32"
SHARDED = ROOT / "fixtures/reference/tiny-llama/sharded"
# Files that a hub should not be able to name: they would lie outside of the folder of a commit.
OUTSIDE = ("../../../../../outside", "/tmp/af1-outside")


class Hub(ThreadingHTTPServer):
    """Serves `owner/tiny`. What it does wrong is in `lie`: a name of what `Handler` knows, or nothing."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.lie, self.pace, self.elsewhere = SERVED, "", 0.0, None
        # What every request said of who asks.
        self.tokens = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that was killed is none of the hub's concern."""


class Handler(BaseHTTPRequestHandler):
    """One request: what the hub says of the model, or a part of a file."""

    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.tokens.append(self.headers.get("Authorization"))
        path = self.path.split("?")[0]
        if path.startswith("/api/") and self.server.lie == "an endless list":
            self.endless()
            return
        if path.startswith("/api/") and self.server.lie == "a silent list":
            time.sleep(600)
        if path.startswith("/api/models/owner/tiny/revision/"):
            self.send(200, json.dumps(self.info()).encode())
            return
        for state in (COMMIT, "main", "..%2F..%2Foutside"):
            prefix = f"/owner/tiny/resolve/{state}/"
            if path.startswith(prefix):
                self.file(path[len(prefix):])
                return
        self.send(404, b"")

    def info(self):
        lie = self.server.lie
        siblings = []
        for file in sorted(self.server.folder.iterdir()):
            data = self.data(file.name)
            told = {"rfilename": file.name, "size": len(data)}
            told["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if file.suffix == ".safetensors":
                told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest()}
                if lie == "a size in the list":
                    told["size"] = 1 << 62
            if lie == "a hash of git" and file.name == "config.json":
                told["blobId"] = "0" * 40
            if lie == "no hash":
                told.pop("blobId")
                told.pop("lfs", None)
            siblings.append(told)
        if lie == "a shard outside":
            for name in OUTSIDE:
                siblings.append({**siblings[-1], "rfilename": name})
        commit = "../../outside" if lie == "a commit outside" else COMMIT
        return {"sha": commit, "siblings": siblings}

    def endless(self):
        """What is no list yet, for as long as somebody reads."""
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b" " * 65536)

    def data(self, name):
        """A file; one that is named and is not there is the configuration."""
        path = self.server.folder / name
        data = (path if path.is_file() else self.server.folder / "config.json").read_bytes()
        if self.server.lie == "a shard outside" and name.endswith("index.json"):
            index = json.loads(data)
            first = next(iter(index["weight_map"]))
            index["weight_map"][first] = OUTSIDE[0]
            data = json.dumps(index).encode()
        return data

    def send(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def file(self, name):
        lie, weights = self.server.lie, name.endswith(".safetensors")
        if lie == "a redirect to itself" and weights:
            self.send(302, b"", Location=self.path)
            return
        if self.server.elsewhere and weights:
            self.send(302, b"", Location=self.server.elsewhere + self.path, X_Repo_Commit=COMMIT, X_Linked_Etag=f'"{name}-etag"')
            return
        data = self.data(Path(name).name)
        begin, _, end = self.headers.get("Range", f"bytes=0-{len(data) - 1}").removeprefix("bytes=").partition("-")
        begin = int(begin)
        end = int(end) + 1 if end else len(data)
        asks, whole = end == 1, len(data)
        if weights and lie == "too long":
            whole += 5000
            end = whole if not asks else end
        if weights and lie == "too short":
            whole //= 2
            end = min(end, whole)
        etag = "../../../outside" if lie == "an etag outside" and weights else f"{name}-etag"
        body = data[begin:end]
        self.send_response(206)
        claimed = len(body) + (5000 if lie == "too long" and weights and not asks else 0)
        if weights and lie == "cut short" and not asks:
            body = body[: len(body) // 3]
        self.send_header("Content-Length", str(claimed))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{whole}")
        self.end_headers()
        self.body(body, weights and not asks)

    def body(self, body, slowly):
        """In pieces, so that a download takes a time in which it can be killed."""
        pieces = 40 if slowly and self.server.pace else 1
        size = -(-len(body) // pieces) or 1
        for at in range(0, len(body), size):
            self.wfile.write(body[at : at + size])
            self.wfile.flush()
            time.sleep(self.server.pace if slowly else 0)
            if slowly and self.server.lie == "silence" and at > len(body) // 2:
                time.sleep(600)
