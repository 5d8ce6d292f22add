//! What people do with each kind and wait for, from the first `apply` to the end, and what the ledger must have then. Each
//! life has a name of its own, so that many can be told apart on one bed.

use k8s_openapi::{
    api::{
        core::v1::{LimitRange, ResourceQuota},
        networking::v1::NetworkPolicy,
        rbac::v1::RoleBinding,
    },
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{DynamicObject, NamespaceResourceScope},
};
use payplane_proto::v1::{self as proto, settings_scope::Scope, wallet_ref::Ref};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bed::{
    Bed, Books, Ledger, PLATFORM, SYSTEM, Site,
    site::{TestTenant, condition, create, dollar, is_true, wait},
    switch::Call,
};

/// Who takes what tenants owe.
const HOUSE: &str = "house";
/// 49.00 and 8.1 % of it.
const INVOICE_CENTS: i64 = 5_297;

/// A kind with what belongs to its life.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Life {
    /// Asked for, approved by somebody else, paid back.
    Refund,
    /// Made, frozen, deleted.
    Wallet,
    /// Onboarded.
    Tenant,
    /// Set, and taken away.
    TimeoutPolicy,
    /// A period is closed, and its invoice collected.
    TenantBilling,
    /// One scheduled payment.
    StandingOrder,
}

impl Life {
    /// The dear one last: it waits for a whole minute of the clock.
    pub const ALL: [Self; 6] = [
        Self::Refund,
        Self::Wallet,
        Self::Tenant,
        Self::TimeoutPolicy,
        Self::TenantBilling,
        Self::StandingOrder,
    ];

    /// Whether the operator's write belongs to the life of this name.
    pub fn writes(self, name: &str, call: &Call) -> bool {
        let kinds: &[&str] = match self {
            Self::Refund => &["refunds", "approvals"],
            Self::Wallet => &["wallets"],
            Self::Tenant => &[
                "tenants",
                "namespaces",
                "configmaps",
                "networkpolicies",
                "limitranges",
                "resourcequotas",
                "rolebindings",
            ],
            Self::TimeoutPolicy => &["timeoutpolicies"],
            Self::TenantBilling => &["tenantbillings"],
            Self::StandingOrder => &["standingorders", "payments"],
        };
        let is_of_kind = call.kind.split('/').next().is_some_and(|kind| kinds.contains(&kind));
        // What is created has no name in its path.
        let is_its_own = call.name.starts_with(name) || call.namespace == name || call.name.is_empty();
        call.is_write() && is_of_kind && is_its_own
    }

    /// Whether the operator's call to the engine belongs to a life of this kind. Nothing else goes on meanwhile.
    pub fn calls(self, call: &Call) -> bool {
        let methods: &[&str] = match self {
            Self::Refund => &["RefundPayment", "GetRefund", "ApproveRefund", "GetPayment"],
            Self::Wallet => &["CreateWallet", "UpdateWallet", "GetWallet", "PutWalletMetadata"],
            Self::Tenant => &["PutTenant"],
            Self::TimeoutPolicy => &["GetSettings", "PutSettings", "GetHoldSummary"],
            Self::TenantBilling => {
                &["PreviewInvoice", "CloseInvoice", "ListInvoices", "CollectInvoice", "PutBillingSuspension"]
            }
            Self::StandingOrder => &["CreatePayment"],
        };
        call.verb == "CALL" && methods.contains(&call.kind.as_str())
    }
}

/// The people of one bed.
pub struct People<'a> {
    pub site: &'a Site,
    pub ledger: &'a Ledger,
    pub tenant: &'a TestTenant,
}

