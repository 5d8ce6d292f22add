//! The ledger's side of the story, read over gRPC from the tenant's client pod with its ServiceAccount token.

use serde_json::Value;
use tokio::process::Command;

use crate::TestTenant;

/// What a call answered: the message as JSON, or grpcurl's description of the error.
pub type Answer = Result<Value, String>;

impl TestTenant {
    /// Calls a method of package `payplane.v1`; `proto` is the file that declares its service.
    pub async fn call(&self, proto: &str, method: &str, request: &Value) -> Answer {
        self.call_with(proto, method, request, "$(cat token)").await
    }

    /// The same with another token, which the pod's shell expands.
    pub async fn call_with(&self, proto: &str, method: &str, request: &Value, token: &str) -> Answer {
        let script = format!(
            "cd /var/run/secrets/payplane && exec grpcurl -max-time 20 -emit-defaults -cacert ca.crt \
             -H \"authorization: Bearer {token}\" -import-path /proto -proto payplane/v1/{proto} -d \"$0\" \
             \"$(cat endpoint)\" payplane.v1.{method}"
        );
        let mut command = Command::new("kubectl");
        command.args(["exec", "-n", &self.name, "client", "--", "sh", "-c", &script, &request.to_string()]);
        let output = command.output().await.expect("kubectl did not run");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&output.stdout).expect("grpcurl printed no JSON"))
    }

    /// Every payment that the ledger has for the tenant, refused ones not among them.
    pub async fn ledger_payments(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut token = String::new();
        loop {
            let request = serde_json::json!({"page_size": 100, "page_token": token});
            let page =
                self.call("payment_service.proto", "PaymentService/ListPayments", &request).await.unwrap();
            all.extend(page["payments"].as_array().cloned().unwrap_or_default());
            token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                return all;
            }
        }
    }

    /// Balance of a wallet of a custom resource.
    pub async fn balance(&self, wallet: &str) -> Value {
        let request = serde_json::json!({"wallet": {"name": format!("{}/{wallet}", self.name)}});
        let answer = self.call("wallet_service.proto", "WalletService/GetWallet", &request).await.unwrap();
        answer["wallet"]["balance"].clone()
    }

    /// Fails unless debits equal credits in every currency; returns how many transfers were summed.
    pub async fn assert_books_balance(&self) -> u64 {
        let answer =
            self.call("ledger_service.proto", "LedgerService/GetTrialBalance", &serde_json::json!({})).await;
        let lines = answer.unwrap()["lines"].as_array().cloned().unwrap_or_default();
        assert!(!lines.is_empty(), "the trial balance has no line");
        let mut transfers = 0;
        for line in lines {
            let difference = line["difference"].as_str().unwrap();
            assert!(difference.chars().all(|c| c == '0' || c == '.'), "the books do not balance: {line}");
            transfers += line["transfers"].as_str().unwrap().parse::<u64>().unwrap();
        }
        transfers
    }
}
