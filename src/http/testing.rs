//! A client in memory: one connection on one thread, polled only when it was woken, so
//! that a lost wake shows as an answer that never comes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncWrite};

use super::connection::{refuse_connection, serve_connection};
use super::{
    Answer, Full, HttpMetrics, HttpShared, Limits, Method, Rejection, Request, RequestHead, Seats,
    Service, Socket, Status,
};

/// The server's end of a connection, as the test sees it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    incoming: VecDeque<Vec<u8>>,
    has_ended: bool,
    outgoing: Vec<u8>,
    /// Bytes that the client still takes; none: all of them.
    room: Option<usize>,
    /// Reads that brought something, and writes that took something.
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    /// How often the connection let everybody else run.
    pub(crate) gave_way: usize,
    /// How long it rested each time, and how many bytes the client had been told by then
    /// and not taken.
    pub(crate) rests: Vec<(Duration, usize)>,
    /// Whether the server said that nothing follows.
    pub(crate) is_shut: bool,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct End(Rc<RefCell<Line>>);

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.0.borrow_mut();
        assert!(!buf.is_empty());
        let Some(mut piece) = line.incoming.pop_front() else {
            line.waker = Some(cx.waker().clone());
            return if line.has_ended {
                Poll::Ready(Ok(0))
            } else {
                Poll::Pending
            };
        };
        let count = piece.len().min(buf.len());
        buf[..count].copy_from_slice(&piece[..count]);
        if count < piece.len() {
            line.incoming.push_front(piece.split_off(count));
        }
        line.reads += 1;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.0.borrow_mut();
        assert!(!line.is_shut);
        let count = line.room.unwrap_or(usize::MAX).min(buf.len());
        if count == 0 {
            line.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        line.room = line.room.map(|room| room - count);
        line.outgoing.extend_from_slice(&buf[..count]);
        line.writes += 1;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

impl Socket for End {
    async fn give_way(&self) {
        self.0.borrow_mut().gave_way += 1;
        yield_now().await;
    }

    async fn rest(&self, time: Duration) {
        let mut line = self.0.borrow_mut();
        let told = line.outgoing.len();
        line.rests.push((time, told));
    }
}

/// Answers with what it was asked: method, path and body. `/missing` is 404, `/read`
/// allows GET only, `/later` waits for the gate, `/yielding` is not ready at once.
#[derive(Default)]
pub(crate) struct Echo {
    gate_is_open: Cell<bool>,
    gate: Cell<Option<Waker>>,
    /// Bytes that each answer is longer.
    pub(crate) padding: Cell<usize>,
}

impl Service for Echo {
    /// Requests on this connection.
    type Session = usize;

    /// What was asked for; the path lives as long as the test program.
    type Target = (Method, &'static str);

    fn check_head(&self, head: &RequestHead<'_>) -> Result<Self::Target, Rejection> {
        let refused = |status, allow| Rejection {
            close: false,
            allow,
            ..Rejection::closing(status, "refused")
        };
        match head.path {
            "/missing" => Err(refused(404, None)),
            "/read" if head.method != Method::Get => Err(refused(405, Some("GET"))),
            path => Ok((head.method, path.to_owned().leak())),
        }
    }

    fn is_always_admitted(&self, (_, path): Self::Target) -> bool {
        path == "/health"
    }

    async fn call(
        &self,
        count: &mut usize,
        (method, path): Self::Target,
        request: Request<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        assert!(out.is_empty());
        *count += 1;
        if path == "/later" {
            poll_fn(|cx| {
                self.gate.set(Some(cx.waker().clone()));
                if self.gate_is_open.get() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
        if path == "/yielding" {
            yield_now().await;
        }
        let text = String::from_utf8_lossy(request.body);
        out.extend_from_slice(format!("{count} {method:?} {path} {text}").as_bytes());
        out.resize(out.len() + self.padding.get(), b'.');
        request.body.fill(0);
        request.times.end(Instant::now());
        Answer {
            status: Status(200),
            retry_after: None,
        }
    }

    fn write_rejection(&self, rejection: &Rejection, out: &mut Vec<u8>) {
        out.extend_from_slice(rejection.description.as_bytes());
    }
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One connection with its client.
pub(crate) struct Client {
    pub(crate) line: Rc<RefCell<Line>>,
    pub(crate) service: Rc<Echo>,
    pub(crate) shared: Rc<HttpShared>,
    task: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Woken>,
    /// How often the task ran.
    pub(crate) polls: usize,
}

pub(crate) fn shared(limits: Limits) -> Rc<HttpShared> {
    let seats = Arc::new(Seats::new(100, 0));
    HttpShared::new(limits, Arc::new(HttpMetrics::default()), seats)
}

impl Client {
    pub(crate) fn connect() -> Self {
        Self::connect_to(&shared(Limits::default()))
    }

    pub(crate) fn connect_to(shared: &Rc<HttpShared>) -> Self {
        Self::start(shared, |end, service, shared| {
            Box::pin(async move {
                let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
                serve_connection(end, peer, &*service, &shared).await;
            })
        })
    }

    pub(crate) fn connect_refused(shared: &Rc<HttpShared>) -> Self {
        Self::start(shared, |end, service, shared| {
            Box::pin(async move { refuse_connection(end, Full::Server, &*service, &shared).await })
        })
    }

    fn start(
        shared: &Rc<HttpShared>,
        serve: impl FnOnce(End, Rc<Echo>, Rc<HttpShared>) -> Pin<Box<dyn Future<Output = ()>>>,
    ) -> Self {
        let line = Rc::<RefCell<Line>>::default();
        let service = Rc::<Echo>::default();
        let task = serve(
            End(Rc::clone(&line)),
            Rc::clone(&service),
            Rc::clone(shared),
        );
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let shared = Rc::clone(shared);
        let mut client = Self {
            line,
            service,
            shared,
            task: Some(task),
            woken,
            polls: 0,
        };
        client.run();
        client
    }

    /// Runs the connection for as long as something wakes it.
    pub(crate) fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        while let Some(task) = &mut self.task
            && self.woken.0.swap(false, Ordering::SeqCst)
        {
            self.polls += 1;
            if task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.task = None;
            }
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Line)) {
        let waker = {
            let mut line = self.line.borrow_mut();
            change(&mut line);
            line.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        self.run();
    }

    /// Sends a piece, unless it is empty: reading nothing would mean the end.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if !bytes.is_empty() {
            self.change(|line| line.incoming.push_back(bytes.to_vec()));
        }
    }

    /// Sends nothing more.
    pub(crate) fn end(&mut self) {
        self.change(|line| line.has_ended = true);
    }

    /// From now on takes that many bytes and no more; none: all.
    pub(crate) fn take(&mut self, room: Option<usize>) {
        self.change(|line| line.room = room);
    }

    /// Lets the service answer `/later`.
    pub(crate) fn open_gate(&mut self) {
        self.service.gate_is_open.set(true);
        if let Some(waker) = self.service.gate.take() {
            waker.wake();
        }
        self.run();
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(250);
        for _ in 0..time.as_millis() / step.as_millis() {
            self.shared.sweep(step, SystemTime::now());
            self.run();
        }
    }

    /// Whether the server has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.task.is_none()
    }

    /// What was received since the last time.
    pub(crate) fn received(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.line.borrow_mut().outgoing)).unwrap()
    }

    /// The answers received since the last time, each as `status connection body`, the
    /// connection being what its field says or `-`. None of them answers HEAD.
    pub(crate) fn answers(&mut self) -> Vec<String> {
        let text = self.received();
        let mut rest = &text[..];
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let (head, behind) = rest.split_once("\r\n\r\n").expect(rest);
            let status = head.strip_prefix("HTTP/1.1 ").expect(head)[..3].to_owned();
            let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            if status == "100" {
                assert_eq!(head.lines().count(), 1, "{head}");
                rest = behind;
                answers.push(status);
                continue;
            }
            assert!(
                field("Date: ").is_some_and(|date| date.ends_with(" GMT")),
                "{head}"
            );
            assert_eq!(field("Server: "), Some("purser"), "{head}");
            assert_eq!(field("Content-Type: "), Some("application/json"), "{head}");
            let len: usize = field("Content-Length: ").expect(head).parse().unwrap();
            let connection = field("Connection: ").unwrap_or("-");
            answers.push(format!("{status} {connection} {}", &behind[..len]));
            rest = &behind[len..];
        }
        answers
    }
}
