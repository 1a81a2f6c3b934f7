//! Standard output is data: tables for people, JSON for programs.

use std::io::Write;

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;

use super::failure::Failure;
use super::terminal;

#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// One line of text. Colour goes away by itself where there is no terminal or `NO_COLOR` is set.
    pub fn line(self, text: impl std::fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(anstream::stdout(), "{text}")?)
    }

    /// Text as it is, with no line end of ours.
    pub fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A message for the person, not part of the data.
    pub fn note(self, text: impl std::fmt::Display) {
        super::show::note(text);
    }

    /// A document: indented on a terminal, one line otherwise.
    pub fn document(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if terminal::stdout_is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(text.map_err(|error| Failure::new(format!("this cannot be written as JSON: {error}")))?)
    }

    /// `rows` below `header`, or `empty` on standard error when there are none.
    pub fn table(self, header: &[&str], rows: Vec<Vec<Cell>>, empty: &str) -> Result<(), Failure> {
        if rows.is_empty() {
            self.note(empty);
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        // Whoever reads a pipe wants whole cells.
        if !terminal::stdout_is_terminal() {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Dim)));
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.line(table.trim_fmt())
    }
}
