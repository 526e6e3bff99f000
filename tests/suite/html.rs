//! The page: it says what the records say, asks for nothing, and runs nothing but its own script.

use af1::intervene::Plan;
use af1::stats::Proportion;
use std::collections::BTreeMap;

use af1::record::{
    CellName, Counts, HeadAttention, Kind, Line, Measurement, Paired, Place, Row, Scores, Subject,
    Weight,
};
use af1::report::html;
use serde_json::Value;

use super::program::{Words, experiments, planted, stdout, verb_of};

/// What every experiment records of a planted model whose answers do not all stay or go: two operations, few prompts.
fn recorded() -> String {
    let text = |verb: &&str| {
        let run = planted(verb).model("planted-noisy").operation("A+B,A-B");
        stdout(run.operands("0..=5").run().words("--format json"))
    };
    experiments().iter().map(text).collect()
}

fn lines(text: &str) -> Vec<Line> {
    text.lines().map(|line| Line::read(line).unwrap()).collect()
}

/// The numbers on a page: of a sweep, a template, a cell and a field the values, as they are written.
fn numbers(page: &str) -> BTreeMap<[String; 4], Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for tag in page.split("<td data-sweep=").skip(1) {
        let tag = tag.split('>').next().unwrap();
        let of = |name: &str| {
            let value = tag.split(&format!("{name}=\"")).nth(1);
            value
                .and_then(|rest| rest.split('"').next())
                .unwrap()
                .to_owned()
        };
        let sweep = tag.split('"').nth(1).unwrap().to_owned();
        let key = [
            sweep,
            of("data-template"),
            of("data-cell"),
            of("data-field"),
        ];
        all.entry(key).or_default().push(of("data-value"));
    }
    all
}

/// The fields of a record that is no measurement, with the numbers that stand there; `None` of measurements.
fn parts(row: &Value) -> Option<Vec<(String, String)>> {
    let each = |field: &str| row[field].as_object().into_iter().flatten();
    let mut all = Vec::new();
    for (name, weight) in each("weights") {
        all.push((format!("weights.{name}"), weight["mean"].to_string()));
    }
    for (position, found) in each("patched") {
        for fate in ["moved", "stayed"] {
            let field = format!("patched.{position}.{fate}.value");
            all.push((field, found[fate]["value"].to_string()));
        }
    }
    for (spot, found) in each("lens") {
        for (sought, stands) in found.as_object().unwrap() {
            for field in [
                "first/value",
                "probability/mean",
                "rank/mean",
                "median_rank",
            ] {
                let value = stands.pointer(&format!("/{field}")).unwrap();
                let field = format!("lens.{spot}.{sought}.{}", field.replace('/', "."));
                all.push((field, value.to_string()));
            }
        }
    }
    let measures = ["weights", "patched", "lens"]
        .iter()
        .all(|of| row[of].is_null());
    (!measures).then_some(all)
}

