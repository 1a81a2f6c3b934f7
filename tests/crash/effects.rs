//! Effects outside of Aegis: a server that remembers who called it, whatever becomes of the daemon.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::dice::Dice;
use crate::record::Effect;
use crate::trial::micros_now;

/// Longer than a dead process's connections need to be seen closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok";

#[derive(Debug)]
pub struct Effects {
    pub port: u16,
    book: Arc<Book>,
    /// Connections that are open.
    open: watch::Receiver<usize>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Book {
    effects: Mutex<Vec<Effect>>,
    life: Mutex<u32>,
    open: watch::Sender<usize>,
    dice: Mutex<Dice>,
}

impl Effects {
    pub async fn start(dice: Dice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, open) = watch::channel(0);
        let book =
            Arc::new(Book { effects: Mutex::default(), life: Mutex::new(1), open: sender, dice: Mutex::new(dice) });
        let server = tokio::spawn(accept(listener, book.clone()));
        Self { port, book, open, server }
    }

    /// What `aegis.http.post` is given before `RUN_ID/STEP`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Call it when the daemon is dead. What it had sent is read to the end first, so that each effect belongs to the
    /// life that caused it.
    pub async fn begin_life(&self, life: u32) {
        let mut open = self.open.clone();
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, open.wait_for(|open| *open == 0)).await;
        closed.expect("the dead daemon's connections close").expect("the server is there");
        self.set_life(life);
    }

    pub fn set_life(&self, life: u32) {
        *self.book.life.lock().expect("not poisoned") = life;
    }

    /// In the order in which they came.
    pub fn all(&self) -> Vec<Effect> {
        self.book.effects.lock().expect("not poisoned").clone()
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    loop {
        let (stream, _) = listener.accept().await.expect("connections come in");
        book.open.send_modify(|open| *open += 1);
        let book = book.clone();
        tokio::spawn(async move {
            serve(stream, &book).await;
            book.open.send_modify(|open| *open -= 1);
        });
    }
}

/// `POST /RUN_ID/STEP` without a body, again and again until the other side is gone.
async fn serve(mut stream: TcpStream, book: &Book) {
    let mut waiting = Vec::new();
    let mut chunk = [0_u8; 4_096];
    loop {
        while let Some(end) = waiting.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = waiting.drain(..end + 4).collect();
            book.note(&String::from_utf8_lossy(&head));
            let pause = book.dice.lock().expect("not poisoned").millis(0, 25);
            tokio::time::sleep(pause).await;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(count) if count > 0 => waiting.extend(&chunk[..count]),
            _ => return,
        }
    }
}

impl Book {
    fn note(&self, head: &str) {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let mut parts = path.trim_start_matches('/').split('/');
        let (Some(run), Some(step)) = (parts.next(), parts.next()) else { return };
        let life = *self.life.lock().expect("not poisoned");
        let effect = Effect { run: run.to_owned(), step: step.to_owned(), life, at: micros_now() };
        self.effects.lock().expect("not poisoned").push(effect);
    }
}
