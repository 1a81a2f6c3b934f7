use serde_json::json as value;

use super::super::testing;
use super::*;

/// What goes in as the parameter of a type comes out of its column as the same cell.
#[tokio::test]
async fn postgres_gives_back_what_it_was_given_by_type() {
    let (url, _) = testing::postgres().await;
    let bench = Bench::new(&url);
    bench.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')", &[]).await;
    bench.execute("CREATE DOMAIN positive AS int CHECK (VALUE > 0)", &[]).await;
    let list = |cells: &[Cell]| Cell::List(cells.to_vec());
    let same = [
        ("bool", Cell::Bool(true)),
        ("int2", Cell::Integer(-7)),
        ("int4", Cell::Integer(7)),
        ("int8", Cell::Integer(9_007_199_254_740_993)),
        ("float4", Cell::Number(1.5)),
        ("float8", Cell::Number(0.1)),
        ("numeric", text("12345678901234567890.1200")),
        ("text", text("ünï'; DROP TABLE x; --")),
        ("varchar(9)", text("short")),
        ("uuid", text("67e55044-10b1-426f-9247-bb680e5fe0c8")),
        ("json", json(value!({ "a": [1, null, "x"] }))),
        ("jsonb", json(value!({ "a": { "b": true } }))),
        ("bytea", Cell::Bytes(vec![0, 255, 39])),
        ("date", text("2027-01-31")),
        ("time", text("13:45:10.5")),
        ("timestamp", text("2027-01-31T13:45:00")),
        ("timestamptz", text("2027-01-31T13:45:00.123456Z")),
        ("mood", text("happy")),
        ("positive", Cell::Integer(3)),
        ("int8[]", list(&[Cell::Integer(1), Cell::Null, Cell::Integer(3)])),
        ("text[]", list(&[text("a,b"), text("\"c\"")])),
        ("int4[]", list(&[])),
        ("int4[]", list(&[list(&[Cell::Integer(1), Cell::Integer(2)]), list(&[Cell::Integer(3), Cell::Integer(4)])])),
        ("timestamptz[]", list(&[text("2027-01-31T13:45:00Z")])),
        ("numeric[]", list(&[text("1.10")])),
        ("text", Cell::Null),
        ("int4[]", Cell::Null),
    ];
    for (kind, cell) in same {
        let asked = format!("SELECT $1::{kind} AS x");
        let found = bench.query(Access::Read, &asked, std::slice::from_ref(&cell)).await;
        assert_eq!(found.map(|rows| rows.rows), Ok(vec![vec![cell]]), "{kind}");
    }
    let converted = [
        ("int8", text("9007199254740993"), Cell::Integer(9_007_199_254_740_993)),
        ("numeric", Cell::Number(1.25), text("1.25")),
        ("numeric", Cell::Integer(3), text("3")),
        ("text", Cell::Integer(7), text("7")),
        ("float8", Cell::Integer(2), Cell::Number(2.0)),
        ("timestamptz", text("2027-01-31T15:45:00+02:00"), text("2027-01-31T13:45:00Z")),
        ("jsonb", text("x"), json(value!("x"))),
        ("int4[]", json(value!([1, null])), list(&[Cell::Integer(1), Cell::Null])),
        ("bytea", text("a"), Cell::Bytes(vec![97])),
    ];
    for (kind, given, cell) in converted {
        let found = bench.query(Access::Read, &format!("SELECT $1::{kind} AS x"), &[given]).await;
        assert_eq!(found.map(|rows| rows.rows), Ok(vec![vec![cell]]), "{kind}");
    }
}

