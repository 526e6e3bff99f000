"""All mutants of some files in one program, which makes the mistake whose number the environment gives.

To build a program for every mutant takes half a minute each. Here the mutants that cargo-mutants lists are written into the sources
beside what they replace, `a + b` as `(if crate::mutant(7) { a - b } else { a + b })`, and built once. What does not compile that way is
taken out again: most of it compiles in no way, because a type has no default or no such operator, and the rest, such as a mistake in a
constant, is for cargo-mutants itself.
"""

import json
import re
import subprocess
from typing import NamedTuple

import tree_sitter_rust
from tree_sitter import Language, Parser

RUST = Language(tree_sitter_rust.language())

# Beside the program's own functions: the number of the mistake that is made, and which ones a test comes by.
SWITCH = """
/// Whether this mistake is made. Every one that a run comes by is written down where the environment names a file.
#[doc(hidden)]
pub fn mutant(number: usize) -> bool {
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    static MADE: LazyLock<usize> = LazyLock::new(|| {
        std::env::var("AF1_MUTANT").map_or(usize::MAX, |text| text.parse().expect("a number"))
    });
    static SEEN: LazyLock<Option<(std::fs::File, Vec<AtomicBool>)>> = LazyLock::new(|| {
        let path = std::env::var_os("AF1_MUTANTS_SEEN")?;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
        Some((file, (0..MUTANTS).map(|_| AtomicBool::new(false)).collect()))
    });
    const MUTANTS: usize = COUNT;
    if let Some((file, seen)) = &*SEEN {
        if !seen[number].swap(true, Ordering::Relaxed) {
            let mut file = file;
            file.write_all(format!("{number}\\n").as_bytes()).expect("a file that can be written");
        }
    }
    number == *MADE
}

/// What a function returns whose type says only that it is an iterator: that of a mistake, or its own.
#[doc(hidden)]
pub enum Either<A, B> {
    Mistaken(A),
    Own(B),
}

impl<A: Iterator, B: Iterator<Item = A::Item>> Iterator for Either<A, B> {
    type Item = A::Item;

    fn next(&mut self) -> Option<A::Item> {
        match self {
            Self::Mistaken(items) => items.next(),
            Self::Own(items) => items.next(),
        }
    }
}
"""


class Mutant(NamedTuple):
    """A mistake as cargo-mutants lists it: where it is in a file, in bytes, and what stands there instead."""

    number: int
    name: str
    file: str
    genre: str
    start: int
    end: int
    replacement: str


def listed(tree, options):
    """The mutants that cargo-mutants lists for the sources of `tree`."""
    command = ["cargo", "mutants", "--list", "--json", *options]
    found = json.loads(subprocess.run(command, cwd=tree, check=True, stdout=subprocess.PIPE, text=True).stdout)
    texts = {}
    mutants = []
    for number, mutant in enumerate(found):
        file = mutant["file"]
        if file not in texts:
            texts[file] = (tree / file).read_text(encoding="utf-8").split("\n")
        lines = texts[file]

        def offset(place):
            before = sum(len(line.encode()) + 1 for line in lines[: place["line"] - 1])
            return before + len(lines[place["line"] - 1][: place["column"] - 1].encode())

        start, end = offset(mutant["span"]["start"]), offset(mutant["span"]["end"])
        mutants.append(Mutant(number, mutant["name"], file, mutant["genre"], start, end, mutant["replacement"]))
    return mutants


def call(mutant):
    return f"crate::mutant({mutant.number})"


class File:
    """A file's sources with its mutants in them."""

    def __init__(self, source, mutants):
        self.source = source
        root = Parser(RUST).parse(source).root_node
        # By the node that each is written into.
        self.at = {}
        # The numbers of those that are nowhere, with the reason.
        self.impossible = {}
        for mutant in mutants:
            node = place(root, mutant)
            if node is None:
                self.impossible[mutant.number] = "a place that is not known"
            elif node.type == "let_chain":
                self.impossible[mutant.number] = LET
            else:
                self.at.setdefault(node.id, []).append(mutant)
        self.text = self.written(root)

    def plain(self, start, end):
        return self.source[start:end].decode()

    def written(self, node):
        """A node's text with its mutants, and with those within it."""
        text, at = "", node.start_byte
        for child in node.children:
            text += self.plain(at, child.start_byte) + self.written(child)
            at = child.end_byte
        text += self.plain(at, node.end_byte)
        for mutant in self.at.get(node.id, []):
            text = self.with_mutant(node, mutant, text)
        return text

    def with_mutant(self, node, mutant, text):
        """A node's text, `text`, or if the mutant is made that which it makes of the node."""
        whole = self.plain(node.start_byte, node.end_byte)
        if mutant.genre == "FnValue":
            assert text[0] == "{", text
            value = mutant.replacement
            returned = node.parent.child_by_field_name("return_type")
            if returned is not None and returned.text.startswith(b"impl "):
                return f"{{ if {call(mutant)} {{ crate::Either::Mistaken({value}) }} else {{ crate::Either::Own({text}) }} }}"
            return "{ if " + call(mutant) + " { return " + value + "; } " + text[1:]
        if mutant.genre == "MatchArm":
            pattern = node.child_by_field_name("pattern")
            guard = pattern.child_by_field_name("condition")
            if guard is None:
                end = pattern.end_byte - node.start_byte
                assert text.startswith(whole[:end]), "a pattern has no mutants"
                return f"{whole[:end]} if !{call(mutant)} {text[end:]}"
            return re.sub(r"\bif\b", f"if !{call(mutant)} &&", text, count=1)
        if mutant.genre == "StructField":
            value = node.child_by_field_name("value")
            name = node.child_by_field_name("field")
            base = next(sibling for sibling in node.parent.children if sibling.type == "base_field_initializer")
            base = self.plain(base.start_byte, base.end_byte).removeprefix("..")
            name = self.plain(name.start_byte, name.end_byte) if name else whole
            of = text[value.start_byte - node.start_byte :] if value else text
            return f"{name}: (if {call(mutant)} {{ ({base}).{name} }} else {{ {of} }})"
        changed = whole[: mutant.start - node.start_byte] + mutant.replacement + whole[mutant.end - node.start_byte :]
        return f"(if {call(mutant)} {{ {changed} }} else {{ {text} }})"


