//! Names of models, of the hub and of results that are shared.

#![no_main]

use af1::fetch::HubModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(model) = HubModel::named(text) {
        // The name becomes one of folders.
        let plain =
            |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        assert!(
            model.id().split('/').count() == 2 && model.id().split('/').all(plain),
            "{text:?}"
        );
    }
    let _ = text.parse::<af1::share::HubName>();
});
