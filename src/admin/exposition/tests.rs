//! The text as a scraper reads it.

use super::*;
use crate::admin::metrics::{Bounds, Shape};
use nacre_proto::request::Kind;
use std::collections::HashSet;

fn filled() -> Arc<Metrics> {
    let metrics = Metrics::of(
        2,
        Shape {
            http2_reasons: vec!["rapid_reset"],
            paths: vec!["/v1/cs/configs"],
            bounds: Bounds { connections: 8, http_connections: 4, reserve_bytes: 1 },
        },
    );
    let core = metrics.core(0);
    core.add(Counter::Accepted, 5);
    core.inc(Counter::ClosedPeer);
    core.gauge(Gauge::Services, 2);
    core.gauge(Gauge::ConnectionsNaming, 3);
    core.gauge(Gauge::ConnectionsUnset, 1);
    core.request(Kind::Instance, 0, 40);
    core.request(Kind::Instance, 0, 3);
    core.request(Kind::Instance, 503, 1_000);
    core.path(0, "GET", 404, 2_000);
    core.add(Counter::StoreFsyncMicroseconds, 1_500);
    core.gauge(Gauge::HttpConnections, 3);
    core.set_push_cost(3_000, 2, 2_500);
    core.busy_us(1_500_000);
    core.set_http2_closed(0, 4);
    metrics.core(1).add(Counter::Accepted, 2);
    metrics
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line}\n---\n{text}");
}

#[test]
fn series_of_the_dashboards() {
    let text = write(&filled(), Format::OpenMetrics, Page::Whole);
    for line in [
        "nacos_monitor{module=\"naming\",name=\"serviceCount\"} 2.0",
        "nacos_monitor{module=\"naming\",name=\"avgPushCost\"} 1.5",
        "nacos_monitor{module=\"naming\",name=\"maxPushCost\"} 2.5",
        "nacos_monitor{module=\"core\",name=\"longConnection\"} 4.0",
        "nacos_monitor{module=\"naming\",name=\"longConnection\"} 3.0",
        "nacos_naming_subscriber{version=\"v2\"} 0",
        "grpc_server_requests_seconds_count{requestClass=\"InstanceRequest\",success=\"true\",\
         errorCode=\"0\",throwableClass=\"None\",module=\"naming\"} 2",
        "grpc_server_requests_seconds_sum{requestClass=\"InstanceRequest\",success=\"false\",\
         errorCode=\"503\",throwableClass=\"None\",module=\"naming\"} 0.001",
        "grpc_server_requests_seconds_max{requestClass=\"InstanceRequest\",\
         module=\"naming\"} 0.001",
    ] {
        has(&text, line);
    }
    for name in ["process_cpu_seconds_total ", "system_load_average_1m ", "process_cpu_usage "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn series_of_our_own() {
    let text = write(&filled(), Format::OpenMetrics, Page::Clean);
    for line in [
        "nacre_connections_accepted_total 7",
        "nacre_connections_closed_total{reason=\"peer_closed\"} 1",
        "nacre_connections_closed_total{reason=\"ejected\"} 0",
        "nacre_store_fsync_seconds_total 0.0015",
        "nacre_limit_used_ratio{limit=\"connections\"} 0.5",
        "nacre_limit_used_ratio{limit=\"http_connections\"} 0.75",
        "http_server_requests_seconds_count{exception=\"None\",method=\"GET\",\
         outcome=\"CLIENT_ERROR\",status=\"404\",uri=\"/v1/cs/configs\"} 1",
        "http_server_requests_seconds_sum{exception=\"None\",method=\"GET\",\
         outcome=\"CLIENT_ERROR\",status=\"404\",uri=\"/v1/cs/configs\"} 0.002",
        "nacre_http2_closed_total{reason=\"rapid_reset\"} 4",
        "nacre_core_busy_seconds_total{core=\"0\"} 1.5",
        "nacre_core_busy_seconds_total{core=\"1\"} 0.0",
        "nacre_request_duration_seconds_bucket{le=\"0.000005\",type=\"InstanceRequest\"} 1",
        "nacre_request_duration_seconds_bucket{le=\"0.00005\",type=\"InstanceRequest\"} 2",
        "nacre_request_duration_seconds_bucket{le=\"+Inf\",type=\"InstanceRequest\"} 3",
        "nacre_request_duration_seconds_count{type=\"InstanceRequest\"} 3",
    ] {
        has(&text, line);
    }
    assert!(text.ends_with("# EOF\n"));
    for refused in ["requestClass", "nacos_monitor_summary", "system_cpu_count"] {
        assert!(!text.contains(refused), "{refused} is against Prometheus' rules");
    }
}

/// What `promtool check metrics` would find: names, types told once and before use, no series
/// twice.
#[test]
fn both_formats_are_well_formed() {
    let pages = [Page::Clean, Page::Whole];
    let formats = [Format::Classic, Format::OpenMetrics];
    for (format, page) in formats.into_iter().flat_map(|of| pages.map(|page| (of, page))) {
        let text = write(&filled(), format, page);
        let mut types = HashSet::new();
        let mut series = HashSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                family = told.split(' ').next().unwrap().to_owned();
                assert!(types.insert(family.clone()), "{format:?}: {line}");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{format:?}: {line}");
                assert!(series.insert(name.to_owned()), "{format:?}: {line}");
                let bare = name.split('{').next().unwrap();
                let rest = bare.strip_prefix(family.as_str()).unwrap_or("?");
                let suffixes: &[&str] = match format {
                    Format::Classic => &["", "_sum", "_count", "_bucket"],
                    Format::OpenMetrics => &["", "_total", "_sum", "_count", "_bucket"],
                };
                assert!(suffixes.contains(&rest), "{format:?}: {line} within {family}");
            }
        }
        assert!(series.len() > 80, "{}", series.len());
    }
}

#[test]
fn the_format_follows_the_accept_header() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.1";
    assert_eq!(Format::of(Some(prometheus)), Format::OpenMetrics);
    assert_eq!(Format::of(Some("text/html")), Format::Classic);
    assert_eq!(Format::of(None), Format::Classic);
}
