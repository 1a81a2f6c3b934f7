use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::testing::{Server, free_port, source};
use super::*;
use crate::base::{Clock, Fault, SecretString, limits};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::http::client_tls;
use crate::primitives::notify::{ProcessSecrets, Secrets, Setting};
use crate::primitives::permit::{self, SourcePermit};

pub fn options() -> PoolOptions {
    let tls = Arc::new(client_tls(None).expect("TLS"));
    PoolOptions { secrets: Arc::new(ProcessSecrets), tls, clock: Clock::system() }
}

fn service(sources: &[(&str, Source)]) -> Redis {
    Redis::new(sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect(), &options())
}

fn may(source: &str, access: Access) -> SourcePermit {
    let redis = BTreeMap::from([(source.to_owned(), access)]);
    permit::redis(&Grants { redis, ..Grants::default() }, source).expect("a permit")
}

const CALL: CallOptions = CallOptions { timeout: Duration::from_secs(10), atomic: false, dry_run: false };

fn command(words: &str) -> Command {
    Command(words.split(' ').map(|word| word.as_bytes().to_vec()).collect())
}

async fn one(redis: &Redis, access: Access, words: &str) -> Result<Reply, Fault> {
    match redis.run(&may("main", access), &[command(words)], CALL).await? {
        Done::Replies(mut replies) => Ok(replies.remove(0)),
        Done::Planned(plan) => panic!("planned: {plan:?}"),
    }
}

fn text(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn each_kind_of_reply_arrives_as_what_it_is() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    let cases = [
        ("SET a 1", Reply::Text("OK".into())),
        ("GET a", text("1")),
        ("GET none", Reply::Nil),
        ("INCRBY big 9007199254740993", Reply::Integer(9_007_199_254_740_993)),
        ("HSET h f v", Reply::Integer(1)),
        ("HGETALL h", Reply::Map(vec![(text("f"), text("v"))])),
        ("ZADD z 1.5 m", Reply::Integer(1)),
        ("ZSCORE z m", Reply::Double(1.5)),
        ("LPUSH l x", Reply::Integer(1)),
        ("LRANGE l 0 -1", Reply::List(vec![text("x")])),
        ("SADD s x", Reply::Integer(1)),
        ("SMEMBERS s", Reply::List(vec![text("x")])),
        ("MGET a none", Reply::List(vec![text("1"), Reply::Nil])),
    ];
    for (words, expected) in cases {
        assert_eq!(one(&redis, Access::Write, words).await, Ok(expected), "{words}");
    }
    let bytes: Vec<u8> = (0..=255).collect();
    let set = Command::new([b"SET", &bytes, &bytes]);
    redis.run(&may("main", Access::Write), &[set], CALL).await.expect("any bytes");
    let get = Command::new([b"GET", &bytes]);
    let got = redis.run(&may("main", Access::Read), &[get], CALL).await.expect("any bytes");
    assert_eq!(got, Done::Replies(vec![Reply::Bytes(bytes)]));
}

#[tokio::test]
async fn the_servers_flags_decide_what_a_grant_reaches() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    // What each command needs at least.
    let needs = [
        ("GET a", Access::Read),
        ("get a", Access::Read),
        ("HGETALL a", Access::Read),
        ("SCAN 0", Access::Read),
        ("PING", Access::Read),
        ("TIME", Access::Read),
        ("OBJECT HELP", Access::Read),
        ("PUBSUB CHANNELS", Access::Read),
        ("MEMORY USAGE a", Access::Read),
        ("SET a 1", Access::Write),
        ("GETDEL a", Access::Write),
        ("GETEX a PERSIST", Access::Write),
        ("SORT a STORE b", Access::Admin),
        ("PUBLISH c m", Access::Write),
        ("XGROUP HELP", Access::Read),
        ("XGROUP DESTROY a b", Access::Write),
        ("KEYS *", Access::Admin),
        ("FLUSHALL", Access::Admin),
        ("CONFIG GET port", Access::Admin),
        ("INFO", Access::Admin),
        ("EVAL return(1) 0", Access::Admin),
        ("EVAL_RO return(1) 0", Access::Admin),
        ("SCRIPT EXISTS x", Access::Admin),
        ("CLIENT LIST", Access::Admin),
        ("DEBUG JMAP", Access::Admin),
    ];
    for (words, needed) in needs {
        for access in [Access::Read, Access::Write, Access::Admin] {
            let refused = one(&redis, access, words).await.err().is_some_and(|fault| fault.code == "permission.denied");
            assert_eq!(refused, access < needed, "{words} with {access:?}");
        }
    }
    let fault = one(&redis, Access::Read, "SET a 1").await.expect_err("read only");
    assert_eq!(fault.hint.as_deref(), Some("add to the job's table: permissions = { redis = { main = \"write\" } }"));
    assert!(fault.message.starts_with("SET on redis.main needs a permission"), "{fault}");
}

