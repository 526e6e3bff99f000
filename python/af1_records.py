"""Records of af1 as tidy tables: one file, which needs pandas alone.

    import af1_records
    found = af1_records.load("run.jsonl")
    found.cells[["style", "operation", "wait", "ablation", "faithfulness", "faithfulness_low", "faithfulness_high"]]
    af1_records.prompts("answers.jsonl")

`load` reads what `--record` and `--format json` write, `prompts` what `--answers` writes. Every row keeps the fields of the record by their
names, which src/record/schema.md explains; the provenance stands in columns of its own, `provenance.seed` and so on. Nothing is computed
here: a number is the record's, and one that a record does not have is missing.
"""

from dataclasses import dataclass, field
import json
import os

import pandas

SCHEMAS = (2, 3)
_NESTED = ("weights", "patched", "lens")


@dataclass
class Records:
    """What files of records say, a table a kind of line."""

    cells: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """A row a cell of a sweep: what was measured, with intervals, tests and provenance."""

    attention: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """A row a head and what stands there: `role`, and the `mean` weight of the last token's attention on it, with `low` and `high`."""

    patches: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """A row a swapped residual and outcome: `position`, `token`, `outcome` (`moved` or `stayed`), `count`, `value`, `low`, `high`."""

    lens: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """A row a reading: `read_at`, `sought`, `number` (`first`, `probability` or `rank`), its value, `low` and `high`."""

    failures: pandas.DataFrame = field(default_factory=pandas.DataFrame)
    """A row a template or cell that could not be measured, with its `error` and `exit_code`."""

    others: list = field(default_factory=list)
    """Lines of other kinds, as they are: gates, self-checks, conclusions, comparisons."""


def load(*paths):
    """The records of one or several files, such as the shards of a sweep; a cell that stands in several is there once."""
    rows = {"cells": [], "attention": [], "patches": [], "lens": [], "failures": []}
    others, seen = [], set()
    for path in paths:
        for number, line in _lines(path):
            if line.get("schema") not in SCHEMAS:
                raise ValueError(f"{path}, line {number}: schema {line.get('schema')!r}; expected {' or '.join(map(str, SCHEMAS))}")
            kind = _kind(line)
            if kind is None:
                others.append(line)
                continue
            text = json.dumps(line, sort_keys=True)
            if text not in seen:
                seen.add(text)
                rows[kind].extend(_rows(kind, line))
    return Records(**{kind: pandas.DataFrame(found) for kind, found in rows.items()}, others=others)


def prompts(*paths):
    """What was said to every prompt in every cell, from files of `--answers`: a row a cell and prompt."""
    return pandas.DataFrame([line for path in paths for _, line in _lines(path)])


def _lines(path):
    """The objects of a file, each with the number of its line."""
    with open(os.fspath(path), encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: it is no JSON: {error}") from error
            if not isinstance(line, dict):
                raise ValueError(f"{path}, line {number}: expected an object, found {type(line).__name__}")
            yield number, line


def _kind(line):
    """The table in which a line stands; `None` where it stands in none."""
    for field_name, kind in (("error", "failures"), ("weights", "attention"), ("patched", "patches"), ("lens", "lens"), ("answers", "cells")):
        if field_name in line:
            return kind
    return None


def _flat(line):
    """The fields of a line without what is nested, those of the provenance beside them."""
    row = {name: value for name, value in line.items() if name not in _NESTED and name != "provenance"}
    row.update({f"provenance.{name}": value for name, value in line.get("provenance", {}).items()})
    return row


def _rows(kind, line):
    row = _flat(line)
    if kind == "attention":
        return [{**row, "role": role, **of_role} for role, of_role in line["weights"].items()]
    if kind == "patches":
        return [
            {**row, "position": int(position), "token": at["token"], "outcome": outcome, **at[outcome]}
            for position, at in line["patched"].items()
            for outcome in ("moved", "stayed")
        ]
    if kind == "lens":
        return [
            {**row, "read_at": place, "sought": sought, "number": number, "median_rank": found["median_rank"], **found[number]}
            for place, of_place in line["lens"].items()
            for sought, found in of_place.items()
            for number in ("first", "probability", "rank")
        ]
    return [row]
