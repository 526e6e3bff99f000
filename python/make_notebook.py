"""Writes paper.ipynb, so that its cells can be read and changed as text. Usage: python3 make_notebook.py"""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CELLS = [
    new_markdown_cell(
        "# The pictures of the paper\n\nFrom a file of records, such as `af1 waiting`, `af1 transfer` and `af1 necessity` write with `--record run.jsonl`. "
        "The variable `AF1_RECORDS` names the file. Intervals are those of the records."
    ),
    new_code_cell(
        "import os\n\nimport matplotlib.pyplot as plt\n\nimport af1_records\n\n"
        'found = af1_records.load(os.environ.get("AF1_RECORDS", "run.jsonl"))\n'
        "cells = found.cells\n"
        'cells.groupby(["model", "experiment", "style", "operation"]).size()'
    ),
    new_markdown_cell("## How long can every token wait?\n\nFaithfulness when what a waiting token holds is replaced before layer W."),
    new_code_cell(
        'waiting = cells[cells.experiment == "waiting"]\n'
        "first = waiting.iloc[0]\n"
        "here = waiting[(waiting.model == first.model) & (waiting[\"style\"] == first[\"style\"]) & (waiting.operation == first.operation)]\n"
        "figure, axes = plt.subplots()\n"
        'for ablation, curve in here.sort_values("wait").groupby("ablation"):\n'
        '    axes.plot(curve["wait"], curve.faithfulness, marker="o", label=ablation)\n'
        '    axes.fill_between(curve["wait"], curve.faithfulness_low, curve.faithfulness_high, alpha=0.2)\n'
        'axes.axhline(first.claim, linestyle="--", color="grey")\n'
        'axes.set(xlabel="W: layers that wait", ylabel="faithfulness", title=f"{first.model}, {first[\'style\']} {first.operation}", ylim=(-0.02, 1.02))\n'
        "axes.legend()\nplt.show()"
    ),
    new_markdown_cell("## How many layers must transfer, and when?\n\nFaithfulness of AF1(W, K) with CAMA."),
    new_code_cell(
        'grid = cells[(cells.experiment == "transfer") & (cells.ablation == "cama")]\n'
        'table = grid.pivot_table(index="transfer", columns="wait", values="faithfulness", aggfunc="first")\n'
        "figure, axes = plt.subplots()\n"
        'image = axes.imshow(table, origin="lower", vmin=0, vmax=1, cmap="cividis", aspect="auto")\n'
        'axes.set(xlabel="W", ylabel="K", xticks=range(table.shape[1]), xticklabels=table.columns, yticks=range(table.shape[0]), yticklabels=table.index.astype(int))\n'
        'figure.colorbar(image, label="faithfulness")\nplt.show()'
    ),
    new_markdown_cell("## In which layers must the last token see the others?\n\nWhat is kept when the last token sees only itself and position 0 in one layer."),
    new_code_cell(
        'necessity = cells[cells.experiment == "necessity"]\n'
        "figure, axes = plt.subplots()\n"
        "low = necessity.faithfulness - necessity.faithfulness_low\n"
        "high = necessity.faithfulness_high - necessity.faithfulness\n"
        "axes.errorbar(necessity.knockout_layers, necessity.faithfulness, yerr=[low, high], fmt=\"o\")\n"
        'axes.set(xlabel="layers without sight", ylabel="faithfulness", ylim=(-0.02, 1.02))\n'
        "plt.show()"
    ),
]


def main():
    for number, cell in enumerate(CELLS):
        cell["id"] = f"cell-{number}"
    notebook = new_notebook(cells=CELLS, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    nbformat.write(notebook, Path(__file__).with_name("paper.ipynb"))


if __name__ == "__main__":
    main()