#[tokio::test]
async fn postgres_says_which_value_does_not_fit() {
    let (url, _) = testing::postgres().await;
    let bench = Bench::new(&url);
    for (kind, cell, said) in [
        ("int4", Cell::Integer(1 << 40), "parameter $1 is a whole number: a whole number within int4 is wanted"),
        ("int4", text("x"), "parameter $1 is a string"),
        ("bool", Cell::Integer(1), "a boolean is wanted"),
        ("uuid", text("x"), "text such as"),
        ("timestamptz", text("tomorrow"), "2027-01-31T13:45:00Z"),
        ("int4[]", Cell::Integer(1), "a list is wanted"),
        ("int4[]", json(value!([[1], [1, 2]])), "different lengths"),
        ("interval", text("1 day"), "write $N::text::interval"),
    ] {
        let error = bench.query(Access::Read, &format!("SELECT $1::{kind}"), &[cell]).await.expect_err(kind);
        assert!(matches!(error, SqlError::Params(_)) && error.to_string().contains(said), "{kind}: {error}");
    }
    let count = bench.query(Access::Read, "SELECT $1::int", &[]).await.expect_err("a missing parameter");
    assert!(count.to_string().contains("has 1 parameters, and 0 are given"), "{count}");
    for (asked, cell) in [
        ("interval '1 year 2 mons 3 days 04:05:06.7'", text("P1Y2M3DT4H5M6.7S")),
        ("inet '10.0.0.1'", text("10.0.0.1")),
        ("cidr '10.0.0.0/8'", text("10.0.0.0/8")),
        ("timetz '13:45:00+02'", text("13:45:00+02:00")),
        ("'infinity'::timestamptz", text("infinity")),
        ("1e400::numeric", text(&format!("1{}", "0".repeat(400)))),
        ("$1::text::interval::text", text("1 day")),
    ] {
        let params = if asked.contains("$1") { vec![text("1 day")] } else { Vec::new() };
        let found = bench.query(Access::Read, &format!("SELECT {asked} AS x"), &params).await;
        assert_eq!(found.map(|rows| rows.rows), Ok(vec![vec![cell]]), "{asked}");
    }
    let error = bench.query(Access::Read, "SELECT point(1, 2) AS p", &[]).await.expect_err("a point");
    assert!(error.to_string().contains("select it as text, with ::text"), "{error}");
    let twice = bench.query(Access::Read, "SELECT 1 AS a, 2 AS a", &[]).await.expect_err("two columns");
    assert_eq!(twice.to_string(), "column \"a\" is there twice");
}

#[tokio::test]
async fn sqlite_and_mariadb_give_back_what_they_were_given() {
    let (_folder, url) = testing::sqlite();
    let bench = Bench::new(&url);
    bench.execute("CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, f BOOLEAN, n TEXT)", &[]).await;
    let row = vec![
        Cell::Integer(9_007_199_254_740_993),
        Cell::Number(0.5),
        text("ü"),
        Cell::Bytes(vec![0, 255]),
        Cell::Bool(true),
        Cell::Null,
    ];
    bench.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", &row).await;
    let found = bench.query(Access::Read, "SELECT * FROM t WHERE i = ?", &[text("9007199254740993")]).await;
    assert_eq!(found.map(|rows| rows.rows), Ok(vec![row]));
    for (asked, params) in [("SELECT ?", vec![]), ("SELECT 1", vec![Cell::Null])] {
        assert_eq!(bench.code(Access::Read, asked, &params).await, "sql.params", "{asked}");
    }

    let bench = Bench::new(&testing::mariadb().await);
    bench
        .execute(
            "CREATE TABLE t (i BIGINT, u BIGINT UNSIGNED, d DECIMAL(20,4), s VARCHAR(50), b BLOB, f BOOLEAN, \
             day DATE, at DATETIME(6), ts TIMESTAMP NULL, x DOUBLE, y YEAR, e ENUM('a','b'), n TEXT)",
            &[],
        )
        .await;
    let row = vec![
        Cell::Integer(9_007_199_254_740_993),
        text("18446744073709551615"),
        text("1234567890.1200"),
        text("2027-01-31T13:45:00Z"),
        Cell::Bytes(vec![0, 255]),
        Cell::Bool(true),
        text("2027-01-31"),
        text("2027-01-31T13:45:00.5"),
        text("2027-01-31T13:45:01Z"),
        Cell::Number(0.5),
        Cell::Integer(2027),
        text("b"),
        Cell::Null,
    ];
    bench.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &row).await;
    let found = bench.query(Access::Read, "SELECT * FROM t WHERE ts = ?", &[text("2027-01-31T13:45:01Z")]).await;
    assert_eq!(found.map(|rows| rows.rows), Ok(vec![row]));
    assert_eq!(bench.code(Access::Read, "SELECT ?", &[]).await, "sql.params");
}
