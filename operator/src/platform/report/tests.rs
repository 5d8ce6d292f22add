use payplane_crds::condition::{READY, RECONCILING, STALLED, reason::OPERATOR_NOT_INSTALLED};
use serde_json::{Value, json};

use super::*;
use crate::{
    condition::find,
    platform::{
        build::fixture,
        migration::{Done, Migration, Trouble},
        rollout::analysis::{Analysis, Counts},
        validate::Refused,
    },
};

fn platform() -> Platform {
    let mut platform = fixture::platform(json!({"postgres": {"managed": {}}, "engine": {"replicas": 2}}));
    platform.metadata.generation = Some(3);
    platform
}

fn postgres(ready: i32) -> Option<StatefulSet> {
    let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {},
        "status": {"replicas": 1, "readyReplicas": ready}});
    serde_json::from_value(object).unwrap()
}

fn engine(observed: i64, status: [i32; 3]) -> Option<Deployment> {
    let [replicas, updated, ready] = status;
    engine_with(json!({
        "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready,
    }))
}

fn engine_with(status: Value) -> Option<Deployment> {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 7}, "status": status});
    serde_json::from_value(object).unwrap()
}

fn answer(postgres: Option<StatefulSet>, engine: Option<Deployment>) -> Answer {
    Answer::Applied(Box::new(Applied {
        postgres,
        engine,
        kafka: None,
        cluster: None,
        operated_kafka: None,
        endpoint: "main-engine.pay.svc:8443".into(),
        ledger: Some("c-1".into()),
        redis: RedisSeen::None,
        migration: Migration::NotAsked,
        rollout: Verdict::Proceed,
        analysis: Default::default(),
        rotation: Default::default(),
        held: None,
        upgraded: None,
    }))
}

#[test]
fn a_change_of_logins_is_looked_at_until_it_ends() {
    let cases = [
        (Rotation::Never, true),
        (Rotation::Replacing, false),
        (Rotation::Retiring, false),
        (Rotation::Failed, true),
        (Rotation::Done, true),
    ];
    let spec = json!({"replicas": 2, "selector": {}, "template": {}});
    for (rotation, quiet) in cases {
        let mut engine = engine(7, [2, 2, 2]);
        engine.as_mut().unwrap().spec = serde_json::from_value(spec.clone()).unwrap();
        let Answer::Applied(applied) = answer(postgres(1), engine) else { panic!() };
        assert_eq!(is_quiet(&Applied { rotation, ..*applied }), quiet, "{rotation:?}");
    }
}

/// Ready, Reconciling, Stalled, PostgresReady and EngineReady by first letter, and Ready's reason.
fn told(answer: &Answer) -> (String, String) {
    let status = report(&platform(), answer, Timestamp::UNIX_EPOCH);
    let letters = [READY, RECONCILING, STALLED, POSTGRES_READY, ENGINE_READY]
        .map(|type_| find(&status.conditions, type_).map_or("-", |condition| &condition.status[..1]));
    (letters.concat(), find(&status.conditions, READY).unwrap().reason.clone())
}

#[test]
fn every_stage_has_its_conditions() {
    let refused = Refused { reason: "SecretNotFound", message: "no".into(), look_again: false };
    let cases = [
        (answer(postgres(0), None), "FTFFF", "DatabaseNotReady"),
        (answer(postgres(1), None), "FTFTF", "Progressing"),
        (answer(postgres(1), engine(7, [2, 2, 1])), "FTFTT", "Progressing"),
        (answer(postgres(1), engine(7, [2, 2, 2])), "TFFTT", "AsSpecified"),
        (answer(postgres(1), engine(6, [2, 2, 2])), "FTFTT", "Progressing"),
        (answer(postgres(1), engine(7, [3, 2, 2])), "FTFTT", "Progressing"),
        (answer(postgres(0), engine(7, [2, 2, 2])), "FTFFT", "DatabaseNotReady"),
        (answer(None, engine(7, [2, 2, 0])), "FTFUF", "Progressing"),
        (answer(None, engine(7, [2, 2, 2])), "TFFTT", "AsSpecified"),
        (Answer::Refused(refused), "FFT--", "SecretNotFound"),
    ];
    for (answer, letters, reason) in cases {
        assert_eq!(told(&answer), (letters.into(), reason.into()), "{answer:?}");
    }
}

#[test]
fn what_stops_the_rollout_is_in_the_message() {
    let failing = engine_with(json!({"conditions": [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"},
    ]}));
    let status = report(&platform(), &answer(postgres(1), failing), Timestamp::UNIX_EPOCH);
    assert_eq!(find(&status.conditions, READY).unwrap().message, "0 of 2 engines are ready. timed out");
}

