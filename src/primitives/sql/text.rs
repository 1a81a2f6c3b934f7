//! What can be seen of a statement from outside: how it begins, and that it is one.
//!
//! None of this keeps anybody from writing; the database does. It refuses what would take a session away from the
//! calls that come after (transaction control, settings), what reaches files and programs past the database's own
//! rights (`COPY`, `ATTACH`, `INTO OUTFILE`), and a second statement, which SQLite's driver would carry out.

use super::error::SqlError;
use crate::base::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Sqlite,
    MySql,
}

impl Dialect {
    /// As people know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
            Self::MySql => "mysql",
        }
    }
}

/// Statements that begin so leave nothing behind in a session.
const READING: [&str; 8] = ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"];
const CHANGING: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"];

const CONTROL: [&str; 9] = ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "XA"];
const OF_SESSION: [&str; 19] = [
    "SET",
    "RESET",
    "DISCARD",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "LISTEN",
    "UNLISTEN",
    "DECLARE",
    "FETCH",
    "MOVE",
    "CLOSE",
    "UNLOCK",
    "USE",
    "HANDLER",
    "DETACH",
    "PRAGMA",
    "HELP",
    "DELIMITER",
];
const OF_FILES: [&str; 3] = ["COPY", "LOAD", "ATTACH"];

const NEVER_IN_BODIES: [&str; 4] = ["ATTACH", "DETACH", "PRAGMA", "VACUUM"];

/// What a text was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The first word, in capitals.
    pub verb: String,
    /// It may leave something behind in its session: a temporary table, a lock.
    pub lingers: bool,
}

impl Shape {
    pub fn reads(&self) -> bool {
        READING.contains(&self.verb.as_str())
    }
}

/// Looks at `text`, and refuses what no call may carry out.
pub fn inspect(dialect: Dialect, text: &str) -> Result<Shape, SqlError> {
    if text.len() > limits::SQL_TEXT_BYTES_MAX {
        let max = limits::SQL_TEXT_BYTES_MAX;
        return Err(refused(
            format!("it has {} bytes, and at most {max} are sent", text.len()),
            "pass values as parameters",
        ));
    }
    if text.contains('\0') {
        return Err(refused("it contains a zero byte".into(), "pass values as parameters"));
    }
    let mut lexer = Lexer { dialect, rest: text.as_bytes(), before: None, keeps: false };
    let (mut verb, mut previous, mut ended) = (None::<String>, String::new(), false);
    // What is created has a body, whose statements end in semicolons.
    let mut has_body = false;
    while let Some(token) = lexer.next_token()? {
        match token {
            Token::End => ended = verb.is_some() && !has_body,
            Token::Word(_) | Token::Other if ended => {
                return Err(refused("it is more than one statement".into(), "make one call for each"));
            }
            Token::Word(word) => {
                if previous == "INTO" && (word == "OUTFILE" || word == "DUMPFILE") {
                    return Err(refused(format!("INTO {word} writes a file of the server"), "select the rows instead"));
                }
                if verb.is_none() {
                    check_verb(dialect, &word)?;
                    verb = Some(word.clone());
                }
                if verb.as_deref() == Some("CREATE") {
                    has_body |= bodies(dialect).contains(&word.as_str());
                    // SQLite's driver would carry it out, behind the body.
                    if has_body && NEVER_IN_BODIES.contains(&word.as_str()) {
                        return Err(refused(format!("{word} is no part of what is created"), "make one call for each"));
                    }
                }
                // VACUUM INTO makes another file.
                if dialect == Dialect::Sqlite && word == "INTO" && verb.as_deref() == Some("VACUUM") {
                    return Err(refused("VACUUM INTO writes a file".into(), "let the operator back the database up"));
                }
                previous = word;
            }
            Token::Other => previous.clear(),
        }
    }
    let verb = verb.ok_or_else(|| refused("it is empty".into(), "write one statement"))?;
    let lingers = lexer.keeps || (!READING.contains(&verb.as_str()) && !CHANGING.contains(&verb.as_str()));
    Ok(Shape { verb, lingers })
}

