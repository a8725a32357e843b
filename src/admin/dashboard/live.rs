//! `GET /admin/v1/live`: what `/metrics` says, once a second, as server-sent events.
//!
//! One task takes the samples for all streams, and only while somebody listens. A stream
//! holds no events of its own: it takes the newest when its client has room for one, so a
//! slow client misses some and costs no memory. One that takes nothing for a while is cut.
//! A stream ends when the server stops, or when the token that opened it is no longer the
//! admin token.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_lite::stream;
use parking_lot::Mutex;
use shards::metrics::Counter;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::super::auth;
use super::super::errors::AdminError;
use super::super::listener::Cut;
use super::super::metrics;
use super::super::prometheus::{Kind, PrometheusText};
use super::super::server::App;
use super::super::types::rfc3339;
use super::samples::{self, Event};

/// Streams at a time: the screens of a team and some left open. Each costs at most the
/// 400 KiB and one event that the HTTP library buffers for a slow connection.
const STREAMS_MAX: usize = 16;

/// Seconds after which somebody may have closed a page.
const RETRY_SECONDS: u32 = 5;

/// Time from one event to the next: what people can follow.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// How many events a stream may miss before it is cut. A page that was asleep for ten
/// seconds beyond what the buffers hold connects again when it wakes.
const MISSED_EVENTS_MAX: u64 = 10;

/// How long a client may take to read the last words.
const GOODBYE_TIME: Duration = Duration::from_millis(500);

/// The streams that are open.
pub(in crate::admin) struct LiveStreams {
    seats: Mutex<Vec<Arc<Seat>>>,
    /// The newest event and its number.
    newest: watch::Sender<(u64, Bytes)>,
    is_closed: AtomicBool,
    cut: Counter,
}

/// What is known of one stream.
struct Seat {
    /// As the client asked for it; it holds the token that must stay valid.
    headers: HeaderMap,
    connection: Cut,
    /// The number of the event that it took last.
    taken: AtomicU64,
    /// Why it is to end: what to say last.
    last_words: Mutex<Option<Bytes>>,
}

impl Default for LiveStreams {
    fn default() -> Self {
        Self {
            seats: Mutex::default(),
            newest: watch::Sender::new((0, Bytes::new())),
            is_closed: AtomicBool::new(false),
            cut: Counter::default(),
        }
    }
}

impl LiveStreams {
    fn open(
        self: &Arc<Self>,
        headers: HeaderMap,
        connection: Cut,
    ) -> Result<LiveStream, AdminError> {
        if self.is_closed.load(Ordering::Acquire) {
            let why = "the server is stopping";
            return Err(AdminError::overloaded(why, RETRY_SECONDS));
        }
        let mut seats = self.seats.lock();
        if seats.len() >= STREAMS_MAX {
            return Err(AdminError::overloaded(
                format!("{STREAMS_MAX} live streams are open, and no more are served at once"),
                RETRY_SECONDS,
            ));
        }
        // Behind the lock, so that no event comes between the two.
        let newest = self.newest.subscribe();
        let seat = Arc::new(Seat {
            headers,
            connection,
            taken: AtomicU64::new(newest.borrow().0),
            last_words: Mutex::new(None),
        });
        seats.push(Arc::clone(&seat));
        Ok(LiveStream {
            streams: Arc::clone(self),
            seat,
            newest,
            is_over: false,
        })
    }

    /// Gives all streams an event, which is made only if there are any, and cuts those
    /// that have taken none for too long.
    fn publish(&self, make: impl FnOnce() -> Bytes) {
        if self.seats.lock().is_empty() {
            return;
        }
        let event = make();
        let number = self.newest.borrow().0 + 1;
        self.newest.send_replace((number, event));
        self.seats.lock().retain(|seat| {
            let keeps_up = number - seat.taken.load(Ordering::Relaxed) <= MISSED_EVENTS_MAX;
            if !keeps_up {
                seat.connection.cut();
                self.cut.add(1);
            }
            keeps_up
        });
    }

