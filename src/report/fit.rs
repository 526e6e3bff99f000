//! Tables in little room. What says least goes first, and what went is said below the table.
//!
//! In this order, until the table fits: rows that say the same are one row; what is the same in all rows stands above the table; columns
//! that are a detail go; intervals go from maps, and elsewhere stand below their shares; cells are broken at any space; columns that are
//! useful only go; and at last a map is cut into parts, and the rows of any other table become lists.

use comfy_table::{ColumnConstraint, ContentArrangement, Table as Layout, Width, presets};
use unicode_width::UnicodeWidthStr;

use super::line::{TextLine, cell, words};
use crate::kit::{Importance, Table};

/// So many rows that say the same become one.
const REPEATED: usize = 3;

/// The narrowest room: below it, lines are longer than the room.
const NARROWEST: usize = 30;

/// A space at which no line is broken, until the lines are made.
const FIXED: char = '\u{a0}';

/// The lines of a table between strokes, each of its cells on one line: Markdown that can be read as it is.
pub fn natural(table: &Table) -> Vec<TextLine> {
    Grid::of(table).lines(None)
}

/// The lines of a table, none of which is longer than the room.
pub fn fitted(table: &Table, room: usize) -> Vec<TextLine> {
    let room = room.max(NARROWEST);
    let mut grid = Grid::of(table);
    let mut above = Vec::new();
    let mut hidden = Vec::new();
    grid.join_repeated();
    if grid.room() > room {
        grid.remove_empty();
    }
    if !grid.map {
        while grid.room() > room && grid.take_constant(&mut above) {}
    }
    while grid.room() > room && grid.remove_least(Importance::Detail, &mut hidden) {}
    let without_intervals = grid.map && grid.room() > room && grid.remove_intervals();
    while grid.least() > room && grid.remove_least(Importance::Useful, &mut hidden) {}
    while grid.room() > room && grid.break_widest() {}
    let mut lines = Vec::new();
    if !above.is_empty() {
        let common = format!("in every row: {}", above.join("; "));
        lines.extend(words(&common, Some(room)));
    }
    lines.extend(grid.within(room));
    if without_intervals {
        hidden.insert(0, "the intervals".to_owned());
    }
    if !hidden.is_empty() {
        // From left to right.
        hidden.reverse();
        let note = format!(
            "not shown in so little room: {} (--wide shows all)",
            hidden.join(", ")
        );
        lines.extend(words(&note, Some(room)));
    }
    lines
}

/// What stands above a column, and how much of the answer it is.
struct Head {
    name: String,
    importance: Importance,
}

/// The cells of a table as text.
struct Grid {
    heads: Vec<Head>,
    rows: Vec<Vec<String>>,
    map: bool,
}

impl Grid {
    fn of(table: &Table) -> Self {
        let head = |(i, name): (usize, &String)| Head {
            name: cell(name),
            importance: table.importance.get(i).copied().unwrap_or_default(),
        };
        let row = |row: &Vec<crate::kit::TableCell>| {
            let mut texts: Vec<String> = row.iter().map(|found| cell(&found.text)).collect();
            texts.resize(table.columns.len(), String::new());
            texts
        };
        Self {
            heads: table.columns.iter().enumerate().map(head).collect(),
            rows: table.rows.iter().map(row).collect(),
            map: table.map,
        }
    }

    /// Rows behind each other that are told apart by a number alone become one.
    fn join_repeated(&mut self) {
        let mut joined: Vec<Vec<String>> = Vec::new();
        let mut rest = self.rows.as_slice();
        while let [first, ..] = rest {
            let numbers = rest.iter().take_while(|row| is_number(row));
            let alike = numbers.take_while(|row| say_the_same(first, row)).count();
            let (run, others) = rest.split_at(alike.max(1));
            match run {
                [first, .., last] if run.len() >= REPEATED => {
                    let mut row = run
                        .iter()
                        .fold(first.clone(), |row, other| fuller(&row, other));
                    row[0] = format!("{}–{}", first[0], last[0]);
                    joined.push(row);
                }
                _ => joined.extend_from_slice(run),
            }
            rest = others;
        }
        self.rows = joined;
    }

