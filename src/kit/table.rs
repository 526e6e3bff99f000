//! Tables.

use crate::record::{Address, Outcome};

/// A table: what it is about, its columns, its rows, and what is to be known about it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// A line, or several; empty where what stands before says enough.
    pub title: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// How much of the answer every column is; essential where nothing is said.
    pub importance: Vec<Importance>,
    /// Row by row as many cells as there are columns. The first cell names the row.
    pub rows: Vec<Vec<TableCell>>,
    /// What stands below it: a line each, or several.
    pub notes: Vec<String>,
    /// Whether it is a map, whose cells are read beside each other: their intervals stay where there is room for them.
    pub map: bool,
}

/// How much of the answer a column is: where there is too little room for a table, what is least goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// Without it the others say nothing.
    #[default]
    Essential,
    /// The column helps to read the others.
    Useful,
    /// The column is for who asks for it.
    Detail,
}

/// A cell of a table: what is read, and the number of the record that it shows.
#[derive(Clone, Debug, Default)]
pub struct TableCell {
    /// What is read.
    pub text: String,
    /// Which number of a record it shows, if it shows one.
    pub number: Option<Number>,
}

/// A number of a record, as exactly as the record has it.
#[derive(Clone, Debug)]
pub struct Number {
    /// The sweep of the record.
    pub sweep: String,
    /// The template, in words.
    pub template: String,
    /// The name of the cell on the template.
    pub cell: String,
    /// The field of the record.
    pub field: String,
    /// What stands there.
    pub value: Option<Value>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end of its interval.
    pub high: Option<f64>,
}

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A number.
    Real(f64),
    /// A count.
    Whole(u64),
    /// A verdict.
    Verdict(Outcome),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl TableCell {
    /// A cell of words.
    pub fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            number: None,
        }
    }

    /// The number of a field of a record.
    pub fn number(text: String, at: Address<'_>, field: &str, value: Option<Value>) -> Self {
        let number = Number {
            sweep: at.sweep.to_owned(),
            template: at.template(),
            cell: at.cell.to_owned(),
            field: field.to_owned(),
            value,
            low: None,
            high: None,
        };
        Self {
            text,
            number: Some(number),
        }
    }

    /// The same with the ends of its interval.
    #[must_use]
    pub fn within(mut self, low: Option<f64>, high: Option<f64>) -> Self {
        if let Some(number) = &mut self.number {
            (number.low, number.high) = (low, high);
        }
        self
    }
}

impl From<String> for TableCell {
    fn from(text: String) -> Self {
        Self::words(text)
    }
}

impl From<&str> for TableCell {
    fn from(text: &str) -> Self {
        Self::words(text)
    }
}

/// A column: its name, and what stands in it for an item.
pub struct Column<'a, T> {
    name: String,
    importance: Importance,
    cell: Box<dyn Fn(&T) -> TableCell + 'a>,
}

/// A column of this name.
pub fn column<'a, T, C: Into<TableCell>>(
    name: impl Into<String>,
    cell: impl Fn(&T) -> C + 'a,
) -> Column<'a, T> {
    Column {
        name: name.into(),
        importance: Importance::default(),
        cell: Box::new(move |item| cell(item).into()),
    }
}

impl<T> Column<'_, T> {
    /// The same as a column that helps to read the others.
    #[must_use]
    pub fn useful(mut self) -> Self {
        self.importance = Importance::Useful;
        self
    }

    /// The same as a column for who asks for it.
    #[must_use]
    pub fn detail(mut self) -> Self {
        self.importance = Importance::Detail;
        self
    }
}

impl Table {
    /// A row an item.
    pub fn of<'i, T: 'i>(
        title: impl Into<String>,
        columns: &[Column<'_, T>],
        items: impl IntoIterator<Item = &'i T>,
    ) -> Self {
        let row = |item| columns.iter().map(|column| (column.cell)(item)).collect();
        Self {
            title: title.into(),
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            importance: columns.iter().map(|column| column.importance).collect(),
            rows: items.into_iter().map(row).collect(),
            notes: Vec::new(),
            map: false,
        }
    }

    /// The same as a map, whose cells are read beside each other.
    #[must_use]
    pub fn as_map(self) -> Self {
        Self { map: true, ..self }
    }

    /// A table of these columns without rows.
    pub fn headed(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    pub fn push<C: Into<TableCell>>(&mut self, row: impl IntoIterator<Item = C>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// The same without saying which numbers of records it shows: for what no record has.
    #[must_use]
    pub fn in_words(mut self) -> Self {
        for cell in self.rows.iter_mut().flatten() {
            cell.number = None;
        }
        self
    }
}