    /// Ends the streams that the test picks: they say why, and whoever does not read that
    /// is cut.
    fn end(&self, reason: &'static str, picks: impl Fn(&Seat) -> bool) {
        let words = Bytes::from(format!("event: end\ndata: {{\"Reason\":\"{reason}\"}}\n\n"));
        let picked: Vec<Arc<Seat>> = {
            let seats = self.seats.lock();
            seats.iter().filter(|seat| picks(seat)).cloned().collect()
        };
        if picked.is_empty() {
            return;
        }
        for seat in &picked {
            *seat.last_words.lock() = Some(words.clone());
        }
        // Nothing changes but that they look.
        self.newest.send_modify(|_| ());
        tokio::spawn(async move {
            tokio::time::sleep(GOODBYE_TIME).await;
            for seat in picked {
                seat.connection.cut();
            }
        });
    }

    /// Ends all streams and opens no more.
    pub(in crate::admin) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.end("stopping", |_| true);
    }

    pub(in crate::admin) fn write_metrics(&self, text: &mut PrometheusText) {
        text.family(
            "purser_live_streams",
            Kind::Gauge,
            "Streams of /admin/v1/live that are open.",
        )
        .sample(&[], self.seats.lock().len());
        text.family(
            "purser_live_streams_cut_total",
            Kind::Counter,
            "Streams of /admin/v1/live that were cut because their client took nothing.",
        )
        .sample(&[], self.cut.get());
    }
}

/// One stream, as long as its client is there.
struct LiveStream {
    streams: Arc<LiveStreams>,
    seat: Arc<Seat>,
    newest: watch::Receiver<(u64, Bytes)>,
    is_over: bool,
}

impl LiveStream {
    /// The next event, or `None` behind the last words.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        loop {
            self.newest.changed().await.ok()?;
            let last_words = self.seat.last_words.lock().take();
            if let Some(words) = last_words {
                self.is_over = true;
                return Some(words);
            }
            let (number, event) = self.newest.borrow_and_update().clone();
            // The same event again: others were told to look for their last words.
            if self.seat.taken.swap(number, Ordering::Relaxed) != number {
                return Some(event);
            }
        }
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        let mut seats = self.streams.seats.lock();
        seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

/// `GET /admin/v1/live`.
pub(in crate::admin) async fn live(
    State(app): State<App>,
    ConnectInfo(connection): ConnectInfo<Cut>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    Ok(answer(app.live_streams.open(headers, connection)?))
}

fn answer(stream: LiveStream) -> Response {
    let events = stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // The figures of a wallet are nobody's to keep.
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// Feeds the streams for as long as the admin API runs.
pub(in crate::admin) async fn run_live_streams(app: App) {
    let mut ticks = tokio::time::interval(EVENT_INTERVAL);
    // After a pause the next event comes at once and no others to make up for it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let streams = &app.live_streams;
        streams.end("token", |seat| !auth::may_pass(&app, &seat.headers));
        streams.publish(|| event(&app));
    }
}

