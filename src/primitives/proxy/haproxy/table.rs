//! What the runtime API answers with: lines of cells under a line of their names.

use std::collections::HashMap;

/// Cells by the names in the first line, whatever their order: it differs between versions.
#[derive(Debug, Default)]
pub struct Table {
    columns: HashMap<String, usize>,
    rows: Vec<Vec<String>>,
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    cells: &'a [String],
}

impl Table {
    /// `show stat`: separated by commas, quoted where a cell has a comma or a quote. None when there is no header.
    pub fn of_commas(text: &str) -> Option<Self> {
        Self::read(text.lines(), split_commas)
    }

    /// `show servers state`: separated by blanks, after a line with the version of the format.
    pub fn of_blanks(text: &str) -> Option<Self> {
        Self::read(text.lines().skip_while(|line| !line.starts_with('#')), |line| {
            line.split_ascii_whitespace().map(str::to_owned).collect()
        })
    }

    fn read<'t>(mut lines: impl Iterator<Item = &'t str>, split: fn(&str) -> Vec<String>) -> Option<Self> {
        let header = lines.next()?.strip_prefix("# ")?;
        let columns = split(header).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        Some(Self { columns, rows: lines.map(split).collect() })
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { table: self, cells })
    }

    pub fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|name| self.columns.contains_key(*name))
    }
}

impl<'a> Row<'a> {
    /// Empty where the cell is, and where there is no such column.
    pub fn text(self, name: &str) -> &'a str {
        let cell = self.table.columns.get(name).and_then(|at| self.cells.get(*at));
        cell.map_or("", String::as_str)
    }

    /// The same; None for nothing, which the state of servers writes as `-`.
    pub fn some(self, name: &str) -> Option<&'a str> {
        Some(self.text(name)).filter(|text| !text.is_empty() && *text != "-")
    }

    pub fn number(self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    pub fn count(self, name: &str) -> u64 {
        self.number(name).unwrap_or(0)
    }
}

/// The cells of a line, a doubled quote inside quotes being one.
fn split_commas(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                cell.push('"');
                rest.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_name_whatever_their_order() {
        let text = "# pxname,svname,scur,last_chk,\nweb,a,3,\"no, \"\"really\"\"\",\nweb,b,,,\n";
        let table = Table::of_commas(text).expect("a table");
        let rows: Vec<Row> = table.rows().collect();
        assert_eq!((rows[0].text("svname"), rows[0].number("scur")), ("a", Some(3)));
        assert_eq!(rows[0].text("last_chk"), "no, \"really\"");
        assert_eq!((rows[1].number("scur"), rows[1].count("scur"), rows[1].some("last_chk")), (None, 0, None));
        assert_eq!(rows[1].text("of_a_newer_version"), "");
        assert!(table.has(&["pxname", "scur"]) && !table.has(&["pxname", "weight"]));
    }

    #[test]
    fn the_state_of_servers_begins_with_its_version() {
        let text = "1\n# be_id be_name srv_name srv_addr srv_port\n3 web a 10.0.0.1 80\n3 web b - 0\n";
        let table = Table::of_blanks(text).expect("a table");
        let addresses: Vec<_> = table.rows().map(|row| row.some("srv_addr")).collect();
        assert_eq!(addresses, [Some("10.0.0.1"), None]);
    }

    #[test]
    fn what_is_no_table_is_none() {
        for text in ["", "No such proxy.", "1\n", "pxname,svname\nweb,a\n"] {
            assert!(Table::of_commas(text).is_none() && Table::of_blanks(text).is_none(), "{text:?}");
        }
    }
}
