//! Files of styles, and what their templates write and read.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(styles) = af1::fuzz::styles(text) else {
        return;
    };
    for style in styles.all() {
        let _ = style.examples();
    }
    let Ok(templates) = styles.select(&[], &[]) else {
        return;
    };
    for template in templates {
        let operands: Vec<i64> = (3..).take(template.operation.operands()).collect();
        let written = template.render(&operands).text;
        let _ = template.read(&written);
    }
    let _ = styles.select(&[], &["A+B".parse().expect("a sum")]);
});
