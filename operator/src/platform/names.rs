//! The names of a Platform's objects, all from the Platform's own name, which has at most 40 characters.

use crate::meta::short_hash;

/// Port of the engine's gRPC API.
pub const GRPC_PORT: i32 = 8443;
/// Port of the engine's metrics and probes.
pub const HTTP_PORT: i32 = 8080;
/// Port of Redis.
pub const REDIS_PORT: i32 = 6379;
/// Port of PostgreSQL.
pub const POSTGRES_PORT: i32 = 5432;

/// Names of one Platform's objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// The Platform's namespace.
    pub namespace: String,
    /// The Platform's name.
    pub platform: String,
}

impl Names {
    /// Certificate authority: a Secret with certificate and key, and a ConfigMap with the certificate.
    pub fn ca(&self) -> String {
        format!("{}-ca", self.platform)
    }

    /// Deployment, Service, ServiceAccount and PodDisruptionBudget of the engine.
    pub fn engine(&self) -> String {
        format!("{}-engine", self.platform)
    }

    /// Secret with the engine's certificate.
    pub fn engine_tls(&self) -> String {
        format!("{}-engine-tls", self.platform)
    }

    /// StatefulSet, Service and ConfigMap of PostgreSQL.
    pub fn postgres(&self) -> String {
        format!("{}-postgres", self.platform)
    }

    /// Secret with PostgreSQL's certificate.
    pub fn postgres_tls(&self) -> String {
        format!("{}-postgres-tls", self.platform)
    }

    /// Claim of PostgreSQL's volume, as its StatefulSet names it.
    pub fn postgres_claim(&self) -> String {
        format!("data-{}-0", self.postgres())
    }

    /// Pod of PostgreSQL, as its StatefulSet names it.
    pub fn postgres_pod(&self) -> String {
        format!("{}-0", self.postgres())
    }

    /// Job that brings the database to the schema of new engines.
    pub fn migrate(&self, hash: &str) -> String {
        format!("{}-migrate-{hash}", self.platform)
    }

    /// Job of the major upgrade that began at this millisecond.
    pub fn upgrade(&self, began: i64) -> String {
        format!("{}-upgrade-{began:x}", self.platform)
    }

    /// Job that brings back what was before it.
    pub fn undo_upgrade(&self, began: i64) -> String {
        format!("{}-undo-{began:x}", self.platform)
    }

    /// Job that ends the engine's former login after a change of logins.
    pub fn retire(&self, rotation: i32) -> String {
        format!("{}-retire-login-{rotation}", self.platform)
    }

    /// Deployment, Service and Secret of Redis.
    pub fn redis(&self) -> String {
        format!("{}-redis", self.platform)
    }

    /// RedisReplication that another operator runs, and ConfigMap of its settings. Not called as the managed one: the Services
    /// that the operator makes are called after it, and the mode can change.
    pub fn redis_set(&self) -> String {
        format!("{}-redis-set", self.platform)
    }

    /// Secret with the certificate of its servers.
    pub fn redis_set_tls(&self) -> String {
        format!("{}-tls", self.redis_set())
    }

    /// Service of the primary, which that operator makes.
    pub fn redis_primary(&self) -> String {
        format!("{}-master", self.redis_set())
    }

    /// Secret with Redis' certificate.
    pub fn redis_tls(&self) -> String {
        format!("{}-redis-tls", self.platform)
    }

    /// Secret by which the database's owner connects.
    pub fn database_owner(&self) -> String {
        format!("{}-database-owner", self.platform)
    }

    /// Secret by which the engine connects.
    pub fn database_app(&self) -> String {
        format!("{}-database-app", self.platform)
    }

    /// Host of a Service, as other namespaces reach it.
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }

    /// Host and port of the engine's gRPC API.
    pub fn endpoint(&self) -> String {
        format!("{}:{GRPC_PORT}", self.host(&self.engine()))
    }

    /// Every name by which a Service is reached.
    pub fn dns_names(&self, service: &str) -> Vec<String> {
        vec![
            service.to_owned(),
            format!("{service}.{}", self.namespace),
            format!("{service}.{}.svc", self.namespace),
            format!("{service}.{}.svc.cluster.local", self.namespace),
            "localhost".to_owned(),
        ]
    }

    /// The engine's role in a database that others use too: two Platforms on one server never share it.
    pub fn external_role(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let name: String = self.platform.chars().map(plain).collect();
        let hash = short_hash([self.namespace.as_bytes(), self.platform.as_bytes()]);
        format!("payplane_app_{name}_{}", &hash[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(platform: &str) -> Names {
        Names { namespace: "pay".into(), platform: platform.into() }
    }

    #[test]
    fn certificates_are_for_every_name_of_the_service() {
        assert_eq!(
            names("main").dns_names("main-engine"),
            [
                "main-engine",
                "main-engine.pay",
                "main-engine.pay.svc",
                "main-engine.pay.svc.cluster.local",
                "localhost",
            ]
        );
        assert_eq!(names("main").endpoint(), "main-engine.pay.svc:8443");
    }

    #[test]
    fn a_role_fits_postgres_and_is_one_platforms_own() {
        let longest = names(&"x".repeat(40)).external_role();
        assert!(longest.len() <= 63, "{longest}");
        assert_ne!(names("a-b").external_role(), names("a.b").external_role());
        assert!(names("a-b").external_role().starts_with("payplane_app_a_b_"));
    }
}