#[tokio::test]
async fn what_changes_a_connection_is_refused() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    let refused = [
        "SELECT 1",
        "AUTH x",
        "HELLO 2",
        "RESET",
        "QUIT",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH a",
        "UNWATCH",
        "SUBSCRIBE c",
        "PSUBSCRIBE c",
        "SSUBSCRIBE c",
        "UNSUBSCRIBE",
        "MONITOR",
        "SYNC",
        "PSYNC ? -1",
        "REPLCONF x y",
        "CLIENT REPLY OFF",
        "CLIENT TRACKING ON",
        "CLIENT SETNAME x",
        "CLIENT NO-EVICT ON",
        "ASKING",
        "READONLY",
        "READWRITE",
    ];
    for words in refused {
        let fault = one(&redis, Access::Admin, words).await.expect_err(words);
        assert_eq!(fault.code, "redis.not_for_scripts", "{words}: {fault}");
    }
    for (words, code) in [("NOPE", "redis.unknown_command"), ("CONFIG NOPE", "redis.unknown_command")] {
        assert_eq!(one(&redis, Access::Admin, words).await.expect_err(words).code, code, "{words}");
    }
    assert_eq!(one(&redis, Access::Read, "PING").await, Ok(Reply::Text("PONG".into())));
}

#[tokio::test]
async fn pipelines_tell_which_command_failed_and_transactions_are_whole() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    let may = may("main", Access::Write);
    let commands = ["SET a x", "INCR a", "SET b y"].map(command);
    let fault: Fault = redis.run(&may, &commands, CALL).await.expect_err("not a number").into();
    assert_eq!((&*fault.code, &fault.details["command"]), ("redis.refused", &serde_json::json!(2)));
    assert!(fault.message.starts_with("redis.main: command 2: ERR value is not an integer"), "{fault}");
    assert_eq!(one(&redis, Access::Read, "GET b").await, Ok(text("y")), "those after it were carried out");

    let atomic = CallOptions { atomic: true, ..CALL };
    let done = redis.run(&may, &["INCR n", "INCR n", "GET none"].map(command), atomic).await.expect("a transaction");
    assert_eq!(done, Done::Replies(vec![Reply::Integer(1), Reply::Integer(2), Reply::Nil]));
    let fault: Fault = redis.run(&may, &["INCR n", "GET"].map(command), atomic).await.expect_err("too few").into();
    assert!(fault.message.contains("command 2: ERR wrong number of arguments"), "{fault}");
    assert_eq!(one(&redis, Access::Read, "GET n").await, Ok(text("2")), "nothing of it was carried out");

    let dry = CallOptions { dry_run: true, ..CALL };
    let done = redis.run(&may, &["GET n", "SET n secret"].map(command), dry).await.expect("a plan");
    assert_eq!(done, Done::Planned(vec!["GET n (1 arguments)".into(), "SET n (2 arguments)".into()]));
    let done = redis.run(&may, &[command("GET n")], dry).await.expect("a reading");
    assert_eq!(done, Done::Replies(vec![text("2")]));
}

#[tokio::test]
async fn a_server_that_comes_back_is_reached_again() {
    let server = Server::start().await;
    let (port, redis) = (server.port, service(&[("main", server.source())]));
    assert!(one(&redis, Access::Write, "SET a 1").await.is_ok());
    drop(server);
    let fault = one(&redis, Access::Read, "GET a").await.expect_err("it is gone");
    assert_eq!((&*fault.code, fault.retryable), ("redis.connect", true));
    let server = Server::start_on(port, &[]).await;
    assert_eq!(one(&redis, Access::Read, "GET a").await, Ok(Reply::Nil));
    drop(server);
    let unreachable: Vec<_> = redis.ping().await.into_iter().filter(|(_, answer)| answer.is_err()).collect();
    assert_eq!(unreachable.len(), 1);
}

