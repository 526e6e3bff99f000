"""Checks that the tables of `af1_records` say what records say, and runs the notebook on them.

Usage: python3 check.py RECORDS.jsonl ANSWERS.jsonl

The records need cells of `waiting`, `transfer` and `necessity`, swapped residuals, readings of the lens and attention.
"""

import json
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import af1_records

HERE = Path(__file__).resolve().parent


def same(table, lines, fields):
    """Whether a table has a row for every line with these fields."""
    due = sorted(json.dumps([line[name] for name in fields]) for line in lines)
    found = sorted(json.dumps([None if value != value else value for value in row]) for row in table[fields].astype(object).values.tolist())
    return due == found


def main():
    records, answers = sys.argv[1:]
    found = af1_records.load(records)
    lines = [json.loads(text) for text in open(records, encoding="utf-8")]
    cells = [line for line in lines if "answers" in line]
    fields = ["sweep", "cell", "style", "operation", "prompts", "correct_given_base", "faithfulness", "faithfulness_low", "faithfulness_high"]
    assert cells and same(found.cells, cells, fields), "the cells are others than those of the record"
    assert set(found.cells["provenance.seed"]) == {line["provenance"]["seed"] for line in cells}
    patched = [line for line in lines if "patched" in line]
    moved = found.patches[found.patches.outcome == "moved"]
    assert len(moved) == sum(len(line["patched"]) for line in patched) > 0
    assert moved["count"].sum() == sum(at["moved"]["count"] for line in patched for at in line["patched"].values())
    read = [line for line in lines if "lens" in line]
    first = found.lens[(found.lens.number == "first") & (found.lens.read_at == "last") & (found.lens.sought == "answer")]
    assert first["count"].astype(int).tolist() == [line["lens"]["last"]["answer"]["first"]["count"] for line in read] != []
    heads = [line for line in lines if "weights" in line]
    assert len(found.attention) == sum(len(line["weights"]) for line in heads) > 0
    # A file that is read twice says everything once.
    assert len(af1_records.load(records, records).cells) == len(found.cells)
    # The prompts of a cell are as many as its record says, and as many of them are right.
    prompts = af1_records.prompts(answers)
    of_cell = prompts.groupby(["sweep", "cell", "style", "operation"])["right"].agg(["size", "sum"]).reset_index()
    joined = of_cell.merge(found.cells, on=["sweep", "cell", "style", "operation"])
    assert len(joined) == len(of_cell) > 0
    assert (joined["size"] == joined.prompts).all() and (joined["sum"] == joined.correct).all()
    os.environ["AF1_RECORDS"] = str(Path(records).resolve())
    os.environ["PYTHONPATH"] = str(HERE)
    notebook = nbformat.read(HERE / "paper.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120).execute()
    pictures = [out for cell in notebook.cells for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    assert len(pictures) == 3, f"{len(pictures)} pictures"
    print(f"{len(found.cells)} cells, {len(prompts)} answers, {len(found.patches)} swapped residuals, 3 pictures")


if __name__ == "__main__":
    main()
