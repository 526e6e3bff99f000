"""Every line of records is what the JSON Schema says, and a line with another field or without one is not.

Usage: python3 .ci/schema.py [--all-of PROGRAM] SCHEMA RECORDS...

With --all-of every experiment that PROGRAM lists must have a line in the records.
"""

import argparse
import json
import subprocess
import sys

import jsonschema


def experiments(program):
    """The experiments that a program lists, as records call them. The kind of `run` is `af1`."""
    told = subprocess.run([program, "list", "experiments", "--format", "json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {json.loads(line)["experiment"] for line in told.splitlines()}
    return {"af1" if name == "run" else name for name in names}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all-of", metavar="PROGRAM")
    parser.add_argument("schema")
    parser.add_argument("records", nargs="+")
    given = parser.parse_args()
    with open(given.schema, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    kinds, asked = set(), set()
    for name in given.records:
        with open(name, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if error := jsonschema.exceptions.best_match(validator.iter_errors(row)):
                    sys.exit(f"{name}: line {number}: {error.message[:300]}")
                # What could not be measured is a line without numbers: it shows nothing of its experiment.
                if "error" not in row:
                    asked.add(row.get("sweep_kind"))
                kind = row["experiment"] if "error" not in row else "failure"
                if kind in kinds:
                    continue
                kinds.add(kind)
                without = {field: value for field, value in row.items() if field != "model"}
                for wrong in ({**row, "more": 1}, without):
                    if validator.is_valid(wrong):
                        sys.exit(f"{name}: line {number}: the schema lets another line pass")
    if given.all_of and (missing := experiments(given.all_of) - asked):
        sys.exit(f"these experiments have no line in the records: {', '.join(sorted(missing))}")
    print(f"{len(kinds)} kinds of lines are what the schema says: {', '.join(sorted(kinds))}")


if __name__ == "__main__":
    main()
