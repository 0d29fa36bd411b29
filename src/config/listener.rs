//! Listeners: what is bound, and what clients are told to connect to.
//!
//! Kafka: `SocketServerConfigs`, `AbstractKafkaConfig.effectiveAdvertisedBrokerListeners`.

use std::collections::BTreeMap;
use std::fmt;

use super::error::ConfigError;
use super::source::Settings;
use super::value::Values;

/// A host and a port. An IPv6 address stands without brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Empty for every interface.
    pub host: String,
    /// 0 for any free port.
    pub port: u16,
}

/// One address on which clients are served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// In upper case.
    pub name: String,
    pub bind: Endpoint,
    /// What Metadata says to clients of this listener. A port of 0 is the port that was bound.
    pub advertised: Endpoint,
}

/// The listeners of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listeners {
    pub client: Vec<Listener>,
    /// Names of controller listeners. They are not bound: the controller is in this process.
    pub controller: Vec<String>,
    /// One of `client`.
    pub inter_broker: String,
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOLS: &str = "listener.security.protocol.map";
const CONTROLLER_NAMES: &str = "controller.listener.names";
const INTER_BROKER: &str = "inter.broker.listener.name";

impl Endpoint {
    /// Whether it stands for every interface, so that no client can connect to it by this name.
    #[must_use]
    pub fn is_every_interface(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    /// Whether the two cannot be bound to one port. "Every interface" is one of IPv4 or one of IPv6.
    fn overlaps(&self, other: &Self) -> bool {
        let same_family = self.host.contains(':') == other.host.contains(':');
        self.host == other.host || (same_family && (self.is_every_interface() || other.is_every_interface()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Listeners {
    /// # Errors
    ///
    /// Names that are unknown or stand twice, addresses that are malformed or cannot be advertised, protocols not supported.
    pub fn from_settings(settings: &Settings, values: &Values, host_name: &str) -> Result<Self, ConfigError> {
        let reader = Reader { settings };
        let controller: Vec<String> = values
            .list(CONTROLLER_NAMES)
            .iter()
            .map(|name| name.to_uppercase())
            .collect();
        let protocols = reader.protocols(values.text(PROTOCOLS).unwrap_or_default())?;
        let mut bound = reader.endpoints(LISTENERS, values.list(LISTENERS))?;
        bound.retain(|(name, _)| !controller.contains(name));
        if bound.is_empty() {
            return Err(reader.conflict(
                LISTENERS,
                "no listener is left for clients: add one, like PLAINTEXT://:9092",
            ));
        }
        reader.check_ports(&bound)?;
        let mut advertised = reader.endpoints(ADVERTISED, values.list(ADVERTISED))?;
        advertised.retain(|(name, _)| !controller.contains(name));
        reader.check_advertised(&bound, &advertised)?;
        let mut client = Vec::with_capacity(bound.len());
        for (name, bind) in bound {
            reader.check_protocol(&name, &protocols)?;
            let given = advertised.iter().find(|(advertised_name, _)| *advertised_name == name);
            let advertised = match given {
                Some((_, endpoint)) => endpoint.clone(),
                None if bind.is_every_interface() => Endpoint {
                    host: host_name.to_owned(),
                    port: bind.port,
                },
                None => bind.clone(),
            };
            client.push(Listener { name, bind, advertised });
        }
        let inter_broker = reader.inter_broker(&client, values.text(INTER_BROKER))?;
        Ok(Self {
            client,
            controller,
            inter_broker,
        })
    }
}

struct Reader<'a> {
    settings: &'a Settings,
}

impl Reader<'_> {
    fn conflict(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::Conflict {
            origin: self.settings.origin(key),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// The names and addresses of a list of `NAME://HOST:PORT`; no name stands twice.
    fn endpoints(&self, key: &str, list: &[String]) -> Result<Vec<(String, Endpoint)>, ConfigError> {
        let mut endpoints: Vec<(String, Endpoint)> = Vec::with_capacity(list.len());
        for text in list {
            let (name, endpoint) = parse_endpoint(text).ok_or_else(|| {
                self.conflict(
                    key,
                    format!("{text} is not of the form NAME://HOST:PORT, like PLAINTEXT://127.0.0.1:9092"),
                )
            })?;
            if endpoints.iter().any(|(earlier, _)| *earlier == name) {
                return Err(self.conflict(key, format!("the listener name {name} stands twice: give each its own")));
            }
            endpoints.push((name, endpoint));
        }
        Ok(endpoints)
    }

    /// The protocol of each listener name.
    fn protocols(&self, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut protocols = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((name, protocol)) = pair.split_once(':') else {
                return Err(self.conflict(PROTOCOLS, format!("{pair} is not of the form NAME:PROTOCOL")));
            };
            let (name, protocol) = (name.trim().to_uppercase(), protocol.trim().to_uppercase());
            if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
                let problem = format!("{protocol} is no protocol: give PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL");
                return Err(self.conflict(PROTOCOLS, problem));
            }
            protocols.insert(name, protocol);
        }
        Ok(protocols)
    }

    fn check_protocol(&self, name: &str, protocols: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        match protocols.get(name).map(String::as_str) {
            Some("PLAINTEXT") => Ok(()),
            Some(protocol) => {
                let problem = format!(
                    "listener {name} uses {protocol}, and only PLAINTEXT is supported yet: remove it or map it to PLAINTEXT"
                );
                Err(self.conflict(LISTENERS, problem))
            }
            None => {
                let problem = format!("listener {name} has no protocol: add {name}:PLAINTEXT to {PROTOCOLS}");
                Err(self.conflict(LISTENERS, problem))
            }
        }
    }

    /// One port serves two listeners only on two addresses.
    fn check_ports(&self, bound: &[(String, Endpoint)]) -> Result<(), ConfigError> {
        for (index, (name, endpoint)) in bound.iter().enumerate() {
            let same_port = |other: &&(String, Endpoint)| other.1.port == endpoint.port && endpoint.port != 0;
            for (other_name, other) in bound[index + 1..].iter().filter(same_port) {
                if other.overlaps(endpoint) {
                    let problem = format!(
                        "{name} and {other_name} both want port {}: give one another port",
                        endpoint.port
                    );
                    return Err(self.conflict(LISTENERS, problem));
                }
            }
        }
        Ok(())
    }

    fn check_advertised(
        &self,
        bound: &[(String, Endpoint)],
        advertised: &[(String, Endpoint)],
    ) -> Result<(), ConfigError> {
        for (name, endpoint) in advertised {
            if !bound.iter().any(|(bound_name, _)| bound_name == name) {
                let names: Vec<&str> = bound.iter().map(|(bound_name, _)| bound_name.as_str()).collect();
                let problem = format!("{name} is no name of {LISTENERS}: give one of {}", names.join(", "));
                return Err(self.conflict(ADVERTISED, problem));
            }
            if endpoint.is_every_interface() {
                let problem = format!(
                    "clients cannot connect to {name}://{endpoint}: give the host name or address that they use"
                );
                return Err(self.conflict(ADVERTISED, problem));
            }
        }
        Ok(())
    }

    fn inter_broker(&self, client: &[Listener], name: Option<&str>) -> Result<String, ConfigError> {
        let Some(name) = name.map(str::to_uppercase) else {
            let plaintext = client.iter().find(|listener| listener.name == "PLAINTEXT");
            return Ok(plaintext.unwrap_or(&client[0]).name.clone());
        };
        if client.iter().any(|listener| listener.name == name) {
            Ok(name)
        } else {
            Err(self.conflict(
                INTER_BROKER,
                format!("{name} is no listener of this broker: add it to {LISTENERS}"),
            ))
        }
    }
}

/// Reads `NAME://HOST:PORT`, `NAME://[IPV6]:PORT`, `NAME://:PORT`.
fn parse_endpoint(text: &str) -> Option<(String, Endpoint)> {
    let (name, address) = text.split_once("://")?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => host,
    };
    let is_host = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%'));
    if !is_name || !is_host {
        return None;
    }
    Some((
        name.to_uppercase(),
        Endpoint {
            host: host.to_owned(),
            port: port.parse().ok()?,
        },
    ))
}
