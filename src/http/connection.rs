//! One connection from its first byte to its last.
//!
//! Requests are answered in the order in which they came, and the answers to all that
//! one read brought leave in one write. A wake with one request costs one read and one
//! write; nothing is allocated once the buffers have their size. A connection that
//! always has another request gives way after a few dozen; one whose shard has too many
//! in flight already is told so before its body is looked at.
//!
//! What ends a connection (RFC 9112 section 9): the client closes or asks to close, the
//! framing is in doubt, a wait lasts too long, or the shard drains. Whatever was
//! answered before is sent first, and every answer that is the last one says so.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use futures_lite::{AsyncRead, AsyncWrite};

use super::body::{BodyReader, BodyState};
use super::encode::{self, AnswerHead, Connection as ConnectionField};
use super::fields::{Framing, Head};
use super::limits::{
    FORWARDED_FOR_MAX, OUTPUT_BYTES_FLUSH, REQUESTS_PER_TURN_MAX, WAITED_REQUEST_WEIGHT,
};
use super::parse::{HeadParser, Parsed, Version};
use super::remembered::Remembered;
use super::shared::HttpShared;
use super::wire::{Broken, Fill, Wire};
use super::{Answer, Full, Method, Rejection, Request, Service, Socket};
use crate::stages::StageTimes;

/// Serves one connection until it ends. Not to be dropped before: a request may have
/// booked what only its answer says.
pub async fn serve_connection<S: Service, IO: Socket>(
    io: IO,
    peer: IpAddr,
    service: &S,
    shared: &Rc<HttpShared>,
) {
    let mut connection = Connection {
        wire: Wire::new(io, shared),
        service,
        shared,
        peer,
        session: S::Session::default(),
        answer_body: Vec::new(),
        remembered: Remembered::default(),
        is_fresh: true,
        begun_at: Instant::now(),
        turn: 0,
        weight: 1,
        refusals: 0,
        answered_draining: 0,
    };
    loop {
        match connection.serve_request().await {
            Next::Request => {}
            Next::Linger => return connection.wire.linger().await,
            Next::Close => return,
        }
    }
}

/// Answers a connection 503 for want of a seat, whatever it asks.
pub async fn refuse_connection<S: Service, IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    full: Full,
    service: &S,
    shared: &Rc<HttpShared>,
) {
    let rejection = overloaded(match full {
        Full::Server => "Too many connections are open",
        Full::Client => "Too many connections from this address are open",
    });
    let mut body = Vec::new();
    service.write_rejection(&rejection, &mut body);
    let head = AnswerHead::of(&rejection, ConnectionField::Close, false);
    let mut wire = Wire::new(io, shared);
    encode::answer(&mut wire.output.bytes, &head, &shared.common, &body);
    wire.linger().await;
}

/// 503 for want of room: it comes back in milliseconds, and 1 s is the least that
/// `Retry-After` can say.
fn overloaded(description: &'static str) -> Rejection {
    Rejection {
        retry_after: Some(1),
        ..Rejection::closing(503, description)
    }
}

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The next one.
    Request,
    /// Nothing: send what is unsent and let the client read it.
    Linger,
    /// Nothing, and there is nobody to tell.
    Close,
}

struct Connection<'s, S: Service, IO> {
    wire: Wire<IO>,
    service: &'s S,
    shared: &'s Rc<HttpShared>,
    peer: IpAddr,
    session: S::Session,
    /// Of the answer that is being made; kept for its memory.
    answer_body: Vec<u8>,
    remembered: Remembered<S::Target>,
    /// Whether no request has come yet.
    is_fresh: bool,
    /// When the first byte of the request at hand came, or its turn if that came before.
    begun_at: Instant,
    /// Requests since the executor last looked for I/O, as far as this task knows, by
    /// their weight.
    turn: usize,
    /// Of the request at hand.
    weight: usize,
    /// Answers that asked the client to come later, since the connection last rested.
    refusals: u32,
    /// Requests since the shard began to drain.
    answered_draining: usize,
}

