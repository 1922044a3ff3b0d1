//! One thread per core, each with a runtime of its own, and the sessions that live there.
use super::{
    errand::Outcome,
    pump::Pump,
    registry::Place,
    socket::Socket,
    world::{Generation, World},
};
use crate::runtime;
use std::{
    io,
    net::TcpStream as StdTcp,
    os::unix::net::UnixStream as StdUnix,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::panicking,
};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// A client that has just connected, on its way to a worker.
#[derive(Debug)]
pub struct Arrival {
    /// Its socket, not yet registered with a runtime.
    pub client: Client,
    /// Its place in the registry.
    pub place: Place,
    /// The configuration of its session.
    pub generation: Arc<Generation>,
}

/// A socket that no runtime has.
#[derive(Debug)]
pub enum Client {
    /// Over a network.
    Tcp(StdTcp),
    /// On this machine.
    Unix(StdUnix),
}

impl Client {
    fn register(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).and_then(Socket::tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Socket::Unix),
        }
    }
}

/// A thread that serves sessions.
#[derive(Debug)]
pub struct Worker {
    /// Unbounded, because the accept loop bounds how many connections there are.
    arrivals: UnboundedSender<(Arrival, Load)>,
    load: Arc<AtomicUsize>,
}

/// One session's weight on a worker.
#[derive(Debug)]
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(number: usize, world: Arc<World>) -> io::Result<Self> {
        let (arrivals, queue) = unbounded_channel();
        runtime::thread(&format!("worker-{number}"), move || {
            if let Err(error) = runtime::block_on(serve_all(queue, world)) {
                tracing::error!(%error, "a worker cannot start");
            }
        })?;
        Ok(Self {
            arrivals,
            load: Arc::default(),
        })
    }

    /// Sessions on this worker.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives the worker one more; a worker that could not start drops it, which closes it.
    pub fn give(&self, arrival: Arrival) {
        self.load.fetch_add(1, Ordering::Relaxed);
        if self
            .arrivals
            .send((arrival, Load(Arc::clone(&self.load))))
            .is_err()
        {
            tracing::error!("a worker is gone; its client is turned away");
        }
    }
}

async fn serve_all(mut queue: UnboundedReceiver<(Arrival, Load)>, world: Arc<World>) {
    while let Some((arrival, load)) = queue.recv().await {
        let world = Arc::clone(&world);
        drop(runtime::task(async move {
            let _load = load;
            serve(arrival, world).await;
        }));
    }
}

/// Counts a session whose task panicked: its sockets close as it unwinds, the others go on.
struct Witness(Arc<World>);

impl Drop for Witness {
    fn drop(&mut self) {
        if panicking() {
            self.0.metrics.ended("panicked");
        }
    }
}

async fn serve(arrival: Arrival, world: Arc<World>) {
    let _witness = Witness(Arc::clone(&world));
    let session = arrival.place.id();
    let outcome = match arrival.client.register() {
        Ok(client) => {
            let world = Arc::clone(&world);
            let mut pump = Pump::new(client, world, arrival.generation, arrival.place);
            pump.run().await
        }
        Err(error) => {
            tracing::debug!(session, %error, "a client was gone at once");
            Outcome::Ended(crate::session::Ending::ClientGone)
        }
    };
    world.ended(session, &outcome);
}
