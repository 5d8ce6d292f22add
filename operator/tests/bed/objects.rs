//! The custom resources of the Platform as a Backup's Job copies them, and as they are brought back: listed with the rights of
//! that step alone, kept and laid out by the engine's program, and applied by kubectl.

use std::{path::PathBuf, process::Command};

use payplane_operator::objects::Said;
use serde_json::Value;

use super::{
    ISSUER, PLATFORM, SYSTEM, Site,
    api_server::tool,
    ledger::engine_program,
    process::{Folder, output},
};

/// Documents, sealed in a folder.
pub struct Objects {
    folder: Folder,
}

impl Objects {
    pub fn new() -> Self {
        let folder = Folder::new();
        folder.write("keys/key", &output(engine_program().arg("new-backup-key")));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lists and keeps what is there now. How many objects these are.
    pub async fn store(&self, site: &Site, name: &str) -> u64 {
        let token = site.token("payplane-operator-backup", ISSUER).await;
        let config = self.folder.write("backup.conf", &site.api.kubeconfig(&token));
        let mut list = Command::new(env!("CARGO_BIN_EXE_payplane-operator"));
        list.env("KUBECONFIG", config).args(["copy-objects", &format!("--platform={SYSTEM}/{PLATFORM}")]);
        output(list.arg("--to").arg(self.path("listed.json")).arg("--summary-file").arg(self.path("said")));
        let said: Said = serde_json::from_slice(&std::fs::read(self.path("said")).unwrap()).unwrap();
        // The step that copies the ledger writes this down.
        self.folder.write(&format!("copies/.by/{name}"), "u-1");
        let mut store = engine_program();
        store.args(["store-objects", "--uid=u-1", "--name", name, "--from"]).arg(self.path("listed.json"));
        output(store.arg("--folder").arg(self.path("copies")).arg("--keys-dir").arg(self.path("keys")));
        said.objects.unwrap_or_else(|| panic!("{said:?}"))
    }

    /// Lays them out again.
    pub fn fetch(&self, name: &str) -> (PathBuf, Value) {
        let to = self.path("fetched.json");
        let mut fetch = engine_program();
        fetch.args(["fetch-objects", "--must-be-sealed", "--name", name, "--to"]).arg(&to);
        output(fetch.arg("--folder").arg(self.path("copies")).arg("--keys-dir").arg(self.path("keys")));
        let document = serde_json::from_slice(&std::fs::read(&to).unwrap()).unwrap();
        (to, document)
    }

    /// Applies what was laid out, as a person does. Whether all of it was accepted.
    pub fn apply(&self, site: &Site) -> bool {
        let config = self.folder.write("admin.conf", &site.api.kubeconfig("admin"));
        let mut kubectl = Command::new(tool("kube", "kube"));
        kubectl.env("KUBECONFIG", config).args(["kubectl", "apply", "-f"]).arg(self.path("fetched.json"));
        let output = kubectl.output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stderr));
        output.status.success()
    }
}