#[tokio::test]
async fn a_call_ends_in_time_and_its_connection_with_it() {
    let server = Server::start().await;
    let one_connection = Source { max_connections: 1, ..server.source() };
    let redis = service(&[("main", one_connection)]);
    let may = may("main", Access::Write);
    let short = CallOptions { timeout: Duration::from_millis(100), ..CALL };
    let fault: Fault = redis.run(&may, &[command("BLPOP none 0")], short).await.expect_err("nothing comes").into();
    assert_eq!((&*fault.code, fault.retryable), ("redis.timeout", false));
    // A call that is dropped leaves nothing behind that the next would read.
    let endless = [command("BLPOP none 0")];
    let waiting = redis.run(&may, &endless, CALL);
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    assert_eq!(one(&redis, Access::Read, "PING").await, Ok(Reply::Text("PONG".into())));
    // Who waits for a turn waits no longer than its own time.
    let (second, ping) = ([command("BLPOP none 1")], [command("PING")]);
    let (blocks, waits) = (redis.run(&may, &second, CALL), redis.run(&may, &ping, short));
    let (blocked, waited) = tokio::join!(blocks, waits);
    assert_eq!(blocked.expect("nothing came"), Done::Replies(vec![Reply::Nil]));
    let fault: Fault = waited.expect_err("its turn did not come").into();
    assert!(fault.message.contains("the call's turn did not come within 100ms"), "{fault}");
    assert!(fault.hint.is_some_and(|hint| hint.contains("redis.main.max_connections")));
}

#[tokio::test]
async fn answers_and_calls_are_bounded() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    let size = limits::REDIS_REPLY_BYTES_MAX;
    let fill = format!("SETRANGE a {} x", size);
    assert!(one(&redis, Access::Write, &fill).await.is_ok());
    let fault = one(&redis, Access::Read, "GET a").await.expect_err("too large");
    assert_eq!(fault.code, "redis.too_large", "{fault}");
    assert_eq!(one(&redis, Access::Read, "STRLEN a").await, Ok(Reply::Integer(size as i64 + 1)));
    let may = may("main", Access::Write);
    let many = vec![command("PING"); limits::REDIS_PIPELINE_COMMANDS_MAX + 1];
    let long = [Command(vec![b"SET".to_vec(), b"a".to_vec(), vec![0; limits::REDIS_REQUEST_BYTES_MAX]])];
    for commands in [&many[..], &long[..], &[][..], &[Command(vec![])][..]] {
        let fault: Fault = redis.run(&may, commands, CALL).await.expect_err("out of bounds").into();
        assert_eq!(fault.code, "redis.bad_call");
    }
}

#[tokio::test]
async fn logging_in_is_by_the_url_or_its_secret() {
    #[derive(Debug)]
    struct Known(String);
    impl Secrets for Known {
        fn secret(&self, name: &str) -> Option<SecretString> {
            (name == "REDIS_URL").then(|| self.0.clone().into())
        }
    }
    let server = Server::start_on(free_port(), &["--requirepass", "hunter2"]).await;
    let url = |login: &str, database: u8| format!("redis://{login}127.0.0.1:{}/{database}", server.port);
    let options = PoolOptions { secrets: Arc::new(Known(url(":hunter2@", 3))), ..options() };
    let secret = |name: &str| Source::new(Setting::Secret(name.to_owned()));
    let sources = [
        ("main".to_owned(), secret("REDIS_URL")),
        ("wrong".to_owned(), source(&url(":hunter3@", 0))),
        ("nobody".to_owned(), source(&url("", 0))),
        ("range".to_owned(), source(&url(":hunter2@", 99))),
        ("absent".to_owned(), secret("NONE")),
    ];
    let redis = Redis::new(sources.into(), &options);
    assert!(one(&redis, Access::Admin, "CLIENT LIST").await.is_ok_and(|reply| {
        reply.as_text().is_some_and(|text| text.contains("name=aegis") && text.contains("db=3"))
    }));
    for (name, code) in [("wrong", "login"), ("nobody", "login"), ("range", "login"), ("absent", "setup")] {
        let call = redis.run(&may(name, Access::Read), &[command("PING")], CALL).await;
        let fault: Fault = call.expect_err(name).into();
        assert_eq!(fault.code, format!("redis.{code}"), "{name}: {fault}");
        assert!(!fault.to_string().contains("hunter"), "{fault}");
    }
    let fault: Fault =
        redis.run(&may("mian", Access::Read), &[command("PING")], CALL).await.expect_err("a slip").into();
    assert_eq!(fault.code, "redis.unknown_source");
    assert!(fault.message.contains("did you mean \"main\"?"), "{fault}");
}

#[tokio::test]
async fn a_stranger_behind_the_address_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let redis = service(&[("main", source(&url))]);
    let call = one(&redis, Access::Read, "PING");
    let stranger = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert!(stream.read(&mut [0; 1024]).await.expect("a greeting") > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an answer");
        stream
    };
    let (fault, _stream) = tokio::join!(call, stranger);
    assert_eq!(fault.expect_err("not Redis").code, "redis.protocol");
}

#[tokio::test]
async fn the_server_tells_about_itself() {
    let server = Server::start().await;
    let redis = service(&[("main", server.source())]);
    let told = redis.info(&may("main", Access::Read), "server", CALL.timeout).await.expect("information");
    assert_eq!(told["tcp_port"], server.port.to_string());
}