/// What has a body. MySQL itself refuses a second statement; PostgreSQL's bodies are quoted.
fn bodies(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Postgres => &[],
        Dialect::Sqlite => &["TRIGGER"],
        Dialect::MySql => &["TRIGGER", "FUNCTION", "PROCEDURE", "EVENT"],
    }
}

fn check_verb(dialect: Dialect, verb: &str) -> Result<(), SqlError> {
    let is = |list: &[&str]| list.contains(&verb);
    if is(&CONTROL) {
        return Err(refused(
            format!("{verb} controls a transaction"),
            "use aegis.sql.transaction(source, function(tx) … end)",
        ));
    }
    if is(&OF_SESSION) || (dialect == Dialect::MySql && verb == "LOCK") {
        let hint = "each call may get another session; put what it needs into the statement, or into the source's configuration";
        return Err(refused(format!("{verb} is about the session"), hint));
    }
    if is(&OF_FILES) {
        return Err(refused(
            format!("{verb} is about files and programs"),
            "use INSERT and SELECT, or aegis.sql.stream",
        ));
    }
    Ok(())
}

fn refused(problem: String, hint: &'static str) -> SqlError {
    SqlError::Statement { problem, hint }
}

enum Token {
    /// Outside of quotes, in capitals.
    Word(String),
    /// A semicolon.
    End,
    /// Anything else that is no comment.
    Other,
}

