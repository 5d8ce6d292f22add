//! What each method needs, by its full name. What is not in the table is refused; a test compares the table with the
//! descriptors, so a new method without an entry fails there.

use crate::auth::Role;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Open,
    /// Callers whose role includes this one.
    Needs(Role),
    /// The same, for what joins the tenant's line: refused before it is read while that is nearly full.
    Joins(Role),
}

const TABLE: &[(&str, Access)] = &[
    ("/payplane.v1.PaymentService/CreatePayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/AuthorizePayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/CapturePayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/VoidPayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/HandOverPayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/SettlePayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/FailPayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/RefundPayment", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/ApproveRefund", Access::Joins(Role::Approver)),
    ("/payplane.v1.PaymentService/RejectRefund", Access::Joins(Role::Approver)),
    ("/payplane.v1.PaymentService/ReversePayment", Access::Joins(Role::Operator)),
    // Items need what their own methods need; see `ask`.
    ("/payplane.v1.PaymentService/CreatePayments", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/CreateLinked", Access::Joins(Role::Operator)),
    ("/payplane.v1.PaymentService/SplitPayment", Access::Joins(Role::Operator)),
    // Waits for room, item by item.
    ("/payplane.v1.PaymentService/StreamPayments", Access::Needs(Role::Operator)),
    ("/payplane.v1.PaymentService/GetPayment", Access::Needs(Role::Viewer)),
    ("/payplane.v1.PaymentService/ListPayments", Access::Needs(Role::Viewer)),
    ("/payplane.v1.PaymentService/GetRefund", Access::Needs(Role::Viewer)),
    ("/payplane.v1.PaymentService/ListRefunds", Access::Needs(Role::Viewer)),
    ("/payplane.v1.PaymentService/WatchPayments", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/CreateWallet", Access::Needs(Role::Operator)),
    // Anything but freezing needs more; see the handler.
    ("/payplane.v1.WalletService/UpdateWallet", Access::Needs(Role::Operator)),
    ("/payplane.v1.WalletService/PutWalletMetadata", Access::Needs(Role::Operator)),
    ("/payplane.v1.WalletService/GetWallet", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/ListWallets", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/GetBalances", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/GetBalanceAt", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/GetStatement", Access::Needs(Role::Viewer)),
    ("/payplane.v1.WalletService/GetWalletWithHolds", Access::Needs(Role::Viewer)),
    // The platform's own settings need the platform role; see the handler.
    ("/payplane.v1.SettingsService/PutSettings", Access::Needs(Role::Admin)),
    ("/payplane.v1.SettingsService/GetSettings", Access::Needs(Role::Viewer)),
    ("/payplane.v1.SettingsService/GetEffectiveParameters", Access::Needs(Role::Viewer)),
    ("/payplane.v1.PeopleService/PutPersonalData", Access::Needs(Role::Admin)),
    ("/payplane.v1.PeopleService/GetPersonalData", Access::Needs(Role::Admin)),
    ("/payplane.v1.PeopleService/ErasePersonalData", Access::Needs(Role::Admin)),
    ("/payplane.v1.TenantService/PutTenant", Access::Needs(Role::Platform)),
    ("/payplane.v1.TenantService/GetTenant", Access::Needs(Role::Platform)),
    ("/payplane.v1.TenantService/GetTenantHoldings", Access::Needs(Role::Platform)),
    ("/payplane.v1.LedgerService/GetTrialBalance", Access::Needs(Role::Viewer)),
    ("/payplane.v1.LedgerService/GetHead", Access::Needs(Role::Viewer)),
    ("/payplane.v1.LedgerService/GetArchive", Access::Needs(Role::Platform)),
    ("/payplane.v1.LedgerService/VerifyLedger", Access::Needs(Role::Platform)),
    ("/payplane.v1.LedgerService/GetHoldSummary", Access::Needs(Role::Platform)),
    ("/payplane.v1.LedgerService/ExportTenant", Access::Needs(Role::Admin)),
    ("/payplane.v1.BillingService/PreviewInvoice", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/CloseInvoice", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/GetInvoice", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/ListInvoices", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/CollectInvoice", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/PutCollector", Access::Needs(Role::Treasury)),
    ("/payplane.v1.BillingService/PutBillingSuspension", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/IssueCreditNote", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/ListCreditNotes", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/GrantPrepaidCredit", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/ListPrepaidCredits", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/RecordUsage", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/QueryUsage", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/GetInvoiceDocument", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/AgreePlan", Access::Needs(Role::Platform)),
    ("/payplane.v1.BillingService/GetStatementDocument", Access::Needs(Role::Viewer)),
    ("/payplane.v1.BillingService/ListReachedThresholds", Access::Needs(Role::Viewer)),
    ("/payplane.v1.EventService/GetEventStatus", Access::Needs(Role::Platform)),
    ("/payplane.v1.EventService/ReplayEvents", Access::Needs(Role::Platform)),
    ("/payplane.v1.EventService/ListDeadLetters", Access::Needs(Role::Platform)),
    ("/payplane.v1.EventService/RetryDeadLetter", Access::Needs(Role::Platform)),
    ("/payplane.v1.EventService/DropDeadLetter", Access::Needs(Role::Platform)),
    ("/payplane.v1.TokenService/RevokeToken", Access::Needs(Role::Platform)),
    ("/payplane.v1.ApiKeyService/PutApiKey", Access::Needs(Role::Platform)),
    ("/payplane.v1.ApiKeyService/ListApiKeys", Access::Needs(Role::Platform)),
    ("/payplane.v1.ApiKeyService/EndApiKey", Access::Needs(Role::Platform)),
    ("/grpc.health.v1.Health/Check", Access::Open),
    ("/grpc.health.v1.Health/List", Access::Open),
    ("/grpc.health.v1.Health/Watch", Access::Open),
    // Served only with --reflection.
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Open),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::Open),
];

/// The table's own spelling of a method and what it needs. The path must match byte for byte.
pub fn access(path: &str) -> Option<(&'static str, Access)> {
    TABLE.iter().find(|(known, _)| *known == path).copied()
}

/// Methods whose calls bring many items, of which each is read, checked and asked for at once.
const OF_MANY_ITEMS: &[&str] = &[
    "/payplane.v1.PaymentService/CreatePayments",
    "/payplane.v1.PaymentService/StreamPayments",
    "/payplane.v1.BillingService/RecordUsage",
];

/// Whether a call may take milliseconds before anything is waited for.
pub fn has_many_items(method: &str) -> bool {
    OF_MANY_ITEMS.contains(&method)
}

/// The services of the API, for health reports.
pub fn service_names() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&str> = TABLE.iter().filter_map(|(path, _)| path.split('/').nth(1)).collect();
    names.retain(|name| name.starts_with("payplane."));
    names.dedup();
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use payplane_proto::FILE_DESCRIPTOR_SET;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_has_an_entry_and_every_entry_a_method() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                let path = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                methods.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
        methods.sort();
        let mut table: Vec<&str> = TABLE.iter().map(|(path, _)| *path).collect();
        table.retain(|path| path.starts_with("/payplane."));
        table.sort_unstable();
        assert_eq!(methods, table);
        assert!(OF_MANY_ITEMS.iter().all(|method| table.contains(method)));
        assert!(
            TABLE.iter().all(|(path, access)| path.starts_with("/payplane.") == (*access != Access::Open))
        );
    }

    #[test]
    fn only_the_exact_path_is_known() {
        let path = "/payplane.v1.PaymentService/CreatePayment";
        assert!(access(path).is_some());
        for other in [&path[1..], &path.to_lowercase(), &format!("/{path}"), &format!("{path}/"), ""] {
            assert_eq!(access(other), None, "{other}");
        }
    }
}
