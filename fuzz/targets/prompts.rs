//! Files of prompts, JSON and CSV, on the templates of the built-in styles.

#![no_main]

use std::cell::LazyCell;

use af1::prompt::{ContextsFrom, Selection, Styles, Template};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static TEMPLATES: LazyCell<Vec<Template>> = LazyCell::new(|| {
        Styles::built_in().select(&[], &["A+B".parse().expect("a sum")]).expect("there are some")
    });
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = af1::fuzz::prompts(bytes) else {
        return;
    };
    let selection = Selection {
        operands: 0..=99,
        results: 0..=99,
        contexts: 10,
        contexts_from: ContextsFrom::All,
        seed: 1,
        listed: None,
    };
    TEMPLATES.with(|templates| {
        for template in templates.iter() {
            let _ = list.select(std::slice::from_ref(template), selection.clone());
        }
    });
});
