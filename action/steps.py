"""The steps of action.yml, which runs this file with the name of one; inputs come through the environment.

Only Python's own library is used, because nothing is installed yet.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = {0: "pass", 1: "fail", 2: "inconclusive"}
# GitHub takes no longer comment.
LONGEST = 65_000


def given(name):
    return os.environ.get(name, "")


def folder():
    """What the action keeps to itself, in a job."""
    return Path(os.environ["RUNNER_TEMP"], "af1")


def program(name):
    """A program of the environment that was installed."""
    return folder() / "venv" / ("Scripts" if os.name == "nt" else "bin") / name


def environment():
    """That of af1: what it fetches goes to the folder that is cached."""
    return {**os.environ, "AF1_CACHE": str(folder() / "cache" / "models")}


def set_outputs(**outputs):
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        for name, value in outputs.items():
            value = str(value)
            if "\n" in value or "\r" in value:
                sys.exit(f"{name} must be one line: {value!r}")
            file.write(f"{name.replace('_', '-')}={value}\n")


def digest(*words):
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def requirement():
    """What pip is to install: a wheel, or a version from the index."""
    version = given("VERSION")
    if version.endswith(".whl"):
        return str(Path(version).resolve())
    if not version:
        with open(ROOT / "Cargo.toml", "rb") as file:
            version = tomllib.load(file)["package"]["version"]
    if not re.fullmatch(r"[0-9][0-9A-Za-z.!+-]*", version):
        sys.exit(f"version: {version!r} is neither a version nor a path to a wheel")
    return f"af1-harness=={version}"


def packages():
    """The name of what is to be installed: the same wanted by the same Python is the same."""
    wanted = requirement()
    content = Path(wanted).read_bytes() if wanted.endswith(".whl") else b""
    return digest(wanted, hashlib.sha256(content).hexdigest(), sys.version)


def prepare():
    """The keys of the cache: of what this model and device need, and of what any model needs."""
    machine = "-".join(["af1", given("RUNNER_OS"), given("RUNNER_ARCH")])
    key = digest(packages(), given("MODEL"), given("DEVICE"))
    set_outputs(key=f"{machine}-{key}", any_model=f"{machine}-")


def install():
    """An environment of its own: nothing of the job's Python changes. Its packages are cached, so that an index is asked once."""
    wanted, installed = packages(), folder() / "venv" / "installed"
    if installed.exists() and installed.read_text() == wanted:
        return
    kept = folder() / "cache" / "packages" / wanted
    whole = kept / "whole"
    venv.create(folder() / "venv", clear=True, with_pip=True)
    pip = [program("python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    if not whole.exists():
        subprocess.run([*pip, "download", "--only-binary=:all:", f"--dest={kept}", "--", requirement()], check=True)
        whole.touch()
    subprocess.run([*pip, "install", "--no-index", f"--find-links={kept}", "--", requirement()], check=True)
    installed.write_text(wanted)


def gate():
    """Runs the gate; whatever it answers, the steps behind it are to show it."""
    answer = folder() / "answer.jsonl"
    # A job may have several gates.
    for file in (answer, folder() / "comment.md"):
        file.unlink(missing_ok=True)
    paths = {name: given(name.upper()) for name in ("record", "junit", "page")}
    words = ["--format=json", f"--out={answer}"]
    for option in ("model", "config", "baseline", "device", "threads", "record", "junit"):
        if value := given(option.upper()):
            words.append(f"--{option}={value}")
    words += [line for line in given("ARGUMENTS").splitlines() if line]
    code = subprocess.run([program("af1"), "gate", *words], env=environment()).returncode
    verdict = VERDICTS.get(code, "error")
    counts = Counter()
    if answer.exists():
        lines = [json.loads(line) for line in answer.read_text(encoding="utf-8").splitlines()]
        counts.update(line["outcome"] for line in lines if line["experiment"] == "gate")
        show(answer, paths["page"])
    set_outputs(
        verdict=verdict,
        code=code,
        passed=counts["pass"],
        failed=counts["fail"],
        inconclusive=counts["inconclusive"],
        **paths,
    )


def show(answer, page):
    """The answer in the log, as a page, and shortly for a comment."""
    for words in ([], ["--format=html", f"--out={page}"], ["--format=markdown", "--short", f"--out={folder() / 'comment.md'}"]):
        subprocess.run([program("af1"), "report", answer, *words], env=environment(), check=True)


def ask(method, path, body=None):
    """Asks GitHub's interface."""
    request = urllib.request.Request(
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {given('TOKEN')}", "Accept": "application/vnd.github+json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def own_comment(number, marker):
    """The comment of an earlier run. What a person wrote is nobody's to change, whatever it begins with."""
    page = 1
    while comments := ask("GET", f"issues/{number}/comments?per_page=100&page={page}"):
        for comment in comments:
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(marker):
                return comment["id"]
        page += 1
    return None


def comment():
    """Writes the comment, or writes it anew. Where that fails there is a warning: the verdict does not depend on it."""
    with open(os.environ["GITHUB_EVENT_PATH"], encoding="utf-8") as file:
        number = json.load(file).get("pull_request", {}).get("number")
    if number is None:
        return print("no comment: this is no pull request")
    marker = f"<!-- af1 gate {digest(given('MODEL'), given('CONFIG'))} -->"
    run = "/".join(given(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")) + f"/actions/runs/{given('GITHUB_RUN_ID')}"
    text = folder() / "comment.md"
    said = text.read_text(encoding="utf-8") if text.exists() else f"**{given('VERDICT')}**: the gate has no answer.\n"
    body = f"{marker}\n## af1 gate\n\n{said}\n[The run]({run}) has the records, the JUnit file and the page.\n"
    if len(body) > LONGEST:
        head, _, _ = said.partition("<details>")
        body = f"{marker}\n## af1 gate\n\n{head[:LONGEST // 2]}\n[The run]({run}) has all that was measured.\n"
    try:
        known = own_comment(number, marker)
        if known is None:
            ask("POST", f"issues/{number}/comments", {"body": body})
        else:
            ask("PATCH", f"issues/comments/{known}", {"body": body})
    # A refusal, a silence, or an answer that is none.
    except (OSError, ValueError, LookupError) as error:
        print(f"::warning title=af1::the comment could not be written: {str(error)!r}")


def verdict():
    """Ends the job as the gate did."""
    code = int(given("CODE"))
    sys.exit(0 if given("VERDICT") == "inconclusive" and given("LENIENT") == "true" else code)


if __name__ == "__main__":
    {step.__name__: step for step in (prepare, install, gate, comment, verdict)}[sys.argv[1]]()