struct Lexer<'a> {
    dialect: Dialect,
    rest: &'a [u8],
    /// The byte before `rest`, when it belongs to a word.
    before: Option<u8>,
    /// A lock by name or a variable was seen, which MySQL keeps for the session, whatever the statement is.
    keeps: bool,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Result<Option<Token>, SqlError> {
        loop {
            let Some(&first) = self.rest.first() else { return Ok(None) };
            let pair = [first, self.rest.get(1).copied().unwrap_or(0)];
            match (pair, self.dialect) {
                ([b'-', b'-'], Dialect::MySql) if !self.is_dashed() => {
                    self.advance(1);
                    return Ok(Some(Token::Other));
                }
                ([b'-', b'-'], _) | ([b'#', _], Dialect::MySql) => self.skip_line(),
                ([b'/', b'*'], _) => self.skip_comment()?,
                _ if first.is_ascii_whitespace() => self.advance(1),
                // A byte order mark between words is a space to SQLite.
                _ if self.dialect == Dialect::Sqlite && self.rest.starts_with("\u{FEFF}".as_bytes()) => self.advance(3),
                ([b';', _], _) => {
                    self.advance(1);
                    return Ok(Some(Token::End));
                }
                // Parentheses before the first word change nothing about it.
                ([b'(', _], _) => {
                    self.advance(1);
                }
                ([b'\'' | b'"', _], _) => return Ok(Some(self.quoted(first, self.has_escapes(first)))),
                ([b'`', _], Dialect::MySql | Dialect::Sqlite) => return Ok(Some(self.quoted(b'`', false))),
                ([b'[', _], Dialect::Sqlite) => return Ok(Some(self.quoted(b']', false))),
                ([b'$', _], Dialect::Postgres) => return Ok(Some(self.dollar())),
                ([b'$' | b'@' | b':' | b'#', _], Dialect::Sqlite) => return self.variable().map(Some),
                ([b'@', _], Dialect::MySql) => {
                    self.keeps = true;
                    self.advance(1);
                    return Ok(Some(Token::Other));
                }
                _ if is_word(first) => return Ok(Some(self.word())),
                _ => {
                    self.advance(1);
                    return Ok(Some(Token::Other));
                }
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.before = self.rest.get(bytes.saturating_sub(1)).copied();
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// MySQL begins a comment with two dashes and a space: `5--2` is a subtraction.
    fn is_dashed(&self) -> bool {
        self.rest.get(2).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    }

    fn has_escapes(&self, quote: u8) -> bool {
        match self.dialect {
            Dialect::MySql => true,
            Dialect::Postgres => quote == b'\'' && matches!(self.before, Some(b'e' | b'E')),
            Dialect::Sqlite => false,
        }
    }

    /// Only PostgreSQL ends such a comment at a carriage return.
    fn skip_line(&mut self) {
        let is_end = |byte: &u8| *byte == b'\n' || (*byte == b'\r' && self.dialect == Dialect::Postgres);
        let end = self.rest.iter().position(is_end);
        self.advance(end.map_or(self.rest.len(), |end| end + 1));
    }

    fn skip_comment(&mut self) -> Result<(), SqlError> {
        if self.dialect == Dialect::MySql && (self.rest.starts_with(b"/*!") || self.rest.starts_with(b"/*M!")) {
            return Err(refused("it has a comment that the server carries out".into(), "write it without /*! … */"));
        }
        let (mut at, mut depth) = (2, 1_usize);
        while depth > 0 && at < self.rest.len() {
            match &self.rest[at..] {
                [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
                [b'/', b'*', ..] if self.dialect == Dialect::Postgres => (depth, at) = (depth + 1, at + 2),
                _ => at += 1,
            }
        }
        self.advance(at);
        Ok(())
    }

    fn quoted(&mut self, end: u8, has_escapes: bool) -> Token {
        let mut at = 1;
        while at < self.rest.len() {
            match self.rest[at] {
                b'\\' if has_escapes => at += 1,
                byte if byte == end && self.rest.get(at + 1) == Some(&end) && end != b']' => at += 1,
                byte if byte == end => break,
                _ => {}
            }
            at += 1;
        }
        self.advance((at + 1).min(self.rest.len()));
        Token::Other
    }

    /// `$tag$ … $tag$`, or a parameter such as `$1`.
    fn dollar(&mut self) -> Token {
        let tag = self.rest[1..].iter().position(|byte| !is_word(*byte) || *byte == b'$').map_or(0, |end| end + 1);
        let is_tag = self.rest.get(tag) == Some(&b'$') && tag > 0 && !self.rest[1].is_ascii_digit();
        if !is_tag {
            self.advance(1);
            return Token::Other;
        }
        let mark = &self.rest[..=tag];
        let body = &self.rest[mark.len()..];
        let end = memchr::memmem::find(body, mark).map_or(self.rest.len(), |end| 2 * mark.len() + end);
        self.advance(end);
        Token::Other
    }

    /// SQLite's `$name`, `@name`, `:name`. What follows in parentheses belongs to the name, quotes and semicolons too, and
    /// nobody needs that.
    fn variable(&mut self) -> Result<Token, SqlError> {
        let is_part = |byte: &u8| is_word(*byte) || *byte == b':';
        let end = 1 + self.rest[1..].iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len() - 1);
        if self.rest.get(end) == Some(&b'(') {
            return Err(refused("a parameter's name has parentheses".into(), "call it $1, or ?1"));
        }
        self.advance(end);
        Ok(Token::Other)
    }

    fn word(&mut self) -> Token {
        let end = self.rest.iter().position(|byte| !is_word(*byte)).unwrap_or(self.rest.len());
        let word = String::from_utf8_lossy(&self.rest[..end]).to_ascii_uppercase();
        self.keeps |= self.dialect == Dialect::MySql && word == "GET_LOCK";
        self.advance(end);
        Token::Word(word)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(dialect: Dialect, text: &str) -> Result<String, String> {
        inspect(dialect, text).map(|shape| shape.verb).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_word_is_found_behind_comments_and_parentheses() {
        for text in ["select 1", " -- x\n select 1", "/* a */ SELECT 1;", "((select 1))", ";; select 1 ; ; -- end"] {
            for dialect in [Dialect::Postgres, Dialect::Sqlite, Dialect::MySql] {
                assert_eq!(verb(dialect, text), Ok("SELECT".into()), "{text}");
            }
        }
        assert_eq!(verb(Dialect::Postgres, "/* a /* b */ delete */ select 1"), Ok("SELECT".into()));
        assert_eq!(verb(Dialect::MySql, "# x\nselect 1"), Ok("SELECT".into()));
    }

    #[test]
    fn semicolons_count_outside_of_quotes_only() {
        let one = [
            (Dialect::Postgres, "select ';', $$ ; x $$, $a$ ; $$ ; $a$, E'\\'; x', \"a;b\" where $1 = 2"),
            (Dialect::Sqlite, "select ';', \"a;b\", `c;d`, [e;f], 'it''s; x'"),
            (Dialect::MySql, "select ';', \"a;b\", `c;d`, '\\'; x', 'it''s; x'"),
        ];
        for (dialect, text) in one {
            assert_eq!(verb(dialect, text), Ok("SELECT".into()), "{text}");
        }
        let two = [
            (Dialect::Sqlite, "select 1; delete from t"),
            (Dialect::Sqlite, "select '\\'; delete from t"),
            (Dialect::Sqlite, "select 1;/**/-- x\n attach 'x' as y"),
            (Dialect::Postgres, "select $1; delete from t"),
            (Dialect::Postgres, "select '\\'; delete from t"),
            (Dialect::MySql, "select 'a\\''; delete from t"),
            // A carriage return ends no comment, a byte order mark no statement.
            (Dialect::Sqlite, "select 1 --\r'\n; attach 'x' as y --'"),
            (Dialect::MySql, "select 1 -- \r'\n; delete from t -- '"),
            (Dialect::Sqlite, "select 1;\u{feff}attach 'x' as y"),
        ];
        for (dialect, text) in two {
            assert!(verb(dialect, text).is_err_and(|problem| problem.contains("more than one")), "{text}");
        }
    }

    #[test]
    fn what_no_call_may_do_is_refused() {
        let refused = [
            (Dialect::Postgres, "; commit"),
            (Dialect::Postgres, "/**/set default_transaction_read_only = off"),
            (Dialect::Postgres, "copy t to program 'x'"),
            (Dialect::Sqlite, "attach 'x' as y"),
            (Dialect::Sqlite, "pragma writable_schema = on"),
            (Dialect::Sqlite, "vacuum main into 'x'"),
            (Dialect::MySql, "select 1 into /* x */ outfile 'x'"),
            (Dialect::MySql, "select 1 into dumpfile 'x'"),
            (Dialect::MySql, "select 1 /*!50000 into outfile 'x' */"),
            (Dialect::MySql, "select 1 --1 into outfile 'x'"),
            (Dialect::MySql, "select 1 /*M! into outfile 'x' */"),
            (Dialect::MySql, "lock tables t write"),
            (Dialect::Postgres, ""),
            (Dialect::Postgres, " -- nothing"),
            (Dialect::Postgres, "select '\0'"),
        ];
        for (dialect, text) in refused {
            assert!(verb(dialect, text).is_err(), "{text}");
        }
        assert!(verb(Dialect::Postgres, &"x".repeat(limits::SQL_TEXT_BYTES_MAX + 1)).is_err());
        let trigger = "create trigger a after insert on t begin delete from t; select case when 1 then 2 end; end";
        assert!(verb(Dialect::Sqlite, trigger).is_ok() && verb(Dialect::MySql, trigger).is_ok());
        assert!(verb(Dialect::Sqlite, &format!("{trigger}; attach 'x' as y")).is_err());
        assert!(verb(Dialect::Sqlite, "create table begin (a); attach 'x' as y").is_err());
        assert!(verb(Dialect::Sqlite, "vacuum").is_ok() && verb(Dialect::Postgres, "lock table t").is_ok());
    }

    #[test]
    fn what_lingers_is_known() {
        let lingers = |text| inspect(Dialect::MySql, text).map(|shape| shape.lingers);
        assert!(lingers("create temporary table t (a int)").is_ok_and(|lingers| lingers));
        assert!(lingers("insert into t values (1)").is_ok_and(|lingers| !lingers));
    }

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        for text in ["select $x(') ; attach 'f' as y -- '", "select @a::b(') ; x --'", "select :c(') ; x --'"] {
            assert!(verb(Dialect::Sqlite, text).is_err_and(|problem| problem.contains("parentheses")), "{text}");
        }
        assert_eq!(verb(Dialect::Sqlite, "select $1, :name, @x, (2)"), Ok("SELECT".into()));
        for text in ["\u{feff}VACUUM INTO '/x'", "\u{feff}ATTACH 'x' AS y", "\u{feff}PRAGMA writable_schema = 1"] {
            assert!(verb(Dialect::Sqlite, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_mysql_keeps_for_a_session_lingers() {
        let lingers = |text| inspect(Dialect::MySql, text).expect("one statement").lingers;
        assert!(lingers("SELECT get_lock('x', 0)") && lingers("SELECT @v := 1"));
        assert!(!lingers("SELECT '@v', 'GET_LOCK'"));
    }
}
