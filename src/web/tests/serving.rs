//! The listener itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::support::App;
use crate::base::limits;
use crate::web::serve;

#[tokio::test]
async fn a_client_that_stalls_does_not_hold_up_the_stop() {
    let app = App::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let clients = async {
        let mut whole = TcpStream::connect(address).await.expect("connected");
        whole.write_all(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.expect("sent");
        assert!(whole.read(&mut [0; 64]).await.expect("an answer") > 0);
        let mut half = TcpStream::connect(address).await.expect("connected");
        half.write_all(b"GET / HT").await.expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
        (whole, half)
    };
    let served = async {
        tokio::join!(serve(listener, app.web.clone(), stop.clone()), clients).0.expect("the listener is fine");
    };
    let most = limits::API_DRAIN + Duration::from_secs(3);
    tokio::time::timeout(most, served).await.expect("it stops though a client stalls");
}

#[tokio::test]
async fn an_answer_says_when_the_connection_ends_because_the_body_was_not_read() {
    let app = App::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let ask = async |head: &str, body: &str| {
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(format!("{head}\r\nHost: 127.0.0.1\r\n{body}").as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            assert!(client.read_buf(&mut answer).await.expect("an answer") > 0, "the connection ended");
        }
        String::from_utf8_lossy(&answer).to_lowercase()
    };
    let clients = async {
        let unread = ask("POST /nowhere HTTP/1.1", "Content-Length: 3000000\r\n\r\n{").await;
        assert!(unread.contains("connection: close"), "{unread}");
        let none = ask("GET /nowhere HTTP/1.1", "\r\n").await;
        assert!(none.starts_with("http/1.1 404") && !none.contains("connection: close"), "{none}");
        let page = "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
        let read = ask(page, "Content-Length: 7\r\n\r\ntoken=x").await;
        assert!(!read.contains("connection: close"), "{read}");
        stop.cancel();
    };
    tokio::join!(serve(listener, app.web.clone(), stop.clone()), clients).0.expect("the listener is fine");
}
