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