    fn column(&self, at: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row[at].as_str())
    }

    /// Columns in which nothing stands.
    fn remove_empty(&mut self) {
        for at in (0..self.heads.len()).rev() {
            if self.column(at).all(str::is_empty) {
                self.remove(at);
            }
        }
    }

    /// Removes the first column that says the same in all of several rows, and says what it says; whether there was one.
    fn take_constant(&mut self, taken: &mut Vec<String>) -> bool {
        let same = |&at: &usize| {
            let mut texts = self.column(at);
            let first = texts.next().unwrap_or_default();
            // A detail goes without a word more, and what is found stands where it is looked for.
            let stays = match self.heads[at].importance {
                Importance::Essential => first.contains('['),
                Importance::Useful => false,
                Importance::Detail => true,
            };
            // What is said in the first row of a group is not repeated in the others.
            !stays && !first.is_empty() && texts.all(|text| text == first || text.is_empty())
        };
        let several = self.rows.len() > 1 && self.heads.len() > 1;
        let found = (0..self.heads.len()).filter(|_| several).find(same);
        if let Some(at) = found {
            taken.push(format!("{} {}", self.heads[at].name, self.rows[0][at]));
            self.remove(at);
        }
        found.is_some()
    }

    /// Removes the last column of this importance, and says whether there was one.
    fn remove_least(&mut self, importance: Importance, removed: &mut Vec<String>) -> bool {
        let found = self
            .heads
            .iter()
            .rposition(|head| head.importance == importance);
        if let Some(at) = found {
            removed.push(self.heads[at].name.clone());
            self.remove(at);
        }
        found.is_some()
    }

    fn remove(&mut self, at: usize) {
        self.heads.remove(at);
        for row in &mut self.rows {
            row.remove(at);
        }
    }

    /// Takes the intervals away from shares, and says whether there were any.
    fn remove_intervals(&mut self) -> bool {
        let mut found = false;
        for text in self.rows.iter_mut().flat_map(|row| &mut row[1..]) {
            if let Some((share, _)) = text.split_once(" [") {
                *text = share.to_owned();
                found = true;
            }
        }
        found
    }

    /// Puts the intervals of the widest column that has any on lines of their own; whether there was one.
    fn break_widest(&mut self) -> bool {
        let has = |&at: &usize| self.column(at).any(|text| text.contains(" ["));
        let widest = (1..self.heads.len())
            .filter(has)
            .max_by_key(|&at| self.width(at));
        if let Some(at) = widest {
            for row in &mut self.rows {
                row[at] = row[at].replacen(" [", "\n[", 1);
            }
        }
        widest.is_some()
    }

    /// The width of a column whose cells are not broken further.
    fn width(&self, at: usize) -> usize {
        let lines = self.column(at).flat_map(str::lines);
        lines.map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    /// The room that the table takes, where what stands above a column is broken at any space.
    fn room(&self) -> usize {
        self.sum(|at| self.width(at))
    }

    /// The room that the table takes where cells are broken wherever they can be.
    fn least(&self) -> usize {
        self.sum(|at| self.column(at).map(longest_part).max().unwrap_or(0))
    }

    /// The room of columns of such a width.
    fn sum(&self, width: impl Fn(usize) -> usize) -> usize {
        let of = |(at, head): (usize, &Head)| {
            let name = head.name.split(' ').map(UnicodeWidthStr::width).max();
            width(at).max(name.unwrap_or(0)) + 3
        };
        self.heads.iter().enumerate().map(of).sum::<usize>() + 1
    }

    /// The lines of the table, broken or cut where it does not fit.
    fn within(self, room: usize) -> Vec<TextLine> {
        if self.least() <= room {
            return self.lines(Some(room));
        }
        match self.map {
            true => self.parts(room),
            false => self.lists(room),
        }
    }

    fn lines(&self, room: Option<usize>) -> Vec<TextLine> {
        let mut layout = Layout::new();
        layout
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.heads.iter().map(|head| head.name.as_str()));
        for row in &self.rows {
            layout.add_row(row.iter().map(|text| fixed(text)));
        }
        if let Some(room) = room {
            layout
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(u16::try_from(room).unwrap_or(u16::MAX));
            for (at, column) in layout.column_iter_mut().enumerate() {
                let parts = self.column(at).map(longest_part);
                let name = self.heads[at].name.split(' ').map(UnicodeWidthStr::width);
                let least = parts.chain(name).max().unwrap_or(0).max(1) + 2;
                let least = Width::Fixed(u16::try_from(least).unwrap_or(u16::MAX));
                column.set_constraint(ColumnConstraint::LowerBoundary(least));
            }
        }
        let text = layout.to_string().replace(FIXED, " ");
        text.lines()
            .map(|line| TextLine::Table(line.to_owned()))
            .collect()
    }

    /// The columns in parts, before each of which the first column stands again.
    fn parts(self, room: usize) -> Vec<TextLine> {
        let mut lines = Vec::new();
        let mut from = 1;
        while from < self.heads.len() {
            let mut to = from + 1;
            while to < self.heads.len() && self.part(from, to + 1).room() <= room {
                to += 1;
            }
            if from > 1 {
                lines.push(TextLine::blank());
            }
            lines.extend(self.part(from, to).lines(Some(room)));
            from = to;
        }
        lines
    }

    /// The first column and those from one to another.
    fn part(&self, from: usize, to: usize) -> Self {
        let head = |head: &Head| Head {
            name: head.name.clone(),
            ..*head
        };
        let heads = self.heads[..1].iter().chain(&self.heads[from..to]);
        let row = |row: &Vec<String>| row[..1].iter().chain(&row[from..to]).cloned().collect();
        Self {
            heads: heads.map(head).collect(),
            rows: self.rows.iter().map(row).collect(),
            map: self.map,
        }
    }

    /// A list a row.
    fn lists(self, room: usize) -> Vec<TextLine> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for (at, text) in row.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                let name = &self.heads[at].name;
                let start = if at == 0 { "- " } else { "  " };
                let colon = if name.is_empty() { "" } else { ": " };
                let text = text.replace('\n', " ");
                lines.extend(words(&format!("{start}{name}{colon}{text}"), Some(room)));
            }
        }
        lines
    }
}

