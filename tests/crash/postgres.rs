//! A PostgreSQL of the harness's own, with fsync as in production.

use std::net::TcpListener;

use crate::server::Server;

#[derive(Debug)]
pub struct Postgres {
    pub port: u16,
    _server: Server,
}

impl Postgres {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let port_word = port.to_string();
        let options = ["-p", &port_word, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100"];
        let server = Server::start(&options).answers(&Self::url_by(port)).await;
        Self { port, _server: server }
    }

    pub fn url(&self) -> String {
        Self::url_by(self.port)
    }

    /// The database by way of another port, which leads to it.
    pub fn url_by(port: u16) -> String {
        format!("postgres://aegis@127.0.0.1:{port}/postgres")
    }
}