#[test]
fn every_number_of_the_records_is_on_the_page() {
    let text = recorded();
    let page = html(&lines(&text));
    let numbers = numbers(&page);
    // Raw: a number is the digits that stand in the record.
    let raw = |text: &str, field: &str| -> Option<String> {
        let rest = text.split(&format!("\"{field}\":")).nth(1)?;
        Some(rest.split([',', '}']).next()?.to_owned())
    };
    let mut seen = BTreeMap::<String, usize>::new();
    for record in text.lines() {
        let row: Value = serde_json::from_str(record).unwrap();
        let experiment = row["experiment"].as_str().unwrap().to_owned();
        *seen.entry(experiment.clone()).or_default() += 1;
        let check = |field: &str, value: String| {
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            let template = format!("{} {}", text("style"), text("operation"));
            let key = [text("sweep"), template, text("cell"), field.to_owned()];
            let shown = numbers
                .get(&key)
                .unwrap_or_else(|| panic!("{key:?} is not there"));
            assert!(
                shown.iter().all(|shown| *shown == value),
                "{key:?}: {shown:?}, not {value}"
            );
        };
        if let Some(parts) = parts(&row) {
            parts
                .into_iter()
                .for_each(|(field, value)| check(&field, value));
            continue;
        }
        for field in ["faithfulness", "accuracy"] {
            check(field, raw(record, field).unwrap());
        }
        if experiment == "alternatives" && !row["paired"].is_null() {
            let difference = &row["paired"]["accuracy_difference"];
            check("paired.accuracy_difference", difference.to_string());
        }
        if let Some(outcome) = row["verdict"]["outcome"].as_str() {
            let with_verdicts = [
                "af1",
                "transfer",
                "alternatives",
                "discover",
                "windows",
                "peek",
                "stability",
            ];
            assert!(
                with_verdicts.contains(&&*experiment),
                "{experiment} has a verdict"
            );
            check("verdict", outcome.to_owned());
        }
    }
    assert_eq!(seen.len(), experiments().len(), "{seen:?}");
    // What a picture is there for is there: a map for each of two maskings and three ablations, and of each of two templates one of
    // waiting, two of transfer, one of necessity, of heads, of alternatives and of contexts, three of attention, two of
    // residuals for each of two changes and three swaps, one of windows and one of their complement, one of the lens at each of three
    // tokens and one of its probabilities, one of what the last token sees, one of what is chosen on halves.
    let pictures = page.matches("<svg role=\"img\" aria-label=").count();
    assert_eq!(
        pictures,
        2 * 3 + 2 * (1 + 2 + 1 + 1 + 1 + 1 + 3 + 2 * 2 * 3 + 1 + 1 + 3 + 1 + 1 + 1)
    );
    assert_eq!(page.matches("<figcaption>").count(), pictures);
    assert_eq!(page, html(&lines(&text)), "equal records make equal bytes");
    for elsewhere in ["http://", "https://", "@import", "url(", "src="] {
        assert!(!page.contains(elsewhere), "{elsewhere} is on the page");
    }
    runs_only_its_own(&page);
}

/// The page has one script, its own, and the data for it; a browser is told to run and to style by nothing else.
fn runs_only_its_own(page: &str) {
    let (style, script) = (
        include_str!("../../src/report/html/page.css"),
        include_str!("../../src/report/html/page.js"),
    );
    assert!(page.contains(&format!("<style>{style}</style>")));
    assert!(page.contains(&format!("<script>{script}</script>")));
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(
        page.matches("<script type=\"application/json\" id=\"prompts\">")
            .count(),
        1
    );
    assert_eq!(page.matches("</script").count(), 2);
    let policy = page
        .split("http-equiv=\"Content-Security-Policy\" content=\"")
        .nth(1)
        .unwrap();
    let policy = policy.split('"').next().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !page.contains(" style=\""),
        "{policy}"
    );
    assert!(script.lines().count() < 300);
}

/// A card says in a word what every experiment finds of a template, and that is what was planted.
#[test]
fn cards_say_what_was_planted() {
    let verbs = [
        "run",
        "waiting",
        "transfer --ablation cama",
        "necessity",
        "heads",
    ];
    let text = |verb: &&str| stdout(planted(verb).run().words("--format json"));
    let page = html(&lines(&verbs.iter().map(text).collect::<String>()));
    let card = page.split("<article ").nth(1).unwrap();
    let card = card.split("</article>").next().unwrap();
    for due in [
        "<span class=\"verdict pass\"><span aria-hidden=\"true\">✓</span> pass</span>",
        "<strong>AF1(3, 2)</strong>",
        "<dt>waits to</dt><dd>layer 3 of 8<",
        "<dt>longest wait</dt><dd>AF1(3, 2)<",
        "<dt>layers needed</dt><dd>3, 4<",
        "<dt>heads needed</dt><dd>5 of 8<",
        "<dt>mean instead</dt><dd>0/100 .00 [.00, .04]<",
        "<dt>zero instead</dt><dd>0/100 .00 [.00, .04]<",
    ] {
        assert!(card.contains(due), "{due} is not on the card: {card}");
    }
    assert_eq!(page.matches("<article ").count(), 1);
}

