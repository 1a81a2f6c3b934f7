//! `aegis.sql`, from Lua to real databases.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::Bed;
use crate::base::{Clock, Fault};
use crate::lua::{Engine, EngineOptions, Outcome};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::sql::testing;
use crate::primitives::{self, Primitives};

/// A bed whose script may read `main` and write `store`, which are the same database.
struct Reach {
    bed: Bed,
    _folder: Option<tempfile::TempDir>,
}

fn start(url: &str, folder: Option<tempfile::TempDir>) -> Reach {
    let bed = Bed::default();
    let sql = [("main".to_owned(), Access::Read), ("store".to_owned(), Access::Write)].into();
    let grants = Grants { sql, ..Grants::default() };
    let sql: BTreeMap<_, _> = ["main", "store", "secret"].map(|name| (name.to_owned(), testing::source(url))).into();
    let primitives = Primitives::new(primitives::Options { sql, ..primitives::Options::default() });
    let primitives = primitives.expect("sources that can be used");
    let engine = Engine::new(EngineOptions { io: bed.io.handle().clone(), clock: Clock::system(), primitives });
    Reach { bed: Bed { engine, grants, ..bed }, _folder: folder }
}

fn sqlite() -> Reach {
    let (folder, url) = testing::sqlite();
    let reach = start(&url, Some(folder));
    reach.value("aegis.sql.execute('store', 'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)') return true");
    reach
}

fn postgres() -> Reach {
    let bed = Bed::default();
    let (_, url) = bed.io.block_on(testing::postgres());
    let reach = start(&url, None);
    reach.value("aegis.sql.execute('store', 'CREATE TABLE t (id bigint PRIMARY KEY, name text)') return true");
    reach
}

impl Reach {
    #[track_caller]
    fn value(&self, body: &str) -> Value {
        self.bed.value(body)
    }

    #[track_caller]
    fn fault(&self, body: &str) -> Fault {
        self.bed.fault(body)
    }

    #[track_caller]
    fn count(&self) -> Value {
        self.value("return aegis.sql.one('main', 'SELECT count(*) AS n FROM t').n")
    }
}

#[test]
fn rows_are_tables_by_column() {
    let reach = postgres();
    let body = "
        local n = aegis.sql.execute('store', 'INSERT INTO t VALUES ($1, $2), ($3, $4)',
          { 1, 'one', '9007199254740993', aegis.null })
        local rows = aegis.sql.query('main', 'SELECT id, name FROM t ORDER BY id')
        return { n, rows, rows[2].name == aegis.null, type(rows[2].id), aegis.sql.one('main', 'SELECT 1 AS x WHERE false') == nil }";
    let rows = json!([{ "id": 1, "name": "one" }, { "id": "9007199254740993", "name": null }]);
    assert_eq!(reach.value(body), json!([2, rows, true, "string", true]));
    let typed = "
        local row = aegis.sql.one('main', [[SELECT $1::jsonb AS j, $2::numeric AS d, $3::int[] AS l, $4::bytea AS b,
          $5::timestamptz AS t, $6::uuid AS u, $7::bool AS f, $8::jsonb AS e]],
          { { a = { 1, 2 } }, '1.50', { 1, aegis.null }, buffer.fromstring('\\0\\255'), '2027-01-31T15:00:00+02:00',
            '67e55044-10b1-426f-9247-bb680e5fe0c8', true, aegis.null })
        local again = aegis.sql.one('main', [[SELECT $1::jsonb AS j, $2::numeric AS d, $3::int[] AS l, $4::bytea AS b,
          $5::timestamptz AS t, $6::uuid AS u, $7::bool AS f, $8::jsonb AS e]],
          { row.j, row.d, row.l, row.b, row.t, row.u, row.f, row.e })
        return { row.j, row.d, row.l, row.b == '\\0\\255', row.t, row.u, row.f, row.e == aegis.null,
                 again.d == row.d and again.t == row.t and again.b == row.b and again.l[1] == 1 }";
    let expected = json!([
        { "a": [1, 2] }, "1.50", [1, null], true, "2027-01-31T13:00:00Z", "67e55044-10b1-426f-9247-bb680e5fe0c8", true,
        true, true
    ]);
    assert_eq!(reach.value(typed), expected);
    let injected = "return #aegis.sql.query('main', 'SELECT id FROM t WHERE name = $1', { [[one' OR '1'='1]] })";
    assert_eq!(reach.value(injected), json!(0));
}

