//! Copies of rows, straight into the database of a daemon that is stopped.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

pub struct Filler {
    conn: SqliteConnection,
}

impl Filler {
    pub async fn open(file: &Path) -> Self {
        let conn = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("a database");
        let mut filler = Self { conn };
        // It may be made anew; only what the daemon does later is measured.
        filler.run("PRAGMA synchronous = OFF").await;
        filler
    }

    pub async fn run(&mut self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.conn).await.expect("it is understood");
    }

    pub async fn number(&mut self, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut self.conn).await.expect("a number")
    }

    pub async fn numbers(&mut self, query: &str) -> Vec<i64> {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut self.conn).await.expect("numbers")
    }

    /// Copies the rows of `table` that `which` selects once for each `n.i` of 1 to `count`, with some columns replaced
    /// by expressions over `n.i`.
    pub async fn copy(&mut self, table: &str, which: &str, count: i64, replaced: &[(&str, &str)]) {
        let rows = sqlx::query(AssertSqlSafe(format!("PRAGMA table_info({table})"))).fetch_all(&mut self.conn).await;
        let columns: Vec<String> = rows.expect("a table").iter().map(|row| row.get("name")).collect();
        let value = |column: &String| match replaced.iter().find(|(name, _)| name == column) {
            Some((_, expression)) => (*expression).to_owned(),
            None => format!("t.\"{column}\""),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let statement = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO {table} ({}) SELECT {} FROM n, {table} AS t WHERE {which}",
            names.join(", "),
            values.join(", "),
        );
        self.run(&statement).await;
    }

    pub async fn close(self) {
        self.conn.close().await.expect("closed");
    }
}
