"""Runs the steps of action.yml as a workflow does, in a scratch repository.

Usage: python3 run.py WHEEL    (`pip install pyyaml`)

For a model that keeps its claims, one that does not, and one that cannot tell: the steps' exit code, the outputs that they set, the job
summary, the records, the JUnit file and the page. The first case has an empty cache, the second a full one, and each says how long it took.
Every input with words in it that a shell would run must run none of them. The comment is written to a server here that answers as
GitHub's documents say; GitHub itself is not asked.
The actions of others that the steps use (the cache, the upload) are not run: what they are given is checked.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
# What any of the usual shells would run, in whichever quotes the words were put.
TRICK = "x$(touch pwned)`touch pwned`; touch pwned; '; touch pwned; '\"; touch pwned; \" && touch pwned"


class Github(BaseHTTPRequestHandler):
    """The comments of one pull request."""

    comments = []
    allowed = True

    def do_GET(self):
        page = int(re.search(r"[?&]page=(\d+)", self.path)[1])
        self.answer(200, self.comments if page == 1 else [])

    def do_POST(self):
        self.comments.append({"id": len(self.comments), "user": {"type": "Bot"}, "body": self.body()})
        self.answer(201, self.comments[-1])

    def do_PATCH(self):
        self.comments[int(self.path.rsplit("/", 1)[1])]["body"] = self.body()
        self.answer(200, {})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

    def answer(self, code, value):
        if not (self.allowed and self.headers["Authorization"] == "Bearer a-token"):
            code, value = 403, {"message": "Resource not accessible by integration"}
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Job:
    """A job of a workflow, on a machine whose temporary folder stays: what is installed is installed once."""

    def __init__(self, temp, api):
        self.temp, self.api = temp, api

    def run(self, folder, inputs):
        """The exit code of the first step that fails, the outputs of all, the summary, and what other actions were given."""
        unknown = set(inputs) - set(ACTION["inputs"])
        assert not unknown, f"no inputs {unknown}"
        given = {name: inputs.get(name, spec.get("default")) for name, spec in ACTION["inputs"].items()}
        missing = [name for name, value in given.items() if value is None]
        assert not missing, f"inputs {missing} are required"
        event, output, summary = (folder / ".git" / name for name in ("event.json", "output", "summary.md"))
        event.write_text(json.dumps({"pull_request": {"number": 7}}))
        known = {"runner.temp": str(self.temp), "github.token": "a-token"}
        known |= {f"inputs.{name}": value for name, value in given.items()}
        # A default is filled in before anything is run.
        known = {name: self.fill(value, known) if name.startswith("inputs.") and name[7:] not in inputs else value for name, value in known.items()}
        used, code = [], 0
        for step in ACTION["runs"]["steps"]:
            if not self.wanted(step.get("if"), known):
                continue
            if "uses" in step:
                used.append((step["uses"], {name: self.fill(value, known) for name, value in step["with"].items()}))
                continue
            assert step["shell"] == "bash" and "${{" not in step["run"], step
            output.write_text("")
            environment = {
                **os.environ,
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_API_URL": self.api,
                "GITHUB_EVENT_PATH": str(event),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_REPOSITORY": "owner/name",
                "GITHUB_RUN_ID": "1",
                "GITHUB_SERVER_URL": "https://github.example",
                "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_ARCH": "X64",
                "RUNNER_OS": "Linux",
                "RUNNER_TEMP": str(self.temp),
                **{name: self.fill(value, known) for name, value in step.get("env", {}).items()},
            }
            # As the runner starts a step whose shell is bash.
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            code = subprocess.run(command, cwd=folder, env=environment).returncode
            for line in output.read_text().splitlines():
                name, value = line.split("=", 1)
                known[f"steps.{step['id']}.outputs.{name}"] = value
            if code:
                break
        outputs = {name: self.fill(spec["value"], known) for name, spec in ACTION["outputs"].items()}
        return code, outputs, summary.read_text() if summary.exists() else "", used

    def fill(self, text, known):
        return re.sub(r"\$\{\{ ([a-z0-9.-]+) \}\}", lambda m: known.get(m[1], ""), str(text))

    def wanted(self, condition, known):
        """Whether a step is run: its condition compares one value with a word."""
        if condition is None:
            return True
        name, relation, word = re.fullmatch(r"([a-z0-9.-]+) (==|!=) '([a-z]*)'", condition).groups()
        return (known.get(name, "") == word) == (relation == "==")


def scratch(folder):
    """An empty repository with a gate's file."""
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    (folder / "gate.toml").write_text((ROOT / "fixtures/gate/planted.toml").read_text())
    return folder


