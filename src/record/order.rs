//! The order of the lines of a sweep, whichever were measured first.

use std::collections::BTreeMap;

use super::Line;
use super::place::SetOfPrompts;

/// Puts the lines of one sweep in order: templates as the run asked for them that asked for them first, cells as their experiment has
/// them.
pub(super) fn in_order<L: AsRef<Line>>(lines: &mut [L]) {
    // The least index, then the first appearance.
    let mut templates: BTreeMap<SetOfPrompts, (usize, usize)> = BTreeMap::new();
    for (i, line) in lines.iter().enumerate() {
        let line = line.as_ref();
        if let (Some(template), Some(place)) = (template(line), line.place()) {
            let rank = templates.entry(template).or_insert((place.template, i));
            rank.0 = rank.0.min(place.template);
        }
    }
    lines.sort_by_cached_key(|line| {
        let line = line.as_ref();
        let rank = template(line).and_then(|template| templates.get(&template).copied());
        let order = line.place().map(|place| place.cell.order.clone());
        (rank, order, line.failed())
    });
}

fn template(line: &Line) -> Option<SetOfPrompts> {
    line.address().map(|at| at.set())
}