/// A name that would be markup if it were not text.
const HOSTILE: &str = "\"><script>alert('x')</script><b a='&amp;";

/// A cell whose every name is hostile.
fn hostile_measurement(experiment: &str, cell: usize) -> Line {
    let hostile = HOSTILE;
    let mut m = Measurement {
        experiment: experiment.into(),
        paired: Some(Paired {
            ablation: hostile.to_owned(),
            ..Paired::default()
        }),
        place: Place {
            kind: experiment.into(),
            cell: CellName::new([cell], hostile),
            ..Place::default()
        },
        subject: Subject {
            layers: 4,
            plan: Plan::af1(cell, 1),
            ..Subject::default()
        },
        counts: Counts {
            prompts: 10,
            base_correct: 10,
            correct: 9,
            correct_given_base: 9,
            ..Counts::default()
        },
        scores: Scores {
            faithfulness: Proportion {
                value: Some(0.9),
                ..Proportion::default()
            },
            accuracy: Proportion {
                value: Some(0.9),
                ..Proportion::default()
            },
            ..Scores::default()
        },
        ..Measurement::default()
    };
    for name in [
        &mut m.place.sweep,
        &mut m.subject.model,
        &mut m.subject.style,
        &mut m.subject.operation,
        &mut m.subject.ablation,
        &mut m.provenance.device,
        &mut m.provenance.runtime,
    ] {
        *name = format!("{experiment}{hostile}");
    }
    Line::new(Row::Measured(Box::new(m)))
}

/// Names come from users and files.
#[test]
fn names_are_text() {
    let hostile = HOSTILE;
    let verbs = experiments().iter().map(|words| verb_of(words));
    let mut all: Vec<Line> = Vec::new();
    for experiment in verbs.chain(["af1", hostile]) {
        all.extend((0..2).map(|cell| hostile_measurement(experiment, cell)));
    }
    let weight = Weight {
        mean: 0.5,
        low: None,
        high: None,
    };
    all.push(Line::new(Row::Attention(Box::new(HeadAttention {
        place: Place {
            sweep: "attention".to_owned(),
            kind: Kind::ATTENTION,
            ..Place::default()
        },
        experiment: Kind::ATTENTION,
        model: hostile.to_owned(),
        style: hostile.to_owned(),
        weights: [("A".to_owned(), weight), (hostile.to_owned(), weight)].into(),
        ..HeadAttention::default()
    }))));
    let failure = serde_json::json!({
        "schema": 2, "sweep": "failed", "cell": 0, "experiment": "af1", "model": hostile, "style": hostile,
        "operation": hostile, "error": hostile, "exit_code": 3,
    });
    let found = serde_json::json!({
        "prompts": 1, "base_correct": 1, "waits": null, "af1": null, "knockouts": [], "heads": [],
    });
    let selfcheck = serde_json::json!({
        "schema": 3, "experiment": "selfcheck", "model": hostile, "style": hostile, "operation": hostile, "shape": "1+1=1",
        "step": "0", "key": "span", "bos": hostile, "bos_rule": hostile, "planted": null, "found": found,
        "claim": [1, 1], "due": "pass", "verdict": "fail",
        "kept_planted": null, "kept": 0, "differences": [hostile],
    });
    for row in [failure, selfcheck] {
        all.push(Line::read(&row.to_string()).unwrap());
    }
    let page = html(&all);
    assert!(page.contains("&lt;script&gt;"));
    assert!(
        !page.contains("<script>alert") && !page.contains("<b a="),
        "a name became markup"
    );
    runs_only_its_own(&page);
    assert_eq!(
        page.matches("</svg>").count(),
        page.matches("<svg ").count()
    );
}

#[test]
fn no_records_no_pictures() {
    let page = html(&[]);
    assert!(page.contains("no measurements") && !page.contains("<svg"));
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
}
