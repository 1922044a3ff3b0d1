//! pgpawl itself, in this process, as `pgpawl run` would start it.
use crate::{
    admin,
    commands::run::{new_metrics, world},
    config::{Config, Sources},
    error::Error,
    net::{
        server::{Order, Server},
        world::World,
    },
    runtime,
};
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A running pgpawl; dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    /// Where the metrics are, on 127.0.0.1.
    pub metrics_port: u16,
    world: Arc<World>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts it with a configuration file, if there is one, and flags.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Result<Self, Error> {
        let sources = Sources {
            file,
            env: Vec::new(),
            flags,
        };
        let config = Config::load(&sources)?;
        let metrics_listen = config.metrics_listen.clone();
        let world = world(config, new_metrics()?)?;
        let metrics = match &metrics_listen {
            Some(address) => admin::start(address, Arc::clone(&world))?,
            None => String::new(),
        };
        let (orders, given) = channel(1);
        let (bound, outcome) = mpsc::channel();
        let shared = Arc::clone(&world);
        let thread =
            runtime::thread("pgpawl", move || serve(shared, given, &bound)).map_err(|source| {
                Error::System {
                    what: "cannot start a thread",
                    source,
                }
            })?;
        outcome
            .recv()
            .unwrap_or_else(|_| Err(Error::Demo("pgpawl did not start".to_owned())))?;
        let thread = Some(thread);
        Ok(Self {
            metrics_port: port(&metrics),
            world,
            orders,
            thread,
        })
    }

    /// What `/metrics` says of verdicts and versions.
    #[must_use]
    pub fn metrics(&self) -> String {
        let all = String::from_utf8_lossy(&self.world.metrics.text()).into_owned();
        let shown = [
            "pgpawl_verdicts_total",
            "pgpawl_schema_version_info",
            "pgpawl_sessions_total",
        ];
        all.lines()
            .filter(|line| shown.iter().any(|name| line.starts_with(name)))
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have stopped by itself.
        let _ = self.orders.try_send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(world: Arc<World>, orders: Receiver<Order>, bound: &mpsc::Sender<Result<(), Error>>) {
    let served = runtime::block_on(async {
        let server = match Server::bind(world).await {
            Ok(server) => server,
            Err(error) => return bound.send(Err(error)),
        };
        let told = bound.send(Ok(()));
        server.run(orders, |_| ()).await;
        told
    });
    if let Err(source) = served {
        let error = Error::System {
            what: "cannot start the main thread",
            source,
        };
        // Who waits for it has gone.
        let _ = bound.send(Err(error));
    }
}

fn port(address: &str) -> u16 {
    address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .unwrap_or_default()
}
