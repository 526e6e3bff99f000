"""Runs the steps of action.yml as a workflow does, in a scratch repository.

Usage: python3 run.py    (`pip install pyyaml`)

For a model that keeps its claims, one that does not, and one that cannot tell: the steps' exit code, the outcome that they set,
the job summary, the records and the JUnit file.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def run(folder, inputs):
    """The exit code of the first step that fails, and what the steps wrote."""
    unknown = set(inputs) - set(ACTION["inputs"])
    assert not unknown, f"no inputs {unknown}"
    given = {name: inputs.get(name, spec.get("default")) for name, spec in ACTION["inputs"].items()}
    missing = [name for name, value in given.items() if value is None]
    assert not missing, f"inputs {missing} are required"
    temp, output, summary = folder / "temp", folder / "output", folder / "summary.md"
    temp.mkdir()
    # What was built is built: the action's own build only looks whether it is.
    (temp / "af1").symlink_to(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    code = 0
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        fill = lambda text: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: given[m[1]], str(text))
        environment = {
            **os.environ,
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            **{name: fill(value) for name, value in step.get("env", {}).items()},
        }
        script = fill(step["run"])
        assert "${{" not in script, script
        # As the runner starts a step whose shell is bash.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        code = subprocess.run(command, cwd=folder, env=environment).returncode
        if code:
            break
    return code, output.read_text(), summary.read_text()


def main():
    cases = [
        ("planted-af1", {}, 0, "pass"),
        ("planted-late", {}, 1, "fail"),
        ("planted-weak", {}, 2, "inconclusive"),
        ("planted-weak", {"inconclusive-is-success": "true"}, 0, "inconclusive"),
        ("planted-late", {"inconclusive-is-success": "true"}, 1, "fail"),
    ]
    for model, more, expected, outcome in cases:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            subprocess.run(["git", "init", "--quiet", folder], check=True)
            (folder / "gate.toml").write_text((ROOT / "fixtures/gate/planted.toml").read_text())
            code, output, summary = run(folder, {"model": model, "config": "gate.toml", **more})
            assert code == expected, f"{model} {more}: exit code {code}, not {expected}"
            assert output == f"outcome={outcome}\n", output
            assert summary.startswith("## af1 gate\n") and model in summary, summary
            # Five cells, and what the gate says of each of its two claims: six conditions and two.
            lines = [json.loads(line) for line in (folder / "af1.jsonl").read_text().splitlines()]
            assert [line["experiment"] == "gate" for line in lines] == [False] * 5 + [True] * 2
            assert (folder / "af1.xml").read_text().count("<testcase") == 8
            print(f"{model} {more}: exit code {code}, {outcome}")
    print(f"the action does what it says in {len(cases)} cases")


if __name__ == "__main__":
    sys.exit(main())