fn event(app: &App) -> Bytes {
    let text = metrics::write_all(app);
    let event = Event {
        at: rfc3339(shards::runtime::now()),
        uptime_seconds: app.started.elapsed().as_secs_f64(),
        metrics: samples::parse(&text),
    };
    // The members are text and numbers, which JSON always takes, and never a line end.
    let json = serde_json::to_string(&event).unwrap_or_default();
    Bytes::from(format!("data: {json}\n\n"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::super::super::listener::Listener;
    use super::*;

    /// Serves streams that the test feeds, and ends when the test does.
    fn check<T: Future>(test: impl FnOnce(SocketAddr, Arc<LiveStreams>) -> T) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let listener = Listener::new(listener, 64, Duration::from_secs(300));
            let streams: Arc<LiveStreams> = Arc::default();
            let handler = {
                let streams = Arc::clone(&streams);
                move |ConnectInfo(connection): ConnectInfo<Cut>, headers: HeaderMap| async move {
                    streams.open(headers, connection).map(answer)
                }
            };
            let router = Router::new().route("/", get(handler));
            let service = router.into_make_service_with_connect_info::<Cut>();
            tokio::spawn(axum::serve(listener, service).into_future());
            test(addr, streams).await;
        });
    }

    fn connect(addr: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        stream
    }

    /// Waits until that many streams are open.
    async fn until_open(streams: &LiveStreams, count: usize) {
        let wait = async {
            while streams.seats.lock().len() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("never {count} streams"));
    }

    /// Everything that comes until the connection ends, read on a thread of its own.
    fn read_all(mut stream: TcpStream) -> tokio::task::JoinHandle<(Vec<u8>, bool)> {
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let ended_well = stream.read_to_end(&mut bytes).is_ok();
            (bytes, ended_well)
        })
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut_and_others_go_on() {
        check(async |addr, streams| {
            let silent = connect(addr);
            let reading = read_all(connect(addr));
            until_open(&streams, 2).await;
            let large = Bytes::from(vec![b'x'; 1 << 20]);
            // Far beyond what the kernel and the library buffer for one connection.
            for _ in 0..200 {
                streams.publish(|| large.clone());
                tokio::time::sleep(Duration::from_millis(10)).await;
                if streams.seats.lock().len() < 2 {
                    break;
                }
            }
            assert_eq!((streams.seats.lock().len(), streams.cut.get()), (1, 1));
            // What was under way arrives, and the end is no proper one.
            let (bytes, _) = read_all(silent).await.unwrap();
            assert!(!bytes.ends_with(b"0\r\n\r\n"));
            streams.close();
            let (bytes, ended_well) = reading.await.unwrap();
            assert!(ended_well);
            let end = String::from_utf8_lossy(&bytes[bytes.len() - 60..]).into_owned();
            assert!(
                end.contains("event: end\ndata: {\"Reason\":\"stopping\"}"),
                "{end}"
            );
            until_open(&streams, 0).await;
        });
    }

    #[test]
    fn nothing_is_made_while_nobody_listens() {
        check(async |addr, streams| {
            streams.publish(|| unreachable!("nobody listens"));
            let client = connect(addr);
            until_open(&streams, 1).await;
            streams.publish(|| Bytes::from_static(b"data: 1\n\n"));
            drop(client);
            until_open(&streams, 0).await;
            streams.publish(|| unreachable!("nobody listens any more"));
        });
    }

    #[test]
    fn only_the_streams_that_are_picked_end() {
        check(async |addr, streams| {
            let first = read_all(connect(addr));
            until_open(&streams, 1).await;
            let seat = Arc::clone(&streams.seats.lock()[0]);
            let second = read_all(connect(addr));
            until_open(&streams, 2).await;
            streams.publish(|| Bytes::from_static(b"data: 1\n\n"));
            // Both have it before the end of one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            streams.end("token", |found| std::ptr::eq(found, &raw const *seat));
            let (bytes, _) = first.await.unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                text.contains("data: 1\n") && text.contains("\"token\""),
                "{text}"
            );
            until_open(&streams, 1).await;
            streams.close();
            let (bytes, _) = second.await.unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text.matches("data: 1\n").count(), 1, "{text}");
            assert!(!text.contains("\"token\""), "{text}");
        });
    }

    #[test]
    fn there_is_room_for_so_many_and_none_while_it_stops() {
        check(async |addr, streams| {
            let open: Vec<TcpStream> = (0..STREAMS_MAX).map(|_| connect(addr)).collect();
            until_open(&streams, STREAMS_MAX).await;
            let refused = |expected: &'static str| async move {
                let client = connect(addr);
                let answer = tokio::task::spawn_blocking(move || {
                    let mut client = client;
                    let mut answer = [0; 1024];
                    let length = client.read(&mut answer).unwrap();
                    String::from_utf8_lossy(&answer[..length]).into_owned()
                });
                let answer = answer.await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
                assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
                assert!(answer.contains(expected), "{answer}");
            };
            refused("16 live streams are open").await;
            drop(open);
            until_open(&streams, 0).await;
            let _again = connect(addr);
            until_open(&streams, 1).await;
            streams.close();
            refused("the server is stopping").await;
        });
    }
}