def outcomes(job, wheel):
    cases = [
        ("planted-af1", {"threads": "2"}, 0, "pass", [2, 0, 0]),
        ("planted-late", {}, 1, "fail", [0, 2, 0]),
        ("planted-weak", {}, 2, "inconclusive", [0, 0, 2]),
        ("planted-weak", {"inconclusive-is-success": "true"}, 0, "inconclusive", [0, 0, 2]),
        ("planted-late", {"inconclusive-is-success": "true"}, 1, "fail", [0, 2, 0]),
        ("planted-af1", {"arguments": "--batch\n32"}, 0, "pass", [2, 0, 0]),
        ("no-such-model", {"inconclusive-is-success": "true"}, None, "error", [0, 0, 0]),
    ]
    for number, (model, more, expected, verdict, counts) in enumerate(cases):
        if number == 1:
            # As on a machine that has only what was cached.
            shutil.rmtree(job.temp / "af1/venv")
        with tempfile.TemporaryDirectory() as folder:
            folder = scratch(Path(folder))
            start = time.monotonic()
            inputs = {"model": model, "config": "gate.toml", "version": wheel, "comment": "true", **more}
            code, outputs, summary, used = job.run(folder, inputs)
            seconds = time.monotonic() - start
            assert code == expected or expected is None and code > 2, f"{model} {more}: exit code {code}, not {expected}"
            assert outputs["verdict"] == verdict, outputs
            assert [int(outputs[name]) for name in ("passed", "failed", "inconclusive")] == counts, outputs
            assert summary.startswith("## af1 gate\n") and model in summary, summary
            uses = [name.partition("@")[0] for name, _ in used]
            assert uses == ["actions/cache/restore", "actions/cache/save", "actions/upload-artifact"], uses
            restored, saved, uploaded = (given for _, given in used)
            assert (restored["key"], restored["path"]) == (saved["key"], saved["path"]) and restored["key"], used
            assert Path(saved["path"], "models").is_dir(), used
            runtime = list(Path(saved["path"]).glob("packages/*/onnxruntime-*.whl"))
            assert len(runtime) == 1, f"the runtime is cached once: {runtime}"
            if verdict != "error":
                files = [outputs[name] for name in ("record", "junit", "page")]
                assert uploaded["path"].split() == files and all((folder / file).is_file() for file in files), used
                # Five cells, and what the gate says of each of its two claims: six conditions and two.
                lines = [json.loads(line) for line in (folder / outputs["record"]).read_text().splitlines()]
                assert [line["experiment"] == "gate" for line in lines] == [False] * 5 + [True] * 2
                assert (folder / outputs["junit"]).read_text().count("<testcase") == 8
            print(f"{model} {more}: exit code {code}, {verdict}, {seconds:.0f} s", flush=True)
    return len(cases)


def comments(job, wheel):
    """One comment a gate, which is written anew; not over a person's, and a token that may not changes no verdict."""
    gates = {("planted-af1", "pass"), ("planted-late", "FAIL"), ("planted-weak", "inconclusive"), ("no-such-model", "error")}
    found = {(model, word) for model, word in gates for text in Github.comments if f"\n\n**{word}**" in text["body"] and (model in text["body"] or word == "error")}
    assert found == gates and len(Github.comments) == len(gates), Github.comments
    person = {**Github.comments[0], "id": 0, "user": {"type": "User"}}
    before = Github.comments[:] = [person]
    before = json.dumps(before)
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"model": "planted-af1", "config": "gate.toml", "version": wheel, "comment": "true"}
        assert job.run(scratch(Path(folder)), inputs)[0] == 0
        assert json.dumps(Github.comments[:1]) == before and len(Github.comments) == 2
        Github.allowed = False
        assert job.run(Path(folder), inputs)[0] == 0 and len(Github.comments) == 2


def tricks(job, wheel):
    """No input is read by a shell."""
    for name in ACTION["inputs"]:
        with tempfile.TemporaryDirectory() as folder:
            folder = scratch(Path(folder))
            inputs = {"model": "planted-af1", "config": "gate.toml", "version": wheel, "comment": "true", name: TRICK}
            code, outputs, *_ = job.run(folder, inputs)
            assert not list(folder.rglob("pwned")), f"{name} was run"
            # Where it may name a file or an artifact, or is no yes, it is one.
            harmless = name in ("record", "junit", "page", "artifact", "comment", "token", "inconclusive-is-success")
            assert (code == 0) == harmless, f"{name}: exit code {code}, {outputs}"
    return len(ACTION["inputs"])


def main():
    wheel = str(Path(sys.argv[1]).resolve())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Github)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as temp:
        job = Job(Path(temp), f"http://127.0.0.1:{server.server_port}")
        count = outcomes(job, wheel)
        comments(job, wheel)
        print(f"the action does what it says in {count} cases, and runs none of {tricks(job, wheel)} inputs")


if __name__ == "__main__":
    sys.exit(main())
