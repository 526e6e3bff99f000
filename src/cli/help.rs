//! The help: options under headings in one order, verbs in groups, and examples.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::experiment::ALL;

/// The headings of options, in the order in which they are read.
const HEADINGS: [&str; 6] = [
    "Experiment",
    "Model",
    "Prompts",
    "Statistics",
    "Output",
    "Device",
];

/// Verbs under a heading.
struct Group {
    title: &'static str,
    verbs: &'static [Verb],
}

/// A verb that is no experiment, with two command lines behind the program's name that show its use.
struct Verb {
    name: &'static str,
    examples: [&'static str; 2],
}

/// What experiments ask of a model from outside, and what they see inside.
const ASK: &str = "Ask what a model can do without";
const INSIDE: &str = "Look inside a model";

const OTHERS: [Group; 3] = [
    Group {
        title: "Judge a model or a paper",
        verbs: &[
            Verb {
                name: "study",
                examples: ["study --init", "study study.toml --dry-run"],
            },
            Verb {
                name: "gate",
                examples: [
                    "gate -m path/to/checkpoint --config gate.toml",
                    "gate -m planted-af1 --config gate.toml --junit af1.xml",
                ],
            },
            Verb {
                name: "claims",
                examples: [
                    "claims --list",
                    "claims --claim waiting,sufficiency --model qwen2.5-coder-0.5b-instruct",
                ],
            },
        ],
    },
    Group {
        title: "Records and files",
        verbs: &[
            Verb {
                name: "report",
                examples: [
                    "report run.jsonl --format html --out page.html",
                    "report new.jsonl --against old.jsonl",
                ],
            },
            Verb {
                name: "merge",
                examples: [
                    "merge one.jsonl two.jsonl --out whole.jsonl",
                    "merge shards/1.jsonl shards/2.jsonl shards/3.jsonl",
                ],
            },
            Verb {
                name: "share",
                examples: [
                    "share run.jsonl --as every-eval-ever --model-id owner/name --out shared",
                    "share run.jsonl --as hugging-face --model-id owner/name --dataset owner/tasks --out model",
                ],
            },
            Verb {
                name: "export",
                examples: [
                    "export -m path/to/folder --out graph",
                    "export --out graph --af1 16,1 -s calculate --operation A+B",
                ],
            },
            Verb {
                name: "fetch",
                examples: ["fetch", "fetch --device webgpu"],
            },
            Verb {
                name: "cache",
                examples: ["cache", "cache --clear-unused"],
            },
        ],
    },
    Group {
        title: "Before and behind an experiment",
        verbs: &[
            Verb {
                name: "inspect",
                examples: [
                    "inspect -m path/to/folder",
                    "inspect -s calculate --operation A+B --bos none",
                ],
            },
            Verb {
                name: "selfcheck",
                examples: ["selfcheck", "selfcheck --device auto --model planted-af1"],
            },
            Verb {
                name: "diff",
                examples: [
                    "diff -m planted-af1 -s symbolic",
                    "diff -s calculate --operation A+B",
                ],
            },
            Verb {
                name: "list",
                examples: ["list models", "list styles --wide"],
            },
            Verb {
                name: "shell",
                examples: ["shell completions bash", "shell manual --out man"],
            },
            Verb {
                name: "doctor",
                examples: ["doctor", "doctor --device cuda:0"],
            },
            Verb {
                name: "logits",
                examples: [
                    "logits --prompt '3+4='",
                    "logits -m planted-af1 --prompt 1+2= --format json",
                ],
            },
        ],
    },
];

/// The groups of verbs, each with its title.
fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    let experiments = |inside: bool| {
        let of = ALL.iter().filter(|entry| entry.inside == inside);
        of.map(|entry| entry.name).collect()
    };
    let mut groups = vec![(ASK, experiments(false)), (INSIDE, experiments(true))];
    let others = OTHERS.iter();
    groups.extend(others.map(|group| {
        (
            group.title,
            group.verbs.iter().map(|verb| verb.name).collect(),
        )
    }));
    groups
}

/// The examples of a verb.
fn examples(verb: &str) -> Option<[&'static str; 2]> {
    let experiment = ALL.iter().find(|entry| entry.name == verb);
    let mut others = OTHERS.iter().flat_map(|group| group.verbs);
    let other = || {
        others
            .find(|other| other.name == verb)
            .map(|other| other.examples)
    };
    experiment.map(|entry| entry.examples).or_else(other)
}

/// The program with its verbs in groups, and the options of each under headings in one order, with examples.
pub fn arranged(program: Command) -> Command {
    let verbs = list_of_verbs(&program);
    let names: Vec<String> = program
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let program = names.iter().fold(program, |program, name| {
        program.mut_subcommand(name, |verb| with_examples(in_order(verb)))
    });
    program.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{verbs}Options:\n{{options}}\n"
    ))
}

/// What stands in place of clap's list of verbs.
fn list_of_verbs(program: &Command) -> String {
    let mut text = String::new();
    for (title, names) in groups() {
        let _ = writeln!(text, "{title}:");
        for name in names {
            let about = program.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or(String::new(), ToString::to_string);
            let _ = writeln!(text, "  {name:<13} {about}");
        }
        text.push('\n');
    }
    text
}

/// The same verb with its options in the order of the headings.
fn in_order(verb: Command) -> Command {
    let rank = |arg: &Arg| {
        let heading = arg.get_help_heading();
        heading.map_or(0, |heading| {
            HEADINGS
                .iter()
                .position(|known| *known == heading)
                .map_or(HEADINGS.len(), |at| at + 1)
        })
    };
    if verb.has_subcommands() {
        return verb;
    }
    let mut args: Vec<Arg> = verb.get_arguments().cloned().collect();
    args.sort_by_key(rank);
    let mut ordered = Command::new(verb.get_name().to_owned())
        .args(args)
        .groups(verb.get_groups().cloned());
    if let Some(about) = verb.get_about() {
        ordered = ordered.about(about.clone());
    }
    if let Some(about) = verb.get_long_about() {
        ordered = ordered.long_about(about.clone());
    }
    ordered
}

fn with_examples(verb: Command) -> Command {
    let Some(examples) = examples(verb.get_name()) else {
        return verb;
    };
    let lines = examples.map(|example| format!("  af1 {example}\n"));
    verb.after_help(format!("Examples:\n{}", lines.concat()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_verb_is_in_one_group_and_has_examples_that_can_be_read() {
        let all: Vec<&str> = groups().into_iter().flat_map(|(_, names)| names).collect();
        let program = Cli::command();
        let verbs: BTreeSet<&str> = program
            .get_subcommands()
            .map(Command::get_name)
            .filter(|name| *name != "help")
            .collect();
        assert_eq!(all.len(), verbs.len());
        assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), verbs);
        for verb in verbs {
            for example in examples(verb).unwrap() {
                assert_eq!(example.split(' ').next(), Some(verb));
                let words = std::iter::once("af1").chain(example.split(' '));
                let read = Cli::read(words.map(Into::into));
                assert!(
                    read.is_ok(),
                    "{example}: {:?}",
                    read.err().map(|e| e.to_string())
                );
            }
        }
    }

    #[test]
    fn every_heading_has_its_place() {
        for verb in arranged(Cli::command()).get_subcommands() {
            let headings = verb
                .get_arguments()
                .filter_map(|arg| arg.get_help_heading());
            for heading in headings {
                assert!(
                    HEADINGS.contains(&heading),
                    "{}: {heading}",
                    verb.get_name()
                );
            }
        }
    }
}