#[test]
fn a_refusal_keeps_what_is_known_about_what_runs() {
    let mut object = platform();
    object.status = Some(report(&object, &answer(postgres(1), engine(7, [2, 2, 2])), Timestamp::UNIX_EPOCH));
    let refused = Refused { reason: "SecretNotFound", message: "no".into(), look_again: false };
    let status = report(&object, &Answer::Refused(refused), Timestamp::UNIX_EPOCH);
    assert_eq!(status.endpoint.as_deref(), Some("main-engine.pay.svc:8443"));
    assert_eq!(find(&status.conditions, ENGINE_READY).unwrap().status, "True");
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn a_platform_is_ready_whatever_its_redis_does_and_says_what_that_is() {
    let redis = |ready: i32| {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "status": {"readyReplicas": ready}});
        RedisSeen::Managed(serde_json::from_value(object).unwrap())
    };
    let operated = |primary: &str| {
        let object = json!({
            "apiVersion": "redis.redis.opstreelabs.in/v1beta2", "kind": "RedisReplication", "metadata": {},
            "spec": {}, "status": {"masterNode": primary},
        });
        RedisSeen::Operated(serde_json::from_value(object).unwrap())
    };
    let refused = Refused { reason: OPERATOR_NOT_INSTALLED, message: "Install it.".into(), look_again: true };
    let cases = [
        (RedisSeen::None, None),
        (redis(0), Some(("False", "Progressing"))),
        (redis(1), Some(("True", "AsSpecified"))),
        (operated(""), Some(("False", "Progressing"))),
        (operated("main-redis-set-0"), Some(("True", "AsSpecified"))),
        (RedisSeen::Refused(refused), Some(("False", "OperatorNotInstalled"))),
        (RedisSeen::External, Some(("Unknown", "AsSpecified"))),
        (RedisSeen::Incomplete("There is no Secret.".into()), Some(("False", "SecretNotFound"))),
    ];
    for (seen, expected) in cases {
        let told = format!("{seen:?}");
        let applied = Applied {
            postgres: postgres(1),
            engine: engine(7, [2, 2, 2]),
            kafka: None,
            cluster: None,
            operated_kafka: None,
            ledger: None,
            endpoint: String::new(),
            redis: seen,
            migration: Migration::NotAsked,
            rollout: Verdict::Proceed,
            analysis: Default::default(),
            rotation: Default::default(),
            held: None,
            upgraded: None,
        };
        let status = report(&platform(), &Answer::Applied(Box::new(applied)), Timestamp::UNIX_EPOCH);
        assert_eq!(find(&status.conditions, READY).unwrap().status, "True", "{told}");
        let found = find(&status.conditions, REDIS_READY);
        assert_eq!(found.map(|found| (&*found.status, &*found.reason)), expected, "{told}");
    }
}

#[test]
fn a_schema_that_stops_a_rollout_is_told_with_the_way_out_and_what_serves_goes_on() {
    let trouble =
        |reason: &str| Trouble { reason: reason.into(), message: format!("{reason} is the matter.") };
    let failing = |reason: &str| Migration::Failing(trouble(reason));
    let frozen = |reason: &str| Verdict::Frozen(trouble(reason));
    let words = || "image x does not start".to_owned();
    let done = || Migration::Done(Done::default());
    // What was found, what Migrated says, and Ready, Stalled and the reason.
    let cases = [
        (done(), Verdict::Proceed, ("True", "AsSpecified"), "TF", "AsSpecified"),
        (Migration::Running, Verdict::Migrating, ("False", "Migrating"), "FF", "Progressing"),
        (Migration::Waiting, Verdict::Migrating, ("Unknown", "DatabaseNotReady"), "FF", "Progressing"),
        (failing(""), frozen(""), ("False", "MigrationFailed"), "FF", "MigrationFailed"),
        (failing("Odd"), frozen("Odd"), ("False", "MigrationFailed"), "FF", "MigrationFailed"),
        (
            failing("DatabaseClaimed"),
            frozen("DatabaseClaimed"),
            ("False", "DatabaseClaimed"),
            "FT",
            "DatabaseClaimed",
        ),
        (failing("SchemaTooNew"), frozen("SchemaTooNew"), ("False", "SchemaTooNew"), "FT", "SchemaTooNew"),
        (Migration::CannotStart(words()), frozen(""), ("False", "MigrationFailed"), "FF", "MigrationFailed"),
        (done(), Verdict::NoWayBack { why: words() }, ("True", "AsSpecified"), "FT", "CannotGoBack"),
    ];
    for (migration, rollout, migrated, letters, reason) in cases {
        let told = format!("{migration:?} {rollout:?}");
        let Answer::Applied(applied) = answer(postgres(1), engine(7, [2, 2, 2])) else { panic!() };
        let applied = Applied { migration, rollout, ..*applied };
        let status = report(&platform(), &Answer::Applied(Box::new(applied)), Timestamp::UNIX_EPOCH);
        let of = |type_: &str| find(&status.conditions, type_).unwrap();
        assert_eq!((&*of(MIGRATED).status, &*of(MIGRATED).reason), migrated, "{told}");
        let seen = [READY, STALLED].map(|type_| of(type_).status[..1].to_owned()).concat();
        assert_eq!((seen.as_str(), of(READY).reason.as_str()), (letters, reason), "{told}");
        assert_eq!(of(ENGINE_READY).status, "True", "{told}");
    }
}

