//! ABP with a shorter view: in the transfer layers the last token sees the last few tokens (`num_allowed` in the authors'
//! demo), and position 0 as ever.

use super::Masking;

/// How many tokens the last one sees, itself included.
pub struct Window(pub usize);

impl Masking for Window {
    fn name(&self) -> String {
        format!("window-{}", self.0)
    }

    fn help(&self) -> &'static str {
        "As abp, but in the transfer layers the last token sees so many tokens only"
    }

    fn peek(&self, k: usize, pos: usize) -> bool {
        k == 0 || k + self.0 >= pos
    }

    fn size(&self) -> usize {
        self.0
    }
}

/// The one of that name.
pub(super) fn named(text: &str) -> Option<&'static dyn Masking> {
    let size = text.strip_prefix("window-")?.parse().ok()?;
    // One value a size that is named; another spelling of it is no name.
    let found = Window(size);
    (size > 0 && found.name() == text).then(|| &*Box::leak(Box::new(found)) as &dyn Masking)
}
