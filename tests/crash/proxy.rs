//! A wire that can be cut: TCP from one port to another.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug)]
pub struct Wire {
    pub port: u16,
    whole: Arc<watch::Sender<bool>>,
    server: tokio::task::JoinHandle<()>,
}

impl Wire {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let whole = Arc::new(watch::channel(true).0);
        let server = tokio::spawn(carry(listener, target, whole.clone()));
        Self { port, whole, server }
    }

    /// Drops every connection, and every new one, until it is mended.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn carry(listener: TcpListener, target: u16, whole: Arc<watch::Sender<bool>>) {
    loop {
        let (mut near, _) = listener.accept().await.expect("connections come in");
        let mut state = whole.subscribe();
        if !*state.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = state.wait_for(|whole| !whole) => {}
            }
        });
    }
}