/// Whether a row is named by a number.
fn is_number(row: &[String]) -> bool {
    row[0].parse::<u32>().is_ok()
}

/// Whether two rows say the same but for their names: the same in every column, or where one of them says nothing the one thing that stands
/// everywhere else.
fn say_the_same(first: &[String], other: &[String]) -> bool {
    let said = || {
        first[1..]
            .iter()
            .chain(&other[1..])
            .filter(|text| !text.is_empty())
    };
    let one = said().all(|text| Some(text) == said().next());
    first.len() > 1 && (first[1..] == other[1..] || one)
}

/// What either of two rows says.
fn fuller(one: &[String], other: &[String]) -> Vec<String> {
    let texts = one.iter().zip(other);
    texts
        .map(|(one, other)| if one.is_empty() { other } else { one }.clone())
        .collect()
}

/// Where a cell may be broken: at spaces, but neither within an interval nor between a count and its share.
fn fixed(text: &str) -> String {
    let mut within = false;
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        within = c == '[' || (within && c != ']');
        let counted = out.ends_with(|c: char| c.is_ascii_digit());
        let share = counted
            && [" .", " 1.", " 0."]
                .iter()
                .any(|start| text[at..].starts_with(start));
        out.push(if c == ' ' && (within || share) {
            FIXED
        } else {
            c
        });
    }
    out
}

