//! ABP with a shorter view: in the transfer layers the last token sees the last few tokens (`num_allowed` in the authors'
//! demo), and position 0 as ever.

use super::Masking;

/// How many tokens the last one sees, itself included.
pub struct Window(pub usize);

impl Masking for Window {
    fn name(&self) -> String {
        format!("window-{}", self.0)
    }

    fn peek(&self, k: usize, pos: usize) -> bool {
        k == 0 || k + self.0 >= pos
    }

    fn sized(&self, size: usize) -> Option<&'static dyn Masking> {
        // One value a size that a user names on the command line.
        (size > 0).then(|| &*Box::leak(Box::new(Self(size))) as &dyn Masking)
    }
}
