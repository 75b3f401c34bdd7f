//! The file's shape: which keys each table has and of which type. What the values mean is checked
//! afterwards, so numbers are as wide and texts as free here as TOML lets them be.

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// A key that may be left out, with its place in the text.
pub(super) type Field<T> = Option<Spanned<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectorTable {
    pub socket: Field<String>,
    #[serde(default)]
    pub vips: Vec<Spanned<String>>,
    pub unserved: Field<String>,
    pub log: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dpdk {
    pub workers: Field<i64>,
    pub cores: Field<Vec<Spanned<i64>>>,
    pub control_core: Field<i64>,
    pub no_huge: Option<bool>,
    pub memory_mb: Field<i64>,
    #[serde(default)]
    pub vdevs: Vec<Spanned<String>>,
    #[serde(default)]
    pub arguments: Vec<Spanned<String>>,
    pub file_prefix: Field<String>,
    pub mbufs: Field<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tables {
    pub connections: Field<i64>,
    pub connections_ipv6: Field<i64>,
    pub services: Field<i64>,
    pub destinations: Field<i64>,
    pub templates: Field<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    pub name: Spanned<String>,
    pub device: Spanned<String>,
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    pub gateway: Field<String>,
    pub gateway_ipv6: Field<String>,
    pub mtu: Field<i64>,
    pub promiscuous: Option<bool>,
    pub side: Field<String>,
    pub rx_descriptors: Field<i64>,
    pub tx_descriptors: Field<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Neighbour {
    pub port: Spanned<String>,
    pub address: Spanned<String>,
    pub mac: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub destination: Spanned<String>,
    pub via: Field<String>,
    pub port: Field<String>,
    pub mtu: Field<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timeouts {
    pub tcp: Field<i64>,
    pub tcp_fin: Field<i64>,
    pub udp: Field<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tcp {
    /// Of any type, so that one fault says all that is allowed.
    pub mss_clamp: Field<toml::Value>,
}

/// Any name: which exist is the business of [`Sysctls`](crate::model::Sysctls).
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Sysctl(pub BTreeMap<Spanned<String>, Spanned<Scalar>>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub port: Field<String>,
    pub protocol: Field<String>,
    pub source: Field<String>,
    pub destination: Field<String>,
    pub source_ports: Field<String>,
    pub destination_ports: Field<String>,
    pub mark: Spanned<i64>,
}

/// Without its destinations: they are tables of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub protocol: Field<String>,
    pub address: Field<String>,
    pub fwmark: Field<i64>,
    pub family: Field<String>,
    pub scheduler: Field<String>,
    #[serde(default)]
    pub scheduler_flags: Vec<Spanned<String>>,
    pub persistence: Field<i64>,
    pub netmask: Field<Scalar>,
    pub one_packet: Field<bool>,
    pub persistence_engine: Field<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Destination {
    pub address: Spanned<String>,
    pub method: Field<String>,
    pub weight: Field<i64>,
    pub upper_threshold: Field<i64>,
    pub lower_threshold: Field<i64>,
    pub tunnel: Field<Tunnel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tunnel {
    #[serde(rename = "type")]
    pub kind: Field<String>,
    pub port: Field<i64>,
    pub checksum: Field<String>,
}

/// A value that may be written as a number or as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Integer(i64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Integer(number) => number.fmt(out),
            Scalar::Text(text) => text.fmt(out),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an integer or a string")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}
