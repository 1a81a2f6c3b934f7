//! One connection, one exchange at a time.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use redis::Value;
use rustix::net::RecvFlags;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{Address, Location};
use super::class::Class;
use super::error::Problem;
use super::reply::Reply;
use crate::base::{ExposeSecret, limits};

/// Connected and logged in. Dropping it in the middle of an exchange is how an exchange is given up.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// What this server says about its commands.
    classes: HashMap<String, Class>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    fn socket(&self) -> BorrowedFd<'_>;
}

impl Stream for TcpStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Stream for UnixStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.get_ref().0.as_fd()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("classes", &self.classes.len()).finish_non_exhaustive()
    }
}

impl Connection {
    /// `protocol` is 2 or 3: the latter tells maps, sets, booleans and doubles apart from lists and texts.
    pub async fn open(address: &Address, tls: &Arc<rustls::ClientConfig>, protocol: u8) -> Result<Self, Problem> {
        let to = address.place.to_string();
        let stream = connect(&address.place, tls)
            .await
            .map_err(|problem| Problem::Connect { to: to.clone(), problem: problem.to_string() })?;
        let mut own = Self { stream, classes: HashMap::new() };
        let mut hello = redis::cmd("HELLO");
        hello.arg(protocol);
        if let Some(password) = &address.password {
            hello.arg("AUTH").arg(address.user.as_deref().unwrap_or("default")).arg(password.expose_secret());
        }
        hello.arg("SETNAME").arg("aegis");
        let refused = |problem| match problem {
            Problem::Refused { code, text, .. } if code == "ERR" && text.starts_with("unknown command") => {
                Problem::Protocol("the server does not know HELLO".into())
            }
            Problem::Refused { code, text, .. } => Problem::Login { to: to.clone(), problem: format!("{code} {text}") },
            other => other,
        };
        own.ask(&hello).await.map_err(refused)?;
        if address.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(address.database);
            own.ask(&select).await.map_err(refused)?;
        }
        Ok(own)
    }

    /// Sends one command of our own.
    pub async fn ask(&mut self, command: &redis::Cmd) -> Result<Reply, Problem> {
        let bytes = command.get_packed_command();
        let values = self.exchange(&bytes, 1, limits::REDIS_REPLY_BYTES_MAX).await?;
        Reply::read(values.into_iter().next().unwrap_or_default())
    }

    /// Sends commands that are packed already, and gives as many answers.
    pub async fn exchange(&mut self, packed: &[u8], count: usize, bytes_max: usize) -> Result<Vec<Value>, Problem> {
        let lost = |problem: io::Error| Problem::Lost { problem: problem.to_string() };
        self.stream.write_all(packed).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut reader = Bounded { inner: &mut self.stream, left: bytes_max, is_exceeded: false };
        let mut decoder = Default::default();
        let mut values = Vec::with_capacity(count.min(limits::REDIS_PIPELINE_COMMANDS_MAX));
        while values.len() < count {
            match redis::parse_redis_value_async(&mut decoder, &mut reader).await {
                // Nothing of ours asks for these; a module may send them all the same.
                Ok(Value::Push { .. }) => {}
                Ok(value) => values.push(value),
                Err(_) if reader.is_exceeded => return Err(Problem::TooLarge { bytes_max }),
                Err(error) if error.is_io_error() => return Err(Problem::Lost { problem: error.to_string() }),
                Err(error) => return Err(Problem::Protocol(error.to_string())),
            }
        }
        Ok(values)
    }

    /// What the server says about a command; None: it does not know it.
    pub async fn class(&mut self, name: &str) -> Result<Option<&Class>, Problem> {
        let name = name.to_ascii_lowercase();
        if !self.classes.contains_key(&name) {
            let mut info = redis::cmd("COMMAND");
            info.arg("INFO").arg(&name);
            let answer = self.ask(&info).await?;
            let Some(class) = answer.as_list().and_then(<[Reply]>::first).and_then(Class::read) else {
                return Ok(None);
            };
            self.classes.insert(name.clone(), class);
        }
        Ok(self.classes.get(&name))
    }

    /// Whether an idle connection can be used again: one that has something to say can only say that it is over. The
    /// socket itself is asked, for the runtime may not have heard of it yet.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0; 1];
        let peeked = rustix::net::recv(self.stream.socket(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|problem| problem == rustix::io::Errno::AGAIN)
    }
}

async fn connect(place: &Location, tls: &Arc<rustls::ClientConfig>) -> io::Result<Box<dyn Stream>> {
    Ok(match place {
        Location::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Location::Tcp { host, port } => Box::new(tcp(host, *port).await?),
        Location::Tls { host, port } => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            Box::new(TlsConnector::from(tls.clone()).connect(name, tcp(host, *port).await?).await?)
        }
    })
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Counts what is read, and fails beyond a bound: before a long answer is in memory.
struct Bounded<'a> {
    inner: &'a mut Box<dyn Stream>,
    left: usize,
    is_exceeded: bool,
}

impl AsyncRead for Bounded<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut *self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &read {
            match self.left.checked_sub(buf.filled().len() - before) {
                Some(left) => self.left = left,
                None => {
                    self.is_exceeded = true;
                    return Poll::Ready(Err(io::Error::other("the answer is too large")));
                }
            }
        }
        read
    }
}
