//! What it computes and how it writes it, in the engine that runs it.

use serde_json::json;

use super::*;

/// The arithmetic of the page, in the engine that runs it.
#[test]
fn it_computes_rates_and_quantiles_as_prometheus_does() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    browser.open(&format!("http://{}/dashboard", server.admin));
    let mut check = |module: &str, expression: &str, expected: Value| {
        let code = format!("import('/dashboard/{module}.js').then((m) => {expression})");
        assert_eq!(browser.eval(&code), expected, "{expression}");
    };
    let observed = "{ bounds: [1, 2, 4, 8], counts: [10, 0, 10, 0, 0], total: 20, sum: 50 }";
    for (share, expected) in [
        ("0.25", json!(0.5)),
        ("0.5", 1.into()),
        ("0.75", 3.into()),
        ("1", 4.into()),
    ] {
        check(
            "model",
            &format!("m.quantile({observed}, {share})"),
            expected,
        );
    }
    let beyond = "{ bounds: [1, 2], counts: [1, 0, 9], total: 10, sum: 0 }";
    check("model", &format!("m.quantile({beyond}, 0.99)"), 2.into());
    check(
        "model",
        "m.quantile({ bounds: [1], counts: [0, 0], total: 0 }, 0.5) === undefined",
        true.into(),
    );
    check("model", &format!("m.mean({observed})"), 2.5.into());
    let event = |seconds: f64, zero: u64, one: u64| {
        format!(
            "{{ UptimeSeconds: {seconds}, Metrics: {{ a_total: {{ Samples: [\
             {{ Labels: {{ shard: '0' }}, Value: {zero} }}, {{ Labels: {{ shard: '1' }}, Value: {one} }}] }} }} }}"
        )
    };
    let rate = |labels: &str| {
        format!(
            "m.rateBetween({}, {}, 'a_total', {labels})",
            event(1.0, 10, 5),
            event(3.0, 16, 5)
        )
    };
    check("model", &rate("{}"), 3.into());
    check("model", &rate("{ shard: '1' }"), 0.into());
    check(
        "model",
        &format!("{} === undefined", rate("{ shard: '2' }")),
        true.into(),
    );
    // Another process counts from zero: what came before is forgotten.
    let restarted = format!(
        "(() => {{ const model = new m.Model(); for (const e of [{}, {}, {}]) model.push(e); \
         return [model.events.length, model.rate('a_total') ?? null]; }})()",
        event(100.0, 50, 0),
        event(101.0, 60, 0),
        event(2.0, 1, 0)
    );
    check("model", &restarted, json!([1, null]));
    for (call, expected) in [
        ("m.duration(0.0000854)", "85.4 µs"),
        ("m.duration(0.00124)", "1.24 ms"),
        ("m.duration(3.1)", "3.10 s"),
        ("m.duration(undefined)", "–"),
        ("m.rate(0)", "0"),
        ("m.rate(0.004)", "<0.01"),
        ("m.rate(12345.6)", "12,346"),
        ("m.bytes(512)", "512 B"),
        ("m.bytes(3565158)", "3.40 MiB"),
        ("m.money('-1000095.00')", "−1,000,095.00"),
        ("m.money('0.500')", "0.500"),
        ("m.money('12 £')", "12 £"),
        ("m.age(97200)", "1 d 3 h"),
        ("m.words('HouseStakes')", "House stakes"),
        ("m.share(0.256)", "26 %"),
        ("m.shortCount(1234567)", "1.23 M"),
    ] {
        check("format", call, expected.into());
    }
    check(
        "api",
        "(() => { const seen = []; const reader = new m.EventReader((name, data) => seen.push([name, data])); \
         for (const character of 'data: {\"a\":1}\\n\\nevent: end\\ndata: 2\\n\\ndata: 3') reader.read(character); \
         return seen; })()",
        json!([["message", {"a": 1}], ["end", 2]]),
    );
}
