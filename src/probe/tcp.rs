//! Whether a port takes connections, and something behind it does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection must stay open to count. The proxy gives up within a millisecond, on a
/// machine that has nothing else to do; one that boots has.
const MOMENT: Duration = Duration::from_millis(250);

/// Connects within `limit`. That the connection stays open for a moment proves
/// the port, and so does `answered` when it ends before.
///
/// # Errors
/// What was seen instead, in words.
pub(super) async fn probe(
    address: SocketAddr,
    limit: Duration,
    answered: impl Future<Output = ()>,
) -> Result<(), String> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            let open = tokio::select! {
                open = stays(&stream) => open,
                () = answered => true,
            };
            let closed = || format!("{address} closes every connection: nothing listens behind it");
            if open { Ok(()) } else { Err(closed()) }
        }
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address} does not accept connections")),
    }
}

/// Whether a connection outlasts its first moment. Docker's proxy accepts on
/// the host whether or not anything listens in the container, and closes at once if not.
async fn stays(stream: &TcpStream) -> bool {
    match timeout(MOMENT, stream.peek(&mut [0])).await {
        Ok(seen) => seen.is_ok_and(|bytes| bytes > 0),
        Err(_) => true,
    }
}
