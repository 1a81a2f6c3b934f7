//! Copying every row of one database into another, page by page, whichever of the two each is.

use serde_json::{Number, Value};

use super::backup::Draft;
use super::sql::{Arg, Conn, Dialect, Row, Rows, query};
use super::target::connect_draft;
use super::{StoreError, schema};
use crate::base::RunId;
use crate::base::limits::{BACKUP_PAGE_BYTES, BACKUP_PAGE_ROWS_MAX};

type Result<T> = std::result::Result<T, StoreError>;

/// Until it is known how large a table's rows are.
const FIRST_PAGE_ROWS: usize = 8;

/// A table as the schema has it.
#[derive(Debug)]
pub(super) struct Table {
    pub name: String,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    is_text: bool,
    /// Its place in the primary key, from 1; 0 when it is not in it.
    key: i64,
}

/// All tables of the schema as this Aegis makes it. Files that are handed in are not asked: what they call their tables
/// and columns would become part of statements.
pub(super) async fn tables() -> Result<Vec<Table>> {
    let draft = Draft::at(std::env::temp_dir().join(format!("aegis-schema-{}.db", RunId::generate())))?;
    let mut fresh = connect_draft(draft.path()).await?;
    schema::migrate(&mut fresh, &draft.path().display().to_string()).await?;
    let tables = described(&mut fresh).await?;
    fresh.close().await?;
    Ok(tables)
}

/// The tables of a file of ours, of which SQLite keeps a description; what others refer to comes first.
async fn described(sqlite: &mut Conn) -> Result<Vec<Table>> {
    let described = query(
        "SELECT tables.name AS of_table, columns.name, columns.type, columns.pk
         FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name NOT IN ('_sqlx_migrations') AND tables.name NOT LIKE 'sqlite%'
         ORDER BY tables.name <> 'versions', tables.name, columns.cid",
    );
    let mut tables: Vec<Table> = Vec::new();
    for row in sqlite.fetch(described).await? {
        let name = row.text("of_table")?;
        let column = Column { name: row.text("name")?, is_text: row.text("type")? == "TEXT", key: row.int("pk")? };
        match tables.last_mut().filter(|table| table.name == name) {
            Some(table) => table.columns.push(column),
            None => tables.push(Table { name, columns: vec![column] }),
        }
    }
    Ok(tables)
}

/// Empties the tables of `to` and fills them with the rows of `from`; both are in a transaction. Returns how many rows
/// went over.
pub(super) async fn copy(from: &mut Conn, to: &mut Conn, tables: &[Table]) -> Result<u64> {
    guard_audit(to, "DISABLE").await?;
    for table in tables.iter().rev() {
        to.execute(query(format!("DELETE FROM {}", table.name))).await?;
    }
    let mut total = 0;
    for table in tables {
        total += table.copy(from, to).await?;
    }
    guard_audit(to, "ENABLE").await?;
    Ok(total)
}

/// A restore replaces the audit log as a whole. A SQLite database is replaced as a file; its draft has no records.
async fn guard_audit(to: &mut Conn, what: &str) -> Result<()> {
    if to.dialect() == Dialect::Postgres {
        to.execute(query(format!("ALTER TABLE audit {what} TRIGGER USER"))).await?;
    }
    Ok(())
}

impl Table {
    async fn copy(&self, from: &mut Conn, to: &mut Conn) -> Result<u64> {
        let insert = self.insert();
        let (mut total, mut last, mut limit) = (0, None, FIRST_PAGE_ROWS);
        loop {
            let page = self.page(from, last.take(), limit).await?;
            let mut rows = Rows::new();
            for row in &page {
                rows.push(&self.values(row)?)?;
            }
            let bytes = rows.bytes();
            if !rows.is_empty() {
                to.execute(query(insert.clone()).bind(rows)).await?;
            }
            total += u64::try_from(page.len()).unwrap_or(u64::MAX);
            if page.len() < limit {
                return Ok(total);
            }
            last = page.into_iter().next_back();
            let row_bytes = (bytes / limit).max(1);
            limit = (BACKUP_PAGE_BYTES / row_bytes).clamp(1, BACKUP_PAGE_ROWS_MAX);
        }
    }

    #[cfg(test)]
    pub async fn all(&self, from: &mut Conn) -> Vec<Vec<Value>> {
        let rows = from.fetch(query(format!("SELECT * FROM {}", self.name))).await.expect("readable");
        let mut rows: Vec<Vec<Value>> = rows.iter().map(|row| self.values(row).expect("readable")).collect();
        rows.sort_by_key(|row| Value::from(row.clone()).to_string());
        rows
    }

    /// The next `limit` rows after `last`, in the order of the primary key.
    async fn page(&self, from: &mut Conn, last: Option<Row>, limit: usize) -> Result<Vec<Row>> {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let names = list(key.iter().map(|column| format!("\"{}\"", column.name)));
        let after = match &last {
            Some(_) => format!("WHERE ({names}) > ({})", list((2..).take(key.len()).map(|place| format!("${place}")))),
            None => String::new(),
        };
        let mut select = query(format!("SELECT * FROM {} {after} ORDER BY {names} LIMIT $1", self.name)).bind(limit);
        for column in key.iter().filter(|_| last.is_some()) {
            let Some(last) = &last else { break };
            select = select.bind(column.arg(last)?);
        }
        from.fetch(select).await
    }

    fn insert(&self) -> String {
        let values = self.columns.iter().enumerate().map(|(place, column)| match column.is_text {
            true => format!("value->>{place}"),
            false => format!("CAST(value->>{place} AS BIGINT)"),
        });
        let names = list(self.columns.iter().map(|column| format!("\"{}\"", column.name)));
        format!("INSERT INTO {} ({names}) SELECT {} FROM {{rows}}", self.name, list(values))
    }

    fn values(&self, row: &Row) -> Result<Vec<Value>> {
        let values = self.columns.iter().map(|column| {
            Ok(match column.arg(row)? {
                Arg::Int(value) => value.map_or(Value::Null, |value| Value::Number(Number::from(value))),
                Arg::Text(value) => value.map_or(Value::Null, Value::String),
            })
        });
        values.collect()
    }
}

impl Column {
    fn arg(&self, row: &Row) -> Result<Arg> {
        Ok(match self.is_text {
            true => Arg::Text(row.maybe_text(&self.name)?),
            false => Arg::Int(row.maybe_int(&self.name)?),
        })
    }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}
