"""Every line of records is what the JSON Schema says, and a line with another field or without one is not.

Usage: python3 .ci/schema.py SCHEMA RECORDS...
"""

import json
import sys

import jsonschema

schema, *files = sys.argv[1:]
with open(schema, encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
kinds = set()
for name in files:
    with open(name, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            if error := jsonschema.exceptions.best_match(validator.iter_errors(row)):
                sys.exit(f"{name}: line {number}: {error.message[:300]}")
            kind = row["experiment"] if "error" not in row else "failure"
            if kind in kinds:
                continue
            kinds.add(kind)
            without = {field: value for field, value in row.items() if field != "model"}
            for wrong in ({**row, "more": 1}, without):
                if validator.is_valid(wrong):
                    sys.exit(f"{name}: line {number}: the schema lets another line pass")
print(f"{len(kinds)} kinds of lines are what the schema says: {', '.join(sorted(kinds))}")
