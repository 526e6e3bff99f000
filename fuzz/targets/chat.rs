//! Chat templates: rendering comes to an end, whatever they say.

#![no_main]

use std::cell::LazyCell;
use std::path::Path;

use af1::prompt::{Chat, Frame, Styles, Template};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static ASKED: LazyCell<Template> = LazyCell::new(|| {
        let sum = "A+B".parse().expect("a sum");
        let mut templates = Styles::built_in().select(&[], &[sum]).expect("there are some");
        let mut template = templates.swap_remove(0);
        template.frame = Frame::Wanted { prefill: String::new() };
        template
    });
}

fuzz_target!(|text: &str| {
    let config = serde_json::json!({ "chat_template": text, "bos_token": "<s>" });
    let chat = Chat::of_gguf(&config, Path::new("model.gguf"));
    ASKED.with(|template| {
        let _ = chat.frame(template);
    });
});