/// The width of the longest part of a cell that is not broken.
fn longest_part(text: &str) -> usize {
    let text = fixed(text);
    text.split([' ', '\n'])
        .map(UnicodeWidthStr::width)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::column;

    fn text(lines: Vec<TextLine>) -> String {
        let line = |line| match line {
            TextLine::Words(text) | TextLine::Table(text) | TextLine::Conclusion(text) => text,
        };
        let lines: Vec<String> = lines.into_iter().map(line).collect();
        lines.join("\n")
    }

    /// A table of measurements: names, a share with its interval, what helps and what is a detail.
    fn table(rows: usize) -> Table {
        let share = |i: &usize| format!("{i}/900 .{i:03} [.{:03}, .{:03}]", i + 1, i + 2);
        let columns = [
            column("style", |_: &usize| "calculate"),
            column("replaced by", |i: &usize| format!("ablation-{i}")),
            column("base accuracy", |i: &usize| share(&(i + 300))).useful(),
            column("lost", |i: &usize| format!("{i}{i}")).detail(),
            column("faithfulness", share),
            column("verdict", |i: &usize| ["pass", "inconclusive"][i % 2]),
        ];
        Table::of("", &columns, &(100..100 + rows).collect::<Vec<_>>())
    }

    #[test]
    fn no_line_is_longer_than_the_room_and_essential_cells_stay() {
        let table = table(5);
        for room in NARROWEST..140 {
            let shown = text(fitted(&table, room));
            let longest = shown.lines().map(UnicodeWidthStr::width).max();
            assert!(longest <= Some(room), "{room}:\n{shown}");
            for row in &table.rows {
                for at in [1, 4, 5] {
                    for part in row[at].text.split(' ') {
                        assert!(shown.contains(part), "{room}: {part} is lost\n{shown}");
                    }
                }
            }
            let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            let gone = flat
                .split_once("not shown in so little room: ")
                .map_or("", |(_, gone)| gone);
            for (part, name) in [("400/900", "base accuracy"), ("100100", "lost")] {
                let is_shown = shown.contains(part);
                assert!(is_shown != gone.contains(name), "{room}: {name}\n{shown}");
            }
        }
    }

    #[test]
    fn what_goes_first_says_least() {
        let shown = text(fitted(&table(2), 100));
        let expected = "\
in every row: style calculate
| replaced by  | base accuracy         | lost   | faithfulness          | verdict      |
|--------------|-----------------------|--------|-----------------------|--------------|
| ablation-100 | 400/900 .400 [.401, .402] | 100100 | 100/900 .100 [.101, .102] | pass         |
| ablation-101 | 401/900 .401 [.402, .403] | 101101 | 101/900 .101 [.102, .103] | inconclusive |";
        let squeezed = |text: &str| {
            text.split([' ', '-'])
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(squeezed(&shown), squeezed(expected), "{shown}");
        let narrow = text(fitted(&table(2), 66));
        assert!(
            narrow.contains("not shown in so little room: lost"),
            "{narrow}"
        );
        let all = text(natural(&table(2)));
        assert!(all.starts_with("| style     | replaced by  |"), "{all}");
    }

    #[test]
    fn rows_that_say_the_same_are_one() {
        let columns = [
            column("W", |i: &usize| i.to_string()),
            column("cama", |i: &usize| if *i < 4 { "1.00" } else { ".00" }),
            column("zero", |i: &usize| if *i == 7 { "" } else { ".00" }),
        ];
        let rows: Vec<usize> = (0..=7).collect();
        let shown = text(fitted(&Table::of("", &columns, &rows), 80));
        let expected = "| W   | cama | zero |\n|-----|------|------|\n| 0–3 | 1.00 | .00  |\n| 4–7 | .00  | .00  |";
        assert_eq!(shown, expected);
        // Rows that words tell apart stay.
        let columns = [
            column("head", |i: &usize| format!("L{i}")),
            column("", |_: &usize| ".2"),
        ];
        let shown = text(fitted(&Table::of("", &columns, &rows), 80));
        assert_eq!(shown.lines().count(), 10);
    }

    #[test]
    fn maps_are_cut_into_parts_and_other_tables_become_lists() {
        let shares: Vec<_> = (0..30)
            .map(|k| {
                column(format!("K={k}"), move |w: &usize| {
                    format!(".{k:02} [.00, .{w:02}]")
                })
            })
            .collect();
        let mut columns = vec![column("W", |w: &usize| w.to_string())];
        columns.extend(shares);
        let map = Table::of("", &columns, &[1, 2]).as_map();
        let shown = text(fitted(&map, 80));
        assert_eq!(shown.matches("| W |").count(), 3, "{shown}");
        assert!(shown.contains("not shown in so little room: the intervals"));
        assert!(!shown.contains('['));
        let list = text(fitted(&Table { map: false, ..map }, 80));
        assert!(
            list.starts_with("- W: 1\n  K=0: .00 [.00, .01]\n"),
            "{list}"
        );
    }
}