impl People<'_> {
    /// What every life stands on: refunds from two dollars wait for approval, and somebody takes what tenants owe.
    pub async fn settle_in(bed: &Bed) {
        let from = proto::Money { amount: "2.00".into(), currency: "USD".into() };
        let setting = proto::Setting {
            name: proto::ParameterName::RefundApprovalFrom.into(),
            value: Some(proto::setting::Value::Amount(from)),
            ..Default::default()
        };
        let scope = proto::SettingsScope { scope: Some(Scope::Tenant(proto::TenantScope {})) };
        let request = proto::PutSettingsRequest { scope: Some(scope), settings: vec![setting] };
        bed.books().settings_client().put_settings(request).await.unwrap();
        let house = bed.site.tenant(HOUSE).await;
        let spec = json!({"currency": "USD", "metadata": {"payplane.io/collects": "billing"}});
        house.create("Wallet", "revenue", spec).await;
        wait(&house.wallets(), "revenue", "is ready", |wallet| is_true(wallet, "Ready")).await;
    }

    /// What has to be there before a life begins.
    pub async fn prepare(&self, life: Life, name: &str) {
        match life {
            Life::Refund => {
                let mut spec = dollar();
                spec["amount"] = json!("5.00");
                self.tenant.create("Payment", name, spec).await;
                self.tenant.completed(name).await;
            }
            Life::TenantBilling => self.site.tenant(name).await.fund("1000.00").await,
            Life::Wallet | Life::Tenant | Life::TimeoutPolicy | Life::StandingOrder => {}
        }
    }

    /// The whole life. Gives the ledger's id as the object told it, if it tells one.
    pub async fn live(&self, life: Life, name: &str) -> String {
        match life {
            Life::Refund => self.refund(name).await,
            Life::Wallet => self.wallet(name).await,
            Life::Tenant => self.onboard(name).await,
            Life::TimeoutPolicy => self.limit(name).await,
            Life::TenantBilling => self.bill(name).await,
            Life::StandingOrder => self.order(name).await,
        }
    }

    /// The ledger's one fact of a life that is over, asked directly: its id where it has one.
    pub async fn fact(&self, life: Life, name: &str) -> String {
        let books = self.ledger.books(&self.tenant.name);
        match life {
            Life::Refund => self.one_refund(&books, name).await,
            Life::Wallet => one_wallet(&books, &format!("{}/{name}", self.tenant.name)).await,
            Life::Tenant => {
                let request = proto::GetTenantRequest { name: name.into() };
                books.tenant_client().get_tenant(request).await.unwrap().into_inner().tenant.unwrap().id
            }
            Life::TimeoutPolicy => {
                assert_eq!(limits(&books, name).await, 0, "{name}: parameters stay after the policy");
                String::new()
            }
            Life::TenantBilling => self.paid_bills(name).await,
            Life::StandingOrder => {
                let facts = books.payments().await;
                let ours = format!("standing-order:{}/{name}@", self.tenant.name);
                let mut paid = facts.into_iter().filter(|(key, _)| key.starts_with(&ours));
                let (_, first) = paid.next().unwrap_or_else(|| panic!("{name}: the ledger has no payment"));
                assert!(paid.next().is_none(), "{name}: paid more than once");
                first.id
            }
        }
    }

    async fn refund(&self, name: &str) -> String {
        let spec = json!({
            "payment": {"name": name}, "amount": "3.00", "currency": "USD", "requestedBy": "admin", "reason": "a test",
        });
        self.tenant.create("Refund", name, spec).await;
        let refunds = self.tenant.objects("Refund");
        let asked = wait(&refunds, name, "waits for approval", |refund| {
            refund.data["status"]["state"] == "Requested" && refund.data["status"]["bodyHash"].is_string()
        })
        .await;
        let bea = TestTenant { client: self.site.api.client_of("bea"), ..self.tenant.clone() };
        let spec = json!({
            "approves": {"kind": "Refund", "name": name}, "bodyHash": asked.data["status"]["bodyHash"], "approver": "bea",
        });
        bea.create("Approval", name, spec).await;
        let paid =
            wait(&refunds, name, "is paid back", |refund| refund.data["status"]["state"] == "Completed")
                .await;
        wait(&self.tenant.objects("Approval"), name, "is applied", |approval| {
            approval.data["status"]["state"] == "Applied"
        })
        .await;
        text(&paid.data["status"]["refundId"])
    }

    async fn one_refund(&self, books: &Books, name: &str) -> String {
        let payment_id = self.tenant.completed(name).await;
        let request = proto::ListRefundsRequest { payment_id, ..Default::default() };
        let found = books.payment_client().list_refunds(request).await.unwrap().into_inner().refunds;
        let [refund] = found.as_slice() else { panic!("{name}: one refund, not {found:#?}") };
        let amount = refund.amount.as_ref().map(|amount| amount.amount.as_str());
        let told = (refund.state(), amount, &*refund.requester, &*refund.approver);
        assert_eq!(told, (proto::RefundState::Completed, Some("3.00"), "admin", "bea"), "{name}");
        refund.id.clone()
    }

    async fn wallet(&self, name: &str) -> String {
        let spec = json!({"currency": "USD", "maximum": "500.00"});
        self.tenant.create("Wallet", name, spec).await;
        let wallets = self.tenant.objects("Wallet");
        wait(&wallets, name, "is ready", |wallet| is_true(wallet, "Ready")).await;
        let freeze = Patch::Merge(json!({"spec": {"freeze": "Debit"}}));
        let generation =
            wallets.patch(name, &PatchParams::default(), &freeze).await.unwrap().metadata.generation;
        let frozen = wait(&wallets, name, "is frozen", |wallet| {
            wallet.data["status"]["observedGeneration"].as_i64() == generation && is_true(wallet, "Ready")
        })
        .await;
        wallets.delete(name, &DeleteParams::default()).await.unwrap();
        gone(&wallets, name).await;
        text(&frozen.data["status"]["walletId"])
    }

    async fn onboard(&self, name: &str) -> String {
        let tenant = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {
                "platformRef": {"namespace": SYSTEM, "name": PLATFORM}, "namespaces": [{"name": name}],
                "settlement": [{"currency": "USD", "cap": "100.00"}], "quota": {"hard": {"pods": "5"}},
                "groups": {"viewers": ["some"]},
            },
        });
        create(&self.site.client, tenant).await;
        let tenants = Api::<payplane_crds::Tenant>::all(self.site.client.clone());
        let ready = wait(&tenants, name, "is ready", |tenant| is_true(tenant, "Ready")).await;
        self.is_furnished(name).await;
        ready.status.unwrap().tenant_id.unwrap()
    }

    /// Isolation, quota and access are there: Ready is never said before.
    async fn is_furnished(&self, namespace: &str) {
        let counts = (
            self.count::<NetworkPolicy>(namespace).await,
            self.count::<ResourceQuota>(namespace).await,
            self.count::<RoleBinding>(namespace).await,
        );
        assert!(0 < counts.0 && counts.1 == 1 && counts.2 == 1, "{namespace} has {counts:?}");
        assert!(self.count::<LimitRange>(namespace).await <= 1);
    }

    async fn count<K>(&self, namespace: &str) -> usize
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let objects = Api::<K>::namespaced(self.site.client.clone(), namespace);
        objects.list_metadata(&ListParams::default()).await.unwrap().items.len()
    }

    async fn limit(&self, name: &str) -> String {
        let spec = json!({"scope": {"walletClass": name}, "timeoutSeconds": 77, "maximumSeconds": 99});
        self.tenant.create("TimeoutPolicy", name, spec).await;
        let policies = self.tenant.objects("TimeoutPolicy");
        wait(&policies, name, "is in force", |policy| {
            policy.data["status"]["timeoutSeconds"] == 77 && is_true(policy, "Ready")
        })
        .await;
        let books = self.ledger.books(&self.tenant.name);
        // Deadline, maximum and what becomes of holds that are past it.
        assert_eq!(limits(&books, name).await, 3, "{name}: all is in force when the object says so");
        policies.delete(name, &DeleteParams::default()).await.unwrap();
        gone(&policies, name).await;
        String::new()
    }

    async fn bill(&self, name: &str) -> String {
        let day = 86_400;
        let yesterday = Timestamp::from_second((Timestamp::now().as_second() / day - 1) * day).unwrap();
        let billing = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "TenantBilling",
            "metadata": {"name": name, "namespace": SYSTEM},
            "spec": {
                "tenantRef": {"name": name},
                "plan": {"currency": "USD", "baseFee": "49.00", "taxes": [{"name": "VAT", "percent": "8.1"}]},
                "period": {"unit": "Day", "timeZone": "UTC", "start": yesterday.to_string()},
                "graceSeconds": 0,
                "collection": {
                    "wallet": format!("{name}/alice"),
                    "receiver": {"tenantRef": {"name": HOUSE}, "wallet": format!("{HOUSE}/revenue")},
                },
            },
        });
        create(&self.site.client, billing).await;
        let billings = Api::<payplane_crds::TenantBilling>::namespaced(self.site.client.clone(), SYSTEM);
        wait(&billings, name, "has collected", |billing| {
            let status = billing.status.clone().unwrap_or_default();
            let is_paid = status.collection.is_some_and(|collection| collection.unpaid == 0);
            is_paid && status.last_invoice.is_some_and(|invoice| invoice.state.as_deref() == Some("Paid"))
        })
        .await;
        wait(&billings, name, "says that its wallets fit", |billing| is_true(billing, "Collectable")).await;
        String::new()
    }

    /// What the API server cannot refuse, because it sees no wallet, is said as soon as somebody looks: field and way out.
    /// Nothing has to be collected for that: the period goes on for a month.
    pub async fn misfits_are_named(&self, name: &str) {
        let tenant = self.site.tenant(name).await;
        tenant.create("Wallet", "euros", json!({"currency": "EUR"})).await;
        wait(&tenant.wallets(), "euros", "is ready", |wallet| is_true(wallet, "Ready")).await;
        let billing = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "TenantBilling",
            "metadata": {"name": name, "namespace": SYSTEM},
            "spec": {
                "tenantRef": {"name": name}, "plan": {"currency": "USD"}, "period": {"unit": "Month", "timeZone": "UTC"},
                "collection": {
                    "wallet": format!("{name}/euros"),
                    "receiver": {"tenantRef": {"name": HOUSE}, "wallet": format!("{HOUSE}/revenue")},
                },
            },
        });
        create(&self.site.client, billing).await;
        let billings = Api::<payplane_crds::TenantBilling>::namespaced(self.site.client.clone(), SYSTEM);
        let cases = [
            (json!({}), "CurrencyMismatch", "collection.wallet: the wallet "),
            (
                json!({"wallet": format!("{name}/nobody")}),
                "WalletNotFound",
                "collection.wallet: the ledger has no",
            ),
            (
                json!({"wallet": format!("{name}/alice"), "receiver": {"taxWallet": format!("{HOUSE}/nobody")}}),
                "WalletNotFound",
                "collection.receiver.taxWallet: the ledger has no",
            ),
            (json!({"receiver": {"taxWallet": null}}), "WalletsFit", "The wallets"),
        ];
        for (change, reason, message) in cases {
            let patch = Patch::Merge(json!({"spec": {"collection": change}}));
            billings.patch(name, &PatchParams::default(), &patch).await.unwrap();
            wait(&billings, name, reason, |billing| {
                condition(billing, "Collectable").is_some_and(|found| {
                    found["reason"] == reason
                        && found["message"].as_str().unwrap_or_default().starts_with(message)
                })
            })
            .await;
        }
    }

    /// Every period once and in order, every invoice paid once.
    async fn paid_bills(&self, name: &str) -> String {
        let books = self.ledger.books(name);
        let found = books.billing_client().list_invoices(proto::ListInvoicesRequest::default()).await;
        let mut invoices = found.unwrap().into_inner().invoices;
        invoices.sort_by_key(|invoice| invoice.number);
        let numbers: Vec<i64> = invoices.iter().map(|invoice| invoice.number).collect();
        // Two, if midnight came meanwhile.
        let count = i64::try_from(invoices.len()).unwrap();
        assert!((1..=2).contains(&count), "{name}: {count} invoices");
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{name}");
        for invoice in &invoices {
            let state = invoice.collection.as_ref().map(|collection| collection.state());
            assert_eq!(state, Some(proto::InvoiceState::Paid), "{name}: {invoice:#?}");
        }
        let left = 100_000 - count * INVOICE_CENTS;
        let left = format!("{}.{:02}", left / 100, left % 100);
        assert_eq!(books.balance("alice").await, (left, "0.00".into()), "{name}: paid other than once");
        String::new()
    }

    async fn order(&self, name: &str) -> String {
        let now = Timestamp::now();
        // Far enough ahead that the operator knows of it by then.
        let due = Timestamp::from_second((now.as_second() / 60 + 1) * 60).unwrap();
        let due = if due.duration_since(now) < SignedDuration::from_secs(10) {
            due + SignedDuration::from_mins(1)
        } else {
            due
        };
        let spec = json!({
            "schedule": "* * * * *", "start": due.to_string(), "count": 1, "template": dollar(),
        });
        self.tenant.create("StandingOrder", name, spec).await;
        let ahead = std::time::Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        // What is waited for is the clock's minute.
        tokio::time::sleep(ahead).await;
        let orders = self.tenant.objects("StandingOrder");
        let done = wait(&orders, name, "has paid", |order| order.data["status"]["counts"]["paid"] == 1).await;
        assert!(condition(&done, "Stalled").is_some_and(|stalled| stalled["status"] == "False"));
        let mine = ListParams::default().labels(&format!("payplane.io/standing-order={name}"));
        let payments = self.tenant.payments().list(&mine).await.unwrap().items;
        let [payment] = payments.as_slice() else { panic!("{name}: one Payment, not {}", payments.len()) };
        self.tenant.completed(&payment.name_any()).await
    }
}

