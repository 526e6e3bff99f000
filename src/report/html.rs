//! placeholder
use crate::record::Line;
/// placeholder
pub fn html(_: &[Line]) -> String {
    String::new()
}
