//! The director, as the commands see it.

use crate::api::{Client, ClientError, RefusalCode, Reply, Request};
use std::path::PathBuf;

/// Answers requests: the director, or a test.
pub trait Backend {
    /// Sends one request and hands every piece of the answer to `each`.
    ///
    /// # Errors
    /// As [`Client::call`].
    fn call(&mut self, request: Request, each: &mut dyn FnMut(Reply)) -> Result<(), ClientError>;
}

/// A director that is connected to when it is first asked for something: a wrong command line gets
/// its message whether or not a director runs.
#[derive(Debug)]
pub struct LazyClient {
    path: PathBuf,
    client: Option<Client>,
}

impl LazyClient {
    pub fn new(path: PathBuf) -> Self {
        LazyClient { path, client: None }
    }
}

impl Backend for LazyClient {
    fn call(&mut self, request: Request, each: &mut dyn FnMut(Reply)) -> Result<(), ClientError> {
        let client = match &mut self.client {
            Some(client) => client,
            absent => absent.insert(Client::connect(&self.path)?),
        };
        let outcome = client.call(request.clone(), &mut *each);
        match outcome {
            // The session was idle for too long. The director has not read the request.
            Err(ClientError::Failed(refusal)) if refusal.code == RefusalCode::ETIMEDOUT => {
                self.client.insert(Client::connect(&self.path)?).call(request, each)
            }
            outcome => outcome,
        }
    }
}