async fn one_wallet(books: &Books, name: &str) -> String {
    let request = proto::ListWalletsRequest { page_size: 1_000, ..Default::default() };
    let found = books.wallet_client().list_wallets(request).await.unwrap().into_inner();
    assert_eq!(found.next_page_token, "", "there are more wallets than one page has");
    let found: Vec<_> = found.wallets.into_iter().filter(|wallet| wallet.name == name).collect();
    let [wallet] = found.as_slice() else { panic!("{name}: one wallet, not {found:#?}") };
    assert_eq!(wallet.status(), proto::WalletStatus::FrozenDebit, "{name}");
    let by_name = proto::WalletRef { r#ref: Some(Ref::Name(name.into())) };
    let request = proto::GetWalletRequest { wallet: Some(by_name), ..Default::default() };
    let told = books.wallet_client().get_wallet(request).await.unwrap().into_inner().wallet.unwrap();
    assert_eq!(told.id, wallet.id, "{name}");
    told.id
}

/// How many parameters a class of wallets has.
async fn limits(books: &Books, class: &str) -> usize {
    let scope = proto::SettingsScope { scope: Some(Scope::WalletClass(class.into())) };
    let request = proto::GetSettingsRequest { scope: Some(scope) };
    books.settings_client().get_settings(request).await.unwrap().into_inner().settings.len()
}

async fn gone(objects: &Api<DynamicObject>, name: &str) {
    super::bed::eventually("the object is gone", async || {
        objects.get_opt(name).await.ok()?.is_none().then_some(())
    })
    .await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
