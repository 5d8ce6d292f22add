//! The engines that are known now, by Platform. The Platform's reconciler alone adds and removes them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Address, Engine, EngineError, Token, channel};

/// Namespace and name of a Platform.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PlatformKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Connections by Platform.
#[derive(Debug)]
pub struct Engines {
    known: RwLock<HashMap<PlatformKey, Arc<Engine>>>,
    token: Token,
    endpoint_override: Option<String>,
}

impl Engines {
    /// None are known at first.
    pub fn new(token: Token, endpoint_override: Option<String>) -> Self {
        Self { known: RwLock::default(), token, endpoint_override }
    }

    /// The engines of a Platform.
    pub fn get(&self, platform: &PlatformKey) -> Option<Arc<Engine>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(platform).cloned()
    }

    /// Makes a Platform's engines known. True if they were not, or were elsewhere.
    ///
    /// # Errors
    /// When address or certificate cannot be used.
    pub fn set(&self, platform: PlatformKey, address: Address) -> Result<bool, EngineError> {
        if self.get(&platform).is_some_and(|engine| *engine.address() == address) {
            return Ok(false);
        }
        let reach = self.endpoint_override.clone().unwrap_or_else(|| address.endpoint.clone());
        let engine = channel::connect(address, &reach, self.token.clone())?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(platform, Arc::new(engine));
        Ok(true)
    }

    /// Forgets a Platform's engines.
    pub fn remove(&self, platform: &PlatformKey) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(platform);
    }
}
