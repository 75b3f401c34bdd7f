//! A director without packets: it keeps the table that commands build, and refuses what IPVS refuses.

use director::api::{
    ClientError, Command, Refusal, RefusalCode, Reply, Request, Rows, SyncDaemon, SyncRole,
};
use director::cli::ipvsadm::Backend;
use director::model::{
    ConnectionRow, Counters, DestinationAddress, DestinationRow, DestinationSpec, Origin, Rates,
    ServiceKey, ServiceRow, Timeouts,
};
use director::query::{
    Connections, Info, InfoRow, Query, Services, ServicesArgs, SyncDaemons, TimeoutsQuery,
};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// All state that ipvsadm can see.
#[derive(Debug, Default)]
pub struct Table {
    pub services: Vec<ServiceRow>,
    pub connections: Vec<ConnectionRow>,
    pub timeouts: Timeouts,
    pub daemons: Vec<SyncDaemon>,
    /// Number of commands in each request.
    pub batches: Vec<usize>,
}

fn refuse<T>(code: RefusalCode) -> Result<T, Refusal> {
    Err(Refusal::new(code, format!("{code:?}")))
}

fn is_unicast(address: IpAddr) -> bool {
    !address.is_multicast()
        && !address.is_unspecified()
        && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

impl Table {
    /// Rows of a reply, few at a time so that clients must join them.
    pub fn answer(&mut self, request: Request) -> Result<Vec<Reply>, Refusal> {
        Ok(match request {
            Request::Apply(commands) => {
                self.batches.push(commands.len());
                let outcomes: Vec<_> =
                    commands.into_iter().map(|command| self.apply(command)).collect();
                outcomes.chunks(3).map(|chunk| Reply::Applied(chunk.to_vec())).collect()
            }
            Request::Query { query, args } => self.rows(&query, args)?,
        })
    }

    fn rows(&mut self, query: &str, args: serde_json::Value) -> Result<Vec<Reply>, Refusal> {
        fn rows<R: Serialize + Clone + Send + Sync + 'static>(
            rows: &[R],
            each: usize,
        ) -> Vec<Reply> {
            rows.chunks(each).map(|piece| Reply::Rows(Rows::of(piece.to_vec()))).collect()
        }
        Ok(match query {
            Info::NAME => {
                rows(&[InfoRow { version: "0.0.0".to_owned(), connection_table_size: 4096 }], 1)
            }
            Services::NAME => {
                let args: ServicesArgs = serde_json::from_value(args).expect("its arguments");
                match args.only {
                    None => rows(&self.services, 1),
                    Some(key) => rows(&[self.service(&key)?.clone()], 1),
                }
            }
            Connections::NAME => rows(&self.connections, 5),
            TimeoutsQuery::NAME => rows(&[self.timeouts], 1),
            SyncDaemons::NAME => rows(&self.daemons, 2),
            _ => return refuse(RefusalCode::EOPNOTSUPP),
        })
    }

    fn service(&mut self, key: &ServiceKey) -> Result<&mut ServiceRow, Refusal> {
        match self.services.iter_mut().find(|row| row.spec.key == *key) {
            Some(row) => Ok(row),
            None => refuse(RefusalCode::ESRCH),
        }
    }

    fn destination(
        &mut self,
        key: &ServiceKey,
        at: DestinationAddress,
    ) -> Result<&mut DestinationRow, Refusal> {
        match self.service(key)?.destinations.iter_mut().find(|row| row.spec.at == at) {
            Some(row) => Ok(row),
            None => refuse(RefusalCode::ENOENT),
        }
    }

    fn apply(&mut self, command: Command) -> Result<(), Refusal> {
        match command {
            Command::AddService(spec) => {
                if self.service(&spec.key).is_ok() {
                    return refuse(RefusalCode::EEXIST);
                }
                let (counters, rates) = (Counters::default(), Rates::default());
                self.services.push(ServiceRow { spec, counters, rates, destinations: vec![] });
            }
            Command::EditService(spec) => {
                let key = spec.key;
                self.service(&key)?.spec = spec;
            }
            Command::DeleteService(key) => {
                self.service(&key)?;
                self.services.retain(|row| row.spec.key != key);
            }
            Command::Flush => self.services.clear(),
            Command::AddDestination { service, destination } => self.add(&service, destination)?,
            Command::EditDestination { service, destination } => {
                let row = self.destination(&service, destination.at)?;
                check_thresholds(&destination)?;
                row.spec = destination;
                row.weight = destination.weight;
            }
            Command::DeleteDestination { service, at } => {
                self.destination(&service, at)?;
                self.service(&service)?.destinations.retain(|row| row.spec.at != at);
            }
            Command::Zero(None) => self.services.iter_mut().for_each(zero),
            Command::Zero(Some(key)) => zero(self.service(&key)?),
            Command::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => {
                let keep = |new, old| if new == 0 { old } else { new };
                self.timeouts.tcp = keep(tcp, self.timeouts.tcp);
                self.timeouts.tcp_fin = keep(tcp_fin, self.timeouts.tcp_fin);
                self.timeouts.udp = keep(udp, self.timeouts.udp);
            }
            Command::StartSyncDaemon(daemon) => self.start(daemon)?,
            Command::StopSyncDaemon(role) => self.stop(role)?,
            Command::SetOverlay { .. } | Command::ClearOverlay { .. } => {
                panic!("ipvsadm has no overlays")
            }
        }
        Ok(())
    }

    fn add(&mut self, service: &ServiceKey, spec: DestinationSpec) -> Result<(), Refusal> {
        let row = self.service(service)?;
        check_thresholds(&spec)?;
        if row.destinations.iter().any(|row| row.spec.at == spec.at) {
            return refuse(RefusalCode::EEXIST);
        }
        if !is_unicast(spec.at.address) {
            return refuse(RefusalCode::EINVAL);
        }
        let destination = DestinationRow {
            spec,
            weight: spec.weight,
            origin: Origin::Operator,
            overlays: Vec::new(),
            active_connections: 0,
            inactive_connections: 0,
            persistent_connections: 0,
            counters: Counters::default(),
            rates: Rates::default(),
        };
        row.destinations.insert(0, destination);
        Ok(())
    }

    fn start(&mut self, daemon: SyncDaemon) -> Result<(), Refusal> {
        if self.daemons.iter().any(|running| running.role == daemon.role) {
            return refuse(RefusalCode::EEXIST);
        }
        if daemon.interface == "nosuch" {
            return refuse(RefusalCode::ENODEV);
        }
        self.daemons.push(SyncDaemon {
            max_length: daemon.max_length.or(Some(1472)),
            group: daemon.group.or(Some([224, 0, 0, 81].into())),
            port: daemon.port.or(Some(8848)),
            ttl: daemon.ttl.or(Some(1)),
            ..daemon
        });
        Ok(())
    }

    fn stop(&mut self, role: SyncRole) -> Result<(), Refusal> {
        let running = self.daemons.len();
        self.daemons.retain(|daemon| daemon.role != role);
        if self.daemons.len() == running { refuse(RefusalCode::ESRCH) } else { Ok(()) }
    }

    /// Counts a SYN of `bytes` bytes from `client` through `service` to `at`.
    pub fn connect(
        &mut self,
        service: &ServiceKey,
        client: SocketAddr,
        at: DestinationAddress,
        bytes: u64,
    ) {
        let row = self.service(service).expect("the service of the packet");
        count(&mut row.counters, bytes);
        let row = self.destination(service, at).expect("the destination of the packet");
        count(&mut row.counters, bytes);
        row.active_connections += 1;
        let ServiceKey::Address { address, port, .. } = *service else {
            panic!("packets are counted by address");
        };
        self.connections.push(ConnectionRow {
            protocol: "TCP".to_owned(),
            state: "SYN_RECV".to_owned(),
            expires_s: 51,
            client,
            virtual_address: SocketAddr::new(address, port),
            destination: SocketAddr::new(at.address, at.port),
            persistence_engine: None,
        });
    }
}

fn check_thresholds(spec: &DestinationSpec) -> Result<(), Refusal> {
    if spec.lower_threshold > spec.upper_threshold { refuse(RefusalCode::ERANGE) } else { Ok(()) }
}

fn zero(row: &mut ServiceRow) {
    row.counters = Counters::default();
    row.destinations.iter_mut().for_each(|row| row.counters = Counters::default());
}

fn count(counters: &mut Counters, bytes: u64) {
    counters.connections += 1;
    counters.in_packets += 1;
    counters.in_bytes += bytes;
}

impl Backend for Table {
    fn call(&mut self, request: Request, each: &mut dyn FnMut(Reply)) -> Result<(), ClientError> {
        let pieces = self.answer(request).map_err(ClientError::Failed)?;
        pieces.into_iter().for_each(each);
        Ok(())
    }
}
