//! What is written is read again and is equal: lines of records of every kind, the heads of GGUF files, graphs, studies. The values are any
//! that the types have; what contradicts itself is refused, which `hostile` shows.

mod dice;
mod files;
mod records;

use std::collections::BTreeMap;

use af1::graph::Graph;
use af1::graph::foreign::{Foreign, Manifest};
use af1::model::gguf::{Gguf, Value};
use af1::record::Line;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use dice::Dice;
use files::sized;

fn dice() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 0..600)
}

/// What a graph adds up to, whoever wrote its constants.
fn said(graph: &Graph) -> Vec<(String, Vec<String>, Vec<String>)> {
    let of = |node: &af1::graph::Node| {
        (
            node.op.to_string(),
            node.inputs.clone(),
            node.outputs.clone(),
        )
    };
    let mut all: Vec<_> = graph.nodes.iter().map(of).collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, rng_seed: RngSeed::Fixed(22), ..ProptestConfig::default() })]

    #[test]
    fn lines_of_records(drawn in dice()) {
        for row in Dice(drawn.into_iter()).rows() {
            let written = Line::new(row);
            let read = Line::read(&written.text);
            prop_assert!(read.is_ok(), "{:?}: {}", read.err(), written.text);
            let read = read.unwrap();
            prop_assert_eq!(&read.row, &written.row);
            prop_assert_eq!(Line::new(read.row).text, written.text);
        }
    }

    #[test]
    fn gguf_files(drawn in dice(), version in 2u32..=3) {
        let mut dice = Dice(drawn.into_iter());
        let entries: BTreeMap<String, (u32, (Value, Vec<u8>))> = (dice.several(|dice| {
            let kind = dice.below(13) as u32;
            (dice.text(), (kind, dice.value(kind, 0)))
        })).into_iter().collect();
        let tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)> = (dice.several(|dice| {
            let shape: Vec<usize> = (0..1 + dice.below(3)).map(|_| 1 + dice.below(3)).collect();
            let values = (0..shape.iter().product()).map(|_| dice.float() as f32).collect();
            (dice.text(), (shape, values))
        })).into_iter().collect();
        let mut bytes = [&b"GGUF"[..], &version.to_le_bytes(), &(tensors.len() as u64).to_le_bytes(), &(entries.len() as u64).to_le_bytes()].concat();
        for (key, (kind, (_, value))) in &entries {
            bytes.extend([sized(key), kind.to_le_bytes().to_vec(), value.clone()].concat());
        }
        let mut offset = 0u64;
        for (name, (shape, values)) in &tensors {
            bytes.extend([sized(name), (shape.len() as u32).to_le_bytes().to_vec()].concat());
            // The file lists the axes in reverse.
            shape.iter().rev().for_each(|axis| bytes.extend((*axis as u64).to_le_bytes()));
            bytes.extend([&0u32.to_le_bytes()[..], &offset.to_le_bytes()].concat());
            offset += (values.len() as u64 * 4).next_multiple_of(32);
        }
        for (_, values) in tensors.values() {
            bytes.resize(bytes.len().next_multiple_of(32), 0);
            values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.gguf");
        std::fs::write(&path, &bytes).unwrap();
        let read = Gguf::open(&path);
        prop_assert!(read.is_ok(), "{:?}", read.err());
        let read = read.unwrap();
        for (key, (_, (value, _))) in &entries {
            prop_assert_eq!(read.get(key), Some(value));
        }
        prop_assert_eq!(read.tensors().keys().collect::<Vec<_>>(), tensors.keys().collect::<Vec<_>>());
        for (name, (shape, values)) in &tensors {
            prop_assert_eq!(&read.tensors()[name].shape, shape);
            prop_assert_eq!(&read.widen(name), values);
        }
    }

    #[test]
    fn graphs(drawn in dice()) {
        let written = Dice(drawn.into_iter()).graph();
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest { heads: Some(1), ..Manifest::default() };
        let adopted = |graph: &Graph| {
            let foreign = Foreign::decode(graph.to_bytes()).unwrap();
            let found = foreign.check(folder.path(), &manifest);
            assert!(found.violations.is_empty(), "{:?}", found.violations);
            foreign.adopt(&manifest, &found)
        };
        let read = adopted(&written);
        prop_assert_eq!(said(&read), said(&written));
        prop_assert_eq!(&read.inputs, &written.inputs);
        prop_assert_eq!(&read.outputs, &written.outputs);
        prop_assert_eq!(&read.boundaries, &written.boundaries);
        // Constants are those of another program by now: from here on everything is equal.
        let again = adopted(&read);
        prop_assert_eq!(&again, &read);
        prop_assert_eq!(again.to_bytes(), read.to_bytes());
    }

    #[test]
    fn studies(
        models in prop::collection::vec(prop::sample::select(&["planted-af1", "planted-late", "a/b.gguf"][..]), 1..4),
        runs in prop::collection::vec(prop::sample::select(&["run", "waiting --wait 0,3", "necessity"][..]), 1..5),
        seed in any::<u32>(),
        own in any::<bool>(),
    ) {
        use toml::Value;
        let texts = |all: &[&str]| Value::Array(all.iter().map(|text| Value::from(*text)).collect());
        let experiment = |run: &&str| {
            let mut wire = toml::Table::from_iter([("run".to_owned(), Value::from(*run))]);
            if own {
                wire.insert("models".to_owned(), texts(&models[..1]));
            }
            Value::Table(wire)
        };
        let options = toml::Table::from_iter([
            ("style".to_owned(), texts(&["symbolic", "verbal"])),
            ("seed".to_owned(), Value::from(i64::from(seed))),
            ("operands".to_owned(), "0..=9".into()),
        ]);
        let study = toml::Table::from_iter([
            ("record".to_owned(), "study.jsonl".into()),
            ("page".to_owned(), "study.html".into()),
            ("models".to_owned(), texts(&models)),
            ("options".to_owned(), options.into()),
            ("experiment".to_owned(), Value::Array(runs.iter().map(experiment).collect())),
        ]);
        let asked = af1::fuzz::study(&toml::to_string(&study).unwrap());
        let each = if own { 1 } else { models.len() };
        prop_assert_eq!(asked.map_err(|e| e.to_string()), Ok(runs.len() * each));
    }
}