KINDS = {
    "FnValue": ("block",),
    "BinaryOperator": ("binary_expression", "compound_assignment_expr", "let_chain"),
    "UnaryOperator": ("unary_expression",),
    "MatchArm": ("match_arm",),
    "StructField": ("field_initializer", "shorthand_field_initializer"),
}


def place(root, mutant):
    """The node that a mutant is written into: the operator's expression, the arm, the field, the guard, the function's block."""
    # With a field goes its comma, which is beside its node.
    end = mutant.start + 1 if mutant.genre == "StructField" else mutant.end
    node = root.descendant_for_byte_range(mutant.start, end)

    def is_it(node):
        if mutant.genre == "MatchArmGuard":
            return (node.start_byte, node.end_byte) == (mutant.start, mutant.end)
        return node.type in KINDS[mutant.genre] and (mutant.genre != "FnValue" or node.parent.type == "function_item")

    while node is not None and not is_it(node):
        node = node.parent
    return node


def write(tree, sources, mutants):
    """Writes the mutants into the files of `tree`, from their `sources`; those for which that cannot be done, with the reason."""
    impossible = {}
    for file, source in sources.items():
        made = File(source, [mutant for mutant in mutants if mutant.file == file])
        impossible |= made.impossible
        (tree / file).write_text(made.text, encoding="utf-8")
    return impossible


# A pattern in a condition stands beside `&&` only.
LET = "let"
# Besides, a trait that is not implemented, an operator that a type does not have, a function that there is not.
IN_NO_WAY = {LET, "E0277", "E0369", "E0368", "E0599", "E0600"}


def compiled(tree, mutants, environment):
    """Writes those mutants into `tree` that compile there; they, and those that may compile by themselves."""
    sources = {file: (tree / file).read_bytes() for file in {mutant.file for mutant in mutants}}
    count = 1 + max((mutant.number for mutant in mutants), default=0)
    with open(tree / "src/lib.rs", "a", encoding="utf-8") as root:
        root.write(SWITCH.replace("COUNT", str(count)))
    kept, alone = mutants, []
    while True:
        impossible = write(tree, sources, kept)
        wrong = impossible | errors(tree, kept, environment)
        alone += [mutant for mutant in kept if mutant.number in wrong and wrong[mutant.number] not in IN_NO_WAY]
        kept = [mutant for mutant in kept if mutant.number not in wrong]
        if not wrong:
            others = len(mutants) - len(kept) - len(alone)
            print(f"{len(kept)} mutants are in one program, {len(alone)} cannot be written so, {others} do not compile", flush=True)
            return kept, alone


def errors(tree, mutants, environment):
    """The numbers of the mutants that do not compile, with the code of an error of each."""
    command = ["cargo", "check", "--locked", "--lib", "--message-format", "json"]
    done = subprocess.run(command, cwd=tree, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if done.returncode == 0:
        return {}
    known = {mutant.number for mutant in mutants}
    wrong, last = {}, None
    for line in done.stdout.splitlines():
        message = json.loads(line).get("message")
        if isinstance(message, dict) and message["level"] == "error" and message["spans"]:
            last = message["rendered"]
            number, is_within = blamed(tree, message)
            if number in known:
                # Elsewhere it may be that only this way of writing it does not compile.
                wrong.setdefault(number, (message["code"] or {}).get("code", "") if is_within else "")
    if not wrong:
        raise SystemExit(f"an error that is no mutant's: {last}")
    return wrong


def blamed(tree, message):
    """The number of the mutant in which an error is: the innermost branch around one of its places, or the last one before; and whether it is
    within it."""
    before = None
    spans = sorted(message["spans"], key=lambda span: not span["is_primary"])
    for span in spans:
        text = (tree / span["file_name"]).read_bytes()
        calls = list(re.finditer(rb"crate::mutant\((\d+)\)", text))
        within = lambda begin, end: begin <= span["byte_start"] and span["byte_end"] <= end
        around = [number for number, begin, end in branches(text, calls) if within(begin, end)]
        if around:
            return around[-1], True
        earlier = [found for found in calls if found.start() <= span["byte_end"]]
        if earlier and before is None:
            before = int(earlier[-1].group(1))
    return before, False


def branches(text, calls):
    """Every mutant's branch: its number, and where it begins and ends."""
    for found in calls:
        if not text.startswith(b" {", found.end()):
            continue
        depth, at = 0, found.end() + 1
        for end in range(at, len(text)):
            depth += {ord("{"): 1, ord("}"): -1}.get(text[end], 0)
            if depth == 0:
                yield int(found.group(1)), at, end
                break