#[test]
fn a_transaction_keeps_all_or_nothing() {
    for reach in [sqlite(), postgres()] {
        let kept = "
            return aegis.sql.transaction('store', function(tx)
              tx:execute(\"INSERT INTO t VALUES (1, 'a')\")
              tx:execute(\"INSERT INTO t VALUES (2, 'b')\")
              return tx:one('SELECT count(*) AS n FROM t').n, 'x'
            end)";
        assert_eq!(reach.value(kept), json!(2));
        let raised = "
            aegis.sql.transaction('store', function(tx)
              tx:execute(\"INSERT INTO t VALUES (3, 'c')\")
              error({ code = 'own.reason', message = 'no' })
            end)";
        assert_eq!(&*reach.fault(raised).code, "own.reason");
        let caught = "
            local ok, problem = aegis.try(aegis.sql.transaction, 'store', function(tx)
              tx:execute(\"INSERT INTO t VALUES (3, 'c')\")
              tx:execute(\"INSERT INTO t VALUES (3, 'c')\")
            end)
            return { ok, problem.code }";
        assert_eq!(reach.value(caught), json!([false, "sql.constraint"]));
        let later = "
            local tx
            aegis.sql.transaction('store', function(it) tx = it end)
            return select(2, aegis.try(tx.query, tx, 'SELECT 1')).code";
        assert_eq!(reach.value(later), json!("sql.over"));
        let dot = "aegis.sql.transaction('store', function(tx) tx.query('SELECT 1') end)";
        assert_eq!(&*reach.fault(dot).code, "args.self");
        assert_eq!(reach.count(), json!(2));
    }
}

#[test]
fn what_a_stopped_run_began_is_undone() {
    let mut reach = postgres();
    reach.bed.timeout = std::time::Duration::from_millis(700);
    let body = "aegis.sql.transaction('store', function(tx)
        tx:execute(\"INSERT INTO t VALUES (1, 'a')\")
        ctx:sleep('1h')
      end)";
    assert!(matches!(reach.bed.body(body), Outcome::TimedOut(_)));
    reach.bed.timeout = std::time::Duration::from_secs(20);
    // Its lock is gone with it.
    let again = "return aegis.sql.execute('store', \"INSERT INTO t VALUES (1, 'b')\")";
    assert_eq!(reach.value(again), json!(1));
    let group = "
        local ok = aegis.try(function()
          ctx:all {
            function() aegis.sql.transaction('store', function(tx)
              tx:execute(\"INSERT INTO t VALUES (2, 'a')\") ctx:sleep('1h') end) end,
            function() ctx:sleep('300ms') error('enough') end,
          }
        end)
        return { ok, aegis.sql.execute('store', \"INSERT INTO t VALUES (2, 'b')\", {}, { timeout = '5s' }) }";
    assert_eq!(reach.value(group), json!([false, 1]));
}

/// Together they would take several times the 64 MiB of the VM.
#[test]
fn a_million_rows_go_through_a_small_vm() {
    let mut reach = postgres();
    reach.bed.timeout = std::time::Duration::from_secs(300);
    reach.bed.cpu = std::time::Duration::from_secs(300);
    let body = "
        local sum, most = 0, 0
        local count = aegis.sql.stream('main',
          \"SELECT i::int, repeat('x', 100) || i AS filler FROM generate_series(1, $1::int) AS i\", { 1000000 },
          function(row, n) sum += row.i most = math.max(most, #row.filler) end)
        return { count, sum, most }";
    assert_eq!(reach.value(body), json!([1_000_000, 500_000_500_000_i64, 107]));
    let early = "
        return { aegis.sql.stream('main', 'SELECT i FROM generate_series(1, 1000000) AS i', {},
          function(row, n) return n < 3 end), aegis.sql.one('main', 'SELECT 1 AS x').x }";
    assert_eq!(reach.value(early), json!([3, 1]));
    let raising =
        "aegis.sql.stream('main', 'SELECT 1 AS x', {}, function() error({ code = 'own.x', message = 'x' }) end)";
    assert_eq!(&*reach.fault(raising).code, "own.x");
}

#[test]
fn each_wrong_use_is_named_with_its_remedy() {
    let reach = sqlite();
    let table = [
        ("query('secret', 'SELECT 1')", "permission.denied", "secret = \"read\""),
        ("begin('secret')", "permission.denied", "secret = \"read\""),
        ("open('secret', 'SELECT 1')", "permission.denied", "secret = \"read\""),
        ("execute('main', 'DELETE FROM t')", "sql.read_only", "main = \"write\""),
        ("query('main', 'WITH x AS (SELECT 1) DELETE FROM t')", "sql.read_only", "main = \"write\""),
        ("query('main', 'SELECT 1', {}, { timeot = 1 })", "args.unknown", "timeout, max_rows"),
        ("query('main', 'SELECT 1', {}, { timeout = 'soon' })", "args.type", "option \"timeout\""),
        ("query('main', 'SELECT 1', {}, { timeout = '2h' })", "sql.params", "at most 1h"),
        ("query('main', 'SELECT 1', {}, { max_rows = 0 })", "sql.params", "aegis.sql.stream"),
        ("query('main', 'SELECT 1', { a = 1 })", "args.type", "argument \"params\" must be a list"),
        ("query('main', 'SELECT 1', { print })", "args.type", "argument \"params\"[1]"),
        ("query('main', 'SELECT ?, ?', { 1, nil, 2 })", "sql.params", "write aegis.null for a null"),
        ("query(nil, 'SELECT 1')", "args.missing", "argument \"source\""),
        ("query('main', 1)", "args.type", "argument \"text\""),
        ("query('main', 'SELECT 1; SELECT 2')", "sql.statement", "make one call for each"),
        ("query('main', 'COMMIT')", "sql.statement", "aegis.sql.transaction"),
        ("query('store', \"ATTACH 'x' AS y\")", "sql.statement", "files"),
        ("query('main', 'SELECT * FROM nowhere')", "sql.missing", "nowhere"),
        ("one('main', 'SELECT 1 AS x UNION SELECT 2')", "sql.many_rows", "LIMIT 1"),
        (
            "query('main', 'SELECT 1 AS x UNION SELECT 2', {}, { max_rows = 1 })",
            "sql.too_many_rows",
            "aegis.sql.stream",
        ),
        ("query(7, 'SELECT 1')", "sql.over", "no open transaction 7"),
        ("fetch(7)", "sql.over", "no open stream 7"),
        ("finish(7)", "sql.over", "no open transaction 7"),
        ("transaction('store', 1)", "args.type", "argument \"body\""),
        ("stream('main', 'SELECT 1', {}, 1)", "args.type", "argument \"visit\""),
        ("stream('main', 'SELECT nowhere FROM t', {}, print)", "sql.missing", "nowhere"),
    ];
    for (call, code, said) in table {
        let fault = reach.fault(&format!("aegis.sql.{call}"));
        assert_eq!(&*fault.code, code, "{call}: {fault}");
        assert!(fault.to_string().contains(said), "{call}: {fault}");
    }
    let grants = Grants { sql: [("*".to_owned(), Access::Read)].into(), ..Grants::default() };
    let reach = Reach { bed: Bed { grants, ..reach.bed }, ..reach };
    let fault = reach.fault("aegis.sql.query('mian', 'SELECT 1')");
    assert_eq!(&*fault.code, "sql.unknown_source");
    assert!(fault.message.contains("did you mean \"main\"?"), "{fault}");
    let sources = json!({ "access": "read", "database": "sqlite", "name": "main" });
    assert_eq!(reach.value("return aegis.sql.sources()")[0], sources);
}

#[test]
fn a_run_holds_open_only_so_many() {
    let reach = sqlite();
    let body = "
        for i = 1, 8 do
          aegis.sql.open('main', 'SELECT 1 AS x')
          aegis.sql.open('store', 'SELECT 1 AS x')
        end
        local ok, problem = aegis.try(aegis.sql.open, 'main', 'SELECT 1 AS x')
        aegis.sql.close(1)
        aegis.sql.close(1)
        return { ok, problem.code, aegis.sql.open('main', 'SELECT 1 AS x') }";
    assert_eq!(reach.value(body), json!([false, "sql.over", 17]));
}

#[test]
fn a_dry_run_reads_and_checks() {
    let mut reach = sqlite();
    reach.bed.dry_run = true;
    let body = "
        local n = aegis.sql.execute('store', \"INSERT INTO t VALUES (1, 'a')\")
        local m = aegis.sql.transaction('store', function(tx) return tx:execute('DELETE FROM t') end)
        local ok, problem = aegis.try(aegis.sql.query, 'store', 'DELETE FROM t RETURNING id')
        return { n, m, problem.code, select(2, aegis.try(aegis.sql.execute, 'store', 'DELETE FROM nowhere')).code }";
    assert_eq!(reach.value(body), json!([0, 0, "sql.read_only", "sql.missing"]));
    assert_eq!(reach.count(), json!(0));
}
