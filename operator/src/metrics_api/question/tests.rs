//! Each path means one thing, and a refusal says the way out.

use super::*;

const EXTERNAL: &str = "/apis/external.metrics.k8s.io/v1beta1";
const CUSTOM: &str = "/apis/custom.metrics.k8s.io/v1beta2";

fn asked(path: &str, query: &str) -> Result<Question, u16> {
    Question::of(&Method::GET, path, query).map_err(|refusal| refusal.code.as_u16())
}

#[test]
fn each_path_of_external_metrics_means_one_thing() {
    let of = |figure| {
        let (namespace, platform) = ("pay".into(), "main".into());
        Ok(Question::Platform { api: API_EXTERNAL, namespace, platform, figure })
    };
    let queue = format!("{EXTERNAL}/namespaces/pay/payplane_engine_queue_depth");
    let rate = format!("{EXTERNAL}/namespaces/pay/payplane_engine_requests_per_second");
    for (path, query, expected) in [
        ("/apis/external.metrics.k8s.io".to_owned(), "", Ok(Question::Group(API_EXTERNAL))),
        (EXTERNAL.to_owned(), "timeout=32s", Ok(Question::Resources(API_EXTERNAL))),
        (format!("{EXTERNAL}/"), "", Ok(Question::Resources(API_EXTERNAL))),
        (queue.clone(), "labelSelector=platform%3Dmain", of(EngineFigure::QueueDepth)),
        (queue.clone(), "labelSelector=platform%3D%3Dmain", of(EngineFigure::QueueDepth)),
        (rate, "a=b&labelSelector=platform=main", of(EngineFigure::RequestsPerSecond)),
        (queue.clone(), "", Err(400)),
        (queue.clone(), "labelSelector=platform", Err(400)),
        (queue.clone(), "labelSelector=platform%3D", Err(400)),
        (queue.clone(), "labelSelector=platform%21%3Dmain", Err(400)),
        (queue.clone(), "labelSelector=platform%3Dmain%2Ca%3Db", Err(400)),
        (queue.clone(), "labelSelector=platform+in+%28main%29", Err(400)),
        (queue.clone(), "labelSelector=other%3Dmain", Err(400)),
        (format!("{EXTERNAL}/namespaces/pay/other"), "labelSelector=platform%3Dmain", Err(404)),
        (format!("{EXTERNAL}/namespaces/pay/pods/*/payplane_engine_queue_depth"), "", Err(404)),
        (format!("{EXTERNAL}/payplane_engine_queue_depth"), "", Err(404)),
        (format!("{queue}/more"), "", Err(404)),
        ("/apis/external.metrics.k8s.io/v1beta2".to_owned(), "", Err(404)),
        ("/apis".to_owned(), "", Err(404)),
        ("/openapi/v3".to_owned(), "", Err(404)),
        ("/".to_owned(), "", Err(404)),
        ("/metrics".to_owned(), "", Err(404)),
    ] {
        assert_eq!(asked(&path, query), expected, "{path}?{query}");
    }
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        assert!(Question::of(&method, EXTERNAL, "").is_err(), "{method}");
    }
}

#[test]
fn each_path_of_custom_metrics_means_one_thing() {
    let figure = EngineFigure::QueueDepth;
    let pods = |labels: &str, name: Option<&str>, platform: Option<&str>| {
        let (name, platform) = (name.map(String::from), platform.map(String::from));
        Ok(Question::Pods {
            namespace: "pay".into(),
            chosen: Chosen { labels: labels.into(), name, platform },
            figure,
        })
    };
    let main = || {
        Ok(Question::Platform { api: API_CUSTOM, namespace: "pay".into(), platform: "main".into(), figure })
    };
    let of = |object: &str| format!("{CUSTOM}/namespaces/pay/{object}/payplane_engine_queue_depth");
    let long = "a".repeat(254);
    for (path, query, expected) in [
        ("/apis/custom.metrics.k8s.io".to_owned(), "", Ok(Question::Group(API_CUSTOM))),
        (CUSTOM.to_owned(), "", Ok(Question::Resources(API_CUSTOM))),
        (of("pods/*"), "", pods("", None, None)),
        (of("pods/*"), "labelSelector=a%3Db%2Cc+in+%28d%29", pods("a=b,c in (d)", None, None)),
        (of("pods/*"), "labelSelector=a&metricLabelSelector=platform%3Dmain", pods("a", None, Some("main"))),
        (of("pods/*"), "labelSelector=a&metricLabelSelector=", pods("a", None, None)),
        (of("pods/main-engine-0"), "", pods("", Some("main-engine-0"), None)),
        (of("platforms.payplane.io/main"), "", main()),
        (of("platforms.payplane.io/main"), "metricLabelSelector=platform%3Dmain", main()),
        (of("platforms.payplane.io/main"), "metricLabelSelector=platform%3Dother", Err(400)),
        (of("platforms.payplane.io/*"), "", Err(400)),
        (of("pods/*"), "metricLabelSelector=colour%3Dred", Err(400)),
        (of("pods/%2A"), "", pods("", None, None)),
        (of("pods/a%2Fb"), "", Err(400)),
        (of(&format!("pods/{long}")), "", Err(400)),
        (of("pods"), "", Err(404)),
        (of("services/main"), "", Err(404)),
        (of("platforms/main"), "", Err(404)),
        (format!("{CUSTOM}/namespaces/pay/pods/*/other"), "", Err(404)),
        (format!("{CUSTOM}/namespaces/pay/metrics/payplane_engine_queue_depth"), "", Err(404)),
        (
            format!("{CUSTOM}/namespaces/pay/payplane_engine_queue_depth"),
            "labelSelector=platform%3Dmain",
            Err(404),
        ),
        ("/apis/custom.metrics.k8s.io/v1beta1".to_owned(), "", Err(404)),
    ] {
        assert_eq!(asked(&path, query), expected, "{path}?{query}");
    }
}

#[test]
fn a_refusal_says_the_way_out() {
    let told = |path: &str, query: &str| Question::of(&Method::GET, path, query).unwrap_err().message;
    for path in [format!("{EXTERNAL}/namespaces/pay"), format!("{CUSTOM}/namespaces/pay/pods/*")] {
        assert!(told(&format!("{path}/other"), "").contains("payplane_engine_queue_depth"));
        let query = "labelSelector=a&metricLabelSelector=a";
        assert!(told(&format!("{path}/payplane_engine_queue_depth"), query).contains("platform=NAME"));
    }
}
