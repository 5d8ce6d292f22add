//! Data about people. Nothing of it is logged.

use payplane_proto::v1::{self as proto, people_service_server::PeopleService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Path, Violations},
    encode, status,
};
use crate::engine::detached;

const SUBJECT_CHARS_MAX: usize = 253;
const ENTRIES_MAX: usize = 64;
const VALUE_CHARS_MAX: usize = 1_024;

#[tonic::async_trait]
impl PeopleService for Api {
    async fn put_personal_data(
        &self,
        request: Request<proto::PutPersonalDataRequest>,
    ) -> Result<Response<proto::PutPersonalDataResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let proto::PutPersonalDataRequest { subject, data } = request.into_inner();
        let mut violations = Violations::default();
        check_subject(&subject, &mut violations);
        let field = Path::Root.at("data");
        if data.is_empty() {
            violations.add(field, "is missing: expected at least one entry");
        }
        let data = decode::labels(field, data, (ENTRIES_MAX, VALUE_CHARS_MAX), &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let done = detached(async move { store.put_personal_data(tenant, &subject, &data).await }).await;
        done.map_err(|error| status::of_store(&error))?;
        Ok(Response::new(proto::PutPersonalDataResponse {}))
    }

    async fn get_personal_data(
        &self,
        request: Request<proto::GetPersonalDataRequest>,
    ) -> Result<Response<proto::GetPersonalDataResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let subject = subject(request.into_inner().subject)?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.personal_data(tenant, &subject).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let (data, changed_at) = found.ok_or_else(|| status::not_found("subject"))?;
        let change_time = Some(encode::timestamp(changed_at));
        Ok(Response::new(proto::GetPersonalDataResponse { data: data.into_iter().collect(), change_time }))
    }

    async fn erase_personal_data(
        &self,
        request: Request<proto::ErasePersonalDataRequest>,
    ) -> Result<Response<proto::ErasePersonalDataResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let subject = subject(request.into_inner().subject)?;
        let store = self.engine.store.clone();
        let done = detached(async move { store.erase_personal_data(tenant, &subject).await }).await;
        let erased = done.map_err(|error| status::of_store(&error))?;
        Ok(Response::new(proto::ErasePersonalDataResponse { erased }))
    }
}

fn subject(subject: String) -> Result<String, Status> {
    let mut violations = Violations::default();
    check_subject(&subject, &mut violations);
    violations.check()?;
    Ok(subject)
}

fn check_subject(subject: &str, violations: &mut Violations) {
    decode::key(Path::Root.at("subject"), subject, SUBJECT_CHARS_MAX, violations);
}