#[test]
fn what_new_engines_answer_is_told_while_they_take_over() {
    let Answer::Applied(applied) = answer(postgres(1), engine(7, [3, 1, 3])) else { panic!() };
    let analysis = Analysis::Good(Counts { answered: 400, failed: 2 });
    let applied = Answer::Applied(Box::new(Applied { analysis, ..*applied }));
    let status = report(&platform(), &applied, Timestamp::UNIX_EPOCH);
    let message = &find(&status.conditions, READY).unwrap().message;
    assert!(message.contains("2 of 400 calls (0.5 %)"), "{message}");
}

#[test]
fn a_platform_that_stands_still_says_for_which_restore_and_how_to_get_it_going() {
    let mut object = platform();
    object.status = Some(report(&object, &answer(postgres(1), engine(7, [2, 2, 2])), Timestamp::UNIX_EPOCH));
    let mark = super::super::restoring::Mark::Restore { restore: "back".into(), uid: "r-1".into() };
    let claim = || "data-main-postgres-0".to_owned();
    let still = Still { mark, upgrade: None, ledger: Some("c-1".into()), claim: claim() };
    let status = report(&object, &Answer::Still(still), Timestamp::UNIX_EPOCH);
    let words = [READY, RECONCILING, RESTORING, POSTGRES_READY, ENGINE_READY].map(|type_| {
        let all: Vec<_> = status.conditions.iter().filter(|one| one.type_ == type_).collect();
        assert_eq!(all.len(), 1, "{type_}: {all:?}");
        format!("{} {}", all[0].status, all[0].reason)
    });
    let [no, yes] = ["False Restoring", "True Restoring"];
    assert_eq!(words, [no, yes, yes, no, no]);
    let message = &find(&status.conditions, READY).unwrap().message;
    assert!(message.contains("Restore back") && message.contains("data-main-postgres-0"), "{message}");
    assert_eq!((status.ready_replicas, status.ledger.as_deref()), (Some(0), Some("c-1")));
    assert_eq!(status.endpoint, object.status.as_ref().unwrap().endpoint, "it comes back there");
    let after = report(&object, &answer(postgres(1), engine(7, [2, 2, 2])), Timestamp::UNIX_EPOCH);
    assert!(find(&after.conditions, RESTORING).is_none());
}

#[test]
fn a_platform_says_which_step_of_a_major_upgrade_it_waits_for_and_what_came_of_it() {
    use payplane_crds::condition::{UPGRADING, reason::MAJOR_UPGRADE_NOT_ALLOWED, reason::UPGRADE_FAILED};

    let mut object = platform();
    let mark = super::super::restoring::Mark::Upgrade { began: 7, asked: "h".into() };
    let progress = upgrade::Progress("Step 4 of 7: the ledger is copied into it.".into());
    let still = Still { mark, upgrade: Some(progress), ledger: Some("c-1".into()), claim: "c".into() };
    object.status = Some(report(&object, &Answer::Still(still), Timestamp::UNIX_EPOCH));
    let conditions = object.current();
    let words = [READY, UPGRADING, POSTGRES_READY, ENGINE_READY]
        .map(|type_| find(conditions, type_).map(|one| format!("{} {}", one.status, one.reason)).unwrap());
    let [no, yes] = ["False Upgrading", "True Upgrading"];
    assert_eq!(words, [no, yes, no, no]);
    assert!(find(conditions, READY).unwrap().message.contains("Step 4 of 7"));
    assert!(find(conditions, RESTORING).is_none());

    // Afterwards: nothing was ever asked for; it is not allowed; it failed; it is done.
    let held = |reason| upgrade::Held { image: "p:15".into(), reason, message: "Why.".into() };
    for (held, upgraded, ready, upgrading) in [
        (None, None, "True AsSpecified", None),
        (
            Some(held(MAJOR_UPGRADE_NOT_ALLOWED)),
            None,
            "False MajorUpgradeNotAllowed",
            Some("False MajorUpgradeNotAllowed"),
        ),
        (Some(held(UPGRADE_FAILED)), None, "False UpgradeFailed", Some("False UpgradeFailed")),
        (None, Some("Done.".to_owned()), "True AsSpecified", Some("False Upgraded")),
    ] {
        let Answer::Applied(applied) = answer(postgres(1), engine(7, [2, 2, 2])) else { panic!() };
        let applied = Applied { held, upgraded, ..*applied };
        let status = report(&object, &Answer::Applied(Box::new(applied)), Timestamp::UNIX_EPOCH);
        let told =
            |type_| find(&status.conditions, type_).map(|one| format!("{} {}", one.status, one.reason));
        assert_eq!((told(READY).as_deref(), told(UPGRADING).as_deref()), (Some(ready), upgrading));
        assert_eq!(told(ENGINE_READY).as_deref(), Some("True AsSpecified"), "engines serve");
    }
}