impl<S: Service, IO: Socket> Connection<'_, S, IO> {
    async fn serve_request(&mut self) -> Next {
        let (head, target) = match self.read_head().await {
            Ok(found) => found,
            Err(next) => return next,
        };
        self.is_fresh = false;
        let mut body = match BodyReader::new(head.framing, &self.shared.limits()) {
            Ok(body) => body,
            Err(rejection) => {
                return self.reject(&rejection, ConnectionField::Close, is_head(&head));
            }
        };
        let judged = match target {
            Some(target) => Ok(target),
            None => self.judge(&head),
        };
        let next = match judged {
            Err(rejection) => self.refuse(&head, &mut body, &rejection).await,
            Ok(target) => match self.read_body(&head, &mut body).await {
                Err(BodyFailed::Rejected(rejection)) => {
                    self.reject(&rejection, ConnectionField::Close, is_head(&head))
                }
                Err(BodyFailed::Broken) => Next::Close,
                Ok((len, consumed)) => self.answer(&head, target, len, consumed).await,
            },
        };
        if next == Next::Request {
            self.give_way().await
        } else {
            next
        }
    }

    /// Waits for the head of the next request; where it leads, if it was here before.
    async fn read_head(&mut self) -> Result<(Rc<Head>, Option<S::Target>), Next> {
        let mut parser = HeadParser::default();
        // A new connection that says nothing gets as long as one that says half a head.
        let idle_timeout = if self.is_fresh {
            self.shared.limits().header_timeout
        } else {
            self.shared.limits().idle_timeout
        };
        let mut deadline = self.shared.deadline(idle_timeout);
        let mut has_begun = false;
        self.begun_at = self.wire.filled_at;
        loop {
            let bytes = self.wire.input.bytes();
            if !bytes.is_empty() {
                if !has_begun && let Some((head, target)) = self.remembered.find(bytes) {
                    return Ok((head, Some(target)));
                }
                let limits = self.shared.limits();
                match parser.parse(bytes, &limits) {
                    Parsed::Head(head) => return Ok((Rc::new(head), None)),
                    Parsed::Rejected(rejection) => {
                        let without_body = parser.is_head_request();
                        return Err(self.reject(&rejection, ConnectionField::Close, without_body));
                    }
                    Parsed::Incomplete => {}
                }
                if !has_begun && parser.has_begun(bytes) {
                    has_begun = true;
                    deadline = self.shared.deadline(limits.header_timeout);
                }
            }
            if self.refusals > 0 && self.rest().await.is_err() {
                return Err(Next::Close);
            }
            let rejection = match self.wire.fill(deadline, !has_begun).await {
                Fill::Bytes(_) => {
                    if !has_begun {
                        self.begun_at = self.wire.filled_at;
                    }
                    continue;
                }
                Fill::Broken => return Err(Next::Close),
                Fill::End if !has_begun => return Err(Next::Close),
                Fill::End => Rejection::closing(400, "Request head: ended in the middle"),
                Fill::Expired if !has_begun => {
                    self.shared.metrics.timeouts_idle.add(1);
                    return Err(Next::Close);
                }
                Fill::Expired => {
                    self.shared.metrics.timeouts_head.add(1);
                    Rejection::closing(408, "Request head: did not arrive in time")
                }
            };
            let without_body = parser.is_head_request();
            return Err(self.reject(&rejection, ConnectionField::Close, without_body));
        }
    }

    /// Everything that a head decides, once its framing is sound.
    fn judge(&mut self, head: &Rc<Head>) -> Result<S::Target, Rejection> {
        let bytes = self.wire.input.bytes();
        let Some(request_head) = head.request_head(bytes) else {
            return Err(Rejection {
                close: false,
                ..Rejection::closing(501, "Method: unknown")
            });
        };
        if head.expects_other {
            return Err(Rejection {
                close: false,
                ..Rejection::closing(417, "Expect: only 100-continue can be fulfilled")
            });
        }
        let target = self.service.check_head(&request_head)?;
        self.remembered.keep(bytes, head, target);
        Ok(target)
    }

    /// Answers a request whose head is refused, at once, then takes its body away.
    async fn refuse(&mut self, head: &Head, body: &mut BodyReader, rejection: &Rejection) -> Next {
        // Who waits for a 100 and gets something else may send the body or leave it out,
        // so nobody knows where the next request begins (RFC 9110 section 10.1.1).
        let body_is_uncertain =
            (head.expects_continue || head.expects_other) && head.framing != Framing::Absent;
        let field = if rejection.close || body_is_uncertain {
            ConnectionField::Close
        } else {
            self.connection_field(head, None)
        };
        if self.reject(rejection, field, is_head(head)) == Next::Linger {
            return Next::Linger;
        }
        // It was answered: whatever else is wrong with it can only end the connection.
        match self.read_body(head, body).await {
            Ok((_, consumed)) => {
                self.wire.input.consume(head.len + consumed);
                Next::Request
            }
            Err(BodyFailed::Rejected(_)) => Next::Linger,
            Err(BodyFailed::Broken) => Next::Close,
        }
    }

    /// Writes the answer to a request that is refused.
    fn reject(
        &mut self,
        rejection: &Rejection,
        field: ConnectionField,
        without_body: bool,
    ) -> Next {
        self.shared.metrics.rejections.add(rejection.status.0);
        self.answer_body.clear();
        self.service
            .write_rejection(rejection, &mut self.answer_body);
        self.push_answer(&AnswerHead::of(rejection, field, without_body))
    }

    fn push_answer(&mut self, head: &AnswerHead<'_>) -> Next {
        let out = &mut self.wire.output.bytes;
        encode::answer(out, head, &self.shared.common, &self.answer_body);
        if head.connection == ConnectionField::Close {
            Next::Linger
        } else {
            Next::Request
        }
    }

    /// Waits for the body, asking for it where the client waits to be asked: its length,
    /// and that of what carried it.
    async fn read_body(
        &mut self,
        head: &Head,
        body: &mut BodyReader,
    ) -> Result<(usize, usize), BodyFailed> {
        let mut deadline = None;
        let mut may_ask = head.expects_continue;
        loop {
            let bytes = &mut self.wire.input.bytes_mut()[head.len..];
            let is_missing = bytes.is_empty();
            match body.advance(bytes) {
                BodyState::Complete { len, consumed } => return Ok((len, consumed)),
                BodyState::Rejected(rejection) => return Err(BodyFailed::Rejected(rejection)),
                BodyState::Incomplete => {}
            }
            if let Some(gap) = body.take_gap() {
                self.wire
                    .input
                    .remove(head.len + gap.start..head.len + gap.end);
            }
            // Who has begun to send does not wait (RFC 9110 section 10.1.1).
            if std::mem::take(&mut may_ask) && is_missing {
                self.wire.output.bytes.extend_from_slice(encode::CONTINUE);
            }
            let deadline = *deadline
                .get_or_insert_with(|| self.shared.deadline(self.shared.limits().body_timeout));
            match self.wire.fill(deadline, false).await {
                Fill::Bytes(_) => {}
                Fill::Broken => return Err(BodyFailed::Broken),
                Fill::End => {
                    let rejection = Rejection::closing(400, "Body: ended in the middle");
                    return Err(BodyFailed::Rejected(rejection));
                }
                Fill::Expired => {
                    self.shared.metrics.timeouts_body.add(1);
                    let rejection = Rejection::closing(408, "Body: did not arrive in time");
                    return Err(BodyFailed::Rejected(rejection));
                }
            }
        }
    }

    /// Has the service answer a complete request, if there is room for it.
    async fn answer(
        &mut self,
        head: &Head,
        target: S::Target,
        body_len: usize,
        body_consumed: usize,
    ) -> Next {
        let shared = self.shared;
        let consumed = head.len + body_consumed;
        if shared.admission.is_full() && !self.service.is_always_admitted(target) {
            shared.metrics.requests_refused_full.add(1);
            self.refusals += 1;
            let field = self.connection_field(head, Some(consumed));
            self.wire.input.consume(consumed);
            let rejection = overloaded("Too many requests are in flight; nothing was done");
            return self.reject(&rejection, field, is_head(head));
        }
        shared.metrics.requests.add(1);
        let in_flight = shared.admission.begin();
        let mut times = StageTimes::begin(self.begun_at, self.wire.filled_at);
        let answer = self.call(head, target, body_len, &mut times).await;
        drop(in_flight);
        // The next request, if it is there already, has the connection from here on.
        self.wire.filled_at = times.until();
        self.refusals += u32::from(answer.retry_after.is_some());
        let answer_head = AnswerHead {
            status: answer.status,
            retry_after: answer.retry_after,
            allow: None,
            connection: self.connection_field(head, Some(consumed)),
            without_body: is_head(head),
            times: head.wants_server_timing.then_some(&times),
        };
        self.wire.input.consume(consumed);
        self.push_answer(&answer_head)
    }

    /// Leaves what the client sends next in the socket for a while; what it was told so
    /// far goes out first.
    async fn rest(&mut self) -> Result<(), Broken> {
        self.wire.flush().await?;
        let refusals = std::mem::take(&mut self.refusals);
        let time = self.shared.admission.rest(refusals);
        self.wire.io.rest(time).await;
        self.wire.has_waited = true;
        Ok(())
    }

    /// Calls the service. While it is not ready, answers to earlier requests go out.
    async fn call(
        &mut self,
        head: &Head,
        target: S::Target,
        body_len: usize,
        times: &mut StageTimes,
    ) -> Answer {
        let Wire {
            io, input, output, ..
        } = &mut self.wire;
        let weight = &mut self.weight;
        let (head_bytes, rest) = input.bytes_mut().split_at_mut(head.len);
        let head_bytes = &*head_bytes;
        let mut lines = [&[][..]; FORWARDED_FOR_MAX];
        let request = Request {
            authorization: head.authorization(head_bytes),
            signature: head.signature(head_bytes),
            forwarded_for: head.forwarded_for(head_bytes, &mut lines),
            times,
            peer: self.peer,
            body: &mut rest[..body_len],
        };
        self.answer_body.clear();
        let mut call =
            pin!(
                self.service
                    .call(&mut self.session, target, request, &mut self.answer_body)
            );
        poll_fn(|cx| {
            let answer = call.as_mut().poll(cx);
            if answer.is_pending() {
                *weight = WAITED_REQUEST_WEIGHT;
                if !output.is_empty() {
                    // A failure shows again when this answer is sent: the call goes on,
                    // for what it books stands whether or not anybody hears of it.
                    let _ = output.poll_send(cx, io, &self.shared.metrics);
                }
            }
            answer
        })
        .await
    }

    /// What the answer to this request says of the connection. `consumed` are the bytes
    /// of the request in the buffer, if they are known.
    fn connection_field(&mut self, head: &Head, consumed: Option<usize>) -> ConnectionField {
        if !head.persistent || (self.shared.is_draining() && self.is_last(consumed)) {
            ConnectionField::Close
        } else if head.version == Version::Http10 {
            ConnectionField::KeepAlive
        } else {
            ConnectionField::Default
        }
    }

    /// While the shard drains: requests that have come already, in part or perhaps still
    /// in the socket, are answered too, up to a bound for those who never stop.
    fn is_last(&mut self, consumed: Option<usize>) -> bool {
        self.answered_draining += 1;
        let has_another =
            consumed.is_some_and(|consumed| self.wire.input.has_more_behind(consumed));
        !has_another || self.answered_draining > REQUESTS_PER_TURN_MAX
    }

    /// Between two requests: sends what has piled up, and lets others run after a while.
    async fn give_way(&mut self) -> Next {
        let weight = std::mem::replace(&mut self.weight, 1);
        self.turn = if std::mem::take(&mut self.wire.has_waited) {
            weight
        } else {
            self.turn + weight
        };
        let turn_is_over = self.turn >= REQUESTS_PER_TURN_MAX;
        let has_piled_up = self.wire.output.bytes.len() >= OUTPUT_BYTES_FLUSH;
        if !turn_is_over && !has_piled_up {
            return Next::Request;
        }
        if self.wire.flush().await.is_err() {
            return Next::Close;
        }
        if turn_is_over {
            self.turn = 0;
            self.wire.io.give_way().await;
        }
        // What others had in between is not the time of the request that is there already.
        self.wire.filled_at = Instant::now();
        Next::Request
    }
}

/// Why there is no body.
#[derive(Debug)]
enum BodyFailed {
    Rejected(Rejection),
    Broken,
}

fn is_head(head: &Head) -> bool {
    head.method == Some(Method::Head)
}

#[cfg(test)]
#[path = "connection_body_tests.rs"]
mod body_tests;
#[cfg(test)]
#[path = "connection_property_tests.rs"]
mod property_tests;
#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "connection_time_tests.rs"]
mod time_tests;
