//! Replies of the daemon.

use super::Refusal;
use serde::de::DeserializeOwned;
use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
use std::sync::Arc;

/// One line from the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// One result per command of `Apply`, in order.
    Applied(Vec<Result<(), Refusal>>),
    /// Rows of a query's answer, in order.
    Rows(Rows),
    /// The whole request was refused.
    Failed(Refusal),
    /// The end of the answer.
    End,
}

/// Rows of any type. Rows of a query become JSON when they are written, on the session's thread; received rows stay
/// text until [`Self::read`].
#[derive(Clone)]
pub struct Rows(Arc<dyn RowList>);

impl Rows {
    /// Rows to write.
    pub fn of<R: Serialize + Send + Sync + 'static>(rows: Vec<R>) -> Self {
        Rows(Arc::new(rows))
    }

    /// Parses the rows as their own type.
    ///
    /// # Errors
    /// If they have another type.
    pub fn read<R: DeserializeOwned>(&self) -> serde_json::Result<Vec<R>> {
        serde_json::from_str(self.0.json()?.get())
    }
}

trait RowList: Send + Sync {
    fn json(&self) -> serde_json::Result<Box<RawValue>>;
}

impl<R: Serialize + Send + Sync> RowList for Vec<R> {
    fn json(&self) -> serde_json::Result<Box<RawValue>> {
        to_raw_value(self)
    }
}

impl RowList for Box<RawValue> {
    fn json(&self) -> serde_json::Result<Box<RawValue>> {
        Ok(self.clone())
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json().map_err(Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Rows(Arc::new(Box::<RawValue>::deserialize(deserializer)?)))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.json() {
            Ok(json) => out.write_str(json.get()),
            Err(error) => error.fmt(out),
        }
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        match (self.0.json(), other.0.json()) {
            (Ok(own), Ok(other)) => own.get() == other.get(),
            _ => false,
        }
    }
}
