//! `/metrics`, `/healthz` and `/readyz`, on a thread of their own: gathering thousands of series
//! takes milliseconds that no session should wait for.
mod labels;
pub mod metrics;

use crate::{config::Address, error::Error, net::world::World, runtime};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Bytes, body::Incoming, header,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// Connections at the same time: a few Prometheus servers and probes.
const CONNECTIONS_MAX: usize = 64;
/// The longest wait for a request's head.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// The wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds `address` and starts the thread; the address that was bound.
///
/// # Errors
/// When the address cannot be bound or the system gives no thread.
pub fn start(address: &Address, world: Arc<World>) -> Result<String, Error> {
    let bound = bind(address).map_err(|source| Error::Listen {
        what: "metrics",
        address: address.to_string(),
        source,
    })?;
    let (listener, local) = bound;
    runtime::thread("admin", move || {
        let served = runtime::block_on(serve(listener, world)).flatten();
        if let Err(error) = served {
            tracing::error!(%error, "the metrics are not served");
        }
    })
    .map_err(|source| Error::System {
        what: "cannot start the thread of the metrics",
        source,
    })?;
    Ok(local.to_string())
}

fn bind(address: &Address) -> io::Result<(StdListener, SocketAddr)> {
    let Address::Tcp { host, port } = address else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "metrics need host:port",
        ));
    };
    let addresses: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
    let listener = StdListener::bind(addresses.as_slice())?;
    listener.set_nonblocking(true)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

async fn serve(listener: StdListener, world: Arc<World>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept().await {
            Ok((stream, _)) if open.load(Ordering::Relaxed) < CONNECTIONS_MAX => {
                open.fetch_add(1, Ordering::Relaxed);
                let (world, open) = (Arc::clone(&world), Arc::clone(&open));
                drop(runtime::task(async move {
                    converse(stream, world).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                }));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a request for metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, world: Arc<World>) {
    let service = service_fn(move |request| {
        let world = Arc::clone(&world);
        async move { Ok::<_, Infallible>(answer(&request, &world).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a request for metrics broke off");
    }
}

async fn answer(request: &Request<Incoming>, world: &World) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = plain(StatusCode::OK, world.metrics.text());
            let format = "text/plain; version=0.0.4; charset=utf-8";
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                header::HeaderValue::from_static(format),
            );
            response
        }
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/readyz" => match world.is_ready().await {
            Ok(()) => plain(StatusCode::OK, "ready\n"),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        _ => plain(
            StatusCode::NOT_FOUND,
            "there are /metrics, /healthz and /readyz\n",
        ),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
