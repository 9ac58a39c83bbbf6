import QQCore
import Synchronization
import Testing

@testable import QQNATS

/// A configuration with consumer names "1", "2", … and inboxes "i1", "i2", …
func numberedWatch(_ bucket: String = "b", keys: String = ">") -> OrderedConsumer.Configuration {
    let (names, inboxes) = (Counter(), Counter())
    return OrderedConsumer.Configuration(
        bucket: bucket, keys: keys, newName: { "\(names.next())" }, newInbox: { "i\(inboxes.next())" })
}

private final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

@Suite("An ordered consumer") struct OrderedConsumerTests {
    /// A watch with a simulated clock, in milliseconds.
    private struct Watch {
        var consumer = OrderedConsumer(numberedWatch(keys: "lease"))
        var now: UInt64 = 0

        mutating func handle(_ event: OrderedConsumer.Event, at milliseconds: UInt64 = 0) -> [OrderedConsumer.Action] {
            now = max(now, milliseconds)
            return consumer.handle(event, now: Watch.at(now))
        }

        static func at(_ milliseconds: UInt64) -> BootInstant { BootInstant(nanoseconds: milliseconds * 1_000_000) }

        /// A running watch with its first consumer.
        static func running(pending: UInt64 = 0) -> Watch {
            var watch = Watch()
            _ = watch.handle(.start)
            _ = watch.handle(.created(ConsumerInfo(name: "1", pending: pending)))
            return watch
        }
    }

    private func creation(_ number: Int) -> [OrderedConsumer.Action] {
        [
            .subscribe("i\(number)"),
            .create(
                ConsumerConfiguration(
                    stream: "KV_b", name: "\(number)", filter: "$KV.b.lease", deliverSubject: "i\(number)", heartbeat: .seconds(5))),
        ]
    }

    private func end(_ number: Int) -> [OrderedConsumer.Action] {
        [.unsubscribe("i\(number)"), .deleteConsumer(stream: "KV_b", name: "\(number)")]
    }

    /// Entry `revision`, the `count`th of consumer `consumer`, written at second `written`.
    private func delivery(
        _ revision: UInt64, _ count: UInt64, consumer: Int = 1, written: UInt64? = nil, pending: UInt64 = 0, subject: String = "$KV.b.lease"
    ) -> OrderedConsumer.Event {
        .delivery(
            NATSMessage(
                subject: subject,
                reply: "$JS.ACK.KV_b.\(consumer).1.\(revision).\(count).\((written ?? revision) * 1_000_000_000).\(pending)",
                payload: [UInt8(truncatingIfNeeded: revision)]))
    }

    private func status(_ code: Int, _ fields: [NATSHeaders.Field] = [], reply: String? = nil, inbox: String = "i1")
        -> OrderedConsumer.Event
    {
        .delivery(NATSMessage(subject: inbox, reply: reply, headers: NATSHeaders(fields, status: code)))
    }

    private func revisions(_ actions: [OrderedConsumer.Action]) -> [UInt64] {
        actions.compactMap { if case .deliver(let entry) = $0 { entry.revision } else { nil } }
    }

    private let passing = JetStreamFailure.refused(
        JetStreamError(code: 503, errorCode: 10008, description: "JetStream system temporarily unavailable"))

    // MARK: Starting

    @Test("a watch subscribes before it creates a consumer") func starts() {
        var watch = Watch()
        #expect(watch.handle(.start) == creation(1))
        #expect(watch.handle(.start) == [])
    }

    @Test("a watch does nothing before it is started") func idle() {
        var watch = Watch()
        #expect(watch.handle(.timer) == [] && watch.handle(.reconnected) == [] && watch.handle(.disconnected) == [])
        #expect(watch.handle(delivery(1, 1)) == [])
        #expect(watch.handle(.start) == creation(1))
    }

    @Test("a watch of an empty bucket has its initial values immediately") func empty() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.created(ConsumerInfo(name: "1", pending: 0)), at: 10) == [.timer(Watch.at(12_510)), .initialDone])
    }

    @Test("the end of the initial values is reported once, when none is pending") func initialValues() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.created(ConsumerInfo(name: "1", pending: 2))) == [.timer(Watch.at(12_500))])
        #expect(!watch.handle(delivery(3, 1, pending: 1)).contains(.initialDone))
        let last = watch.handle(delivery(4, 2, pending: 0))
        #expect(revisions(last) == [4] && last.last == .initialDone)
        #expect(!watch.handle(delivery(5, 3, pending: 0)).contains(.initialDone))
    }

    @Test("values that arrive before the consumer's creation is answered are delivered") func early() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(revisions(watch.handle(delivery(3, 1, pending: 0))) == [3])
        #expect(watch.handle(.created(ConsumerInfo(name: "1", pending: 0, delivered: 1))) == [.timer(Watch.at(12_500))])
    }

    @Test("a watch waits for values that were sent before the answer but arrive after it") func late() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.created(ConsumerInfo(name: "1", pending: 0, delivered: 1))) == [.timer(Watch.at(12_500))])
        #expect(watch.handle(delivery(3, 1, pending: 0)).last == .initialDone)
    }

    @Test("the end of the initial values is reported even if the pending values have expired") func expiredOnTheWay() {
        var watch = Watch.running(pending: 1)
        #expect(watch.handle(status(100, [.init("Nats-Last-Consumer", "0"), .init("Nats-Last-Stream", "7")]), at: 5000) == [.initialDone])
    }

    // MARK: Deliveries

    @Test("each change is delivered once") func deliveries() {
        var watch = Watch.running()
        #expect(revisions(watch.handle(delivery(1, 1))) == [1])
        #expect(revisions(watch.handle(delivery(4, 2))) == [4])
    }

    @Test("messages that are not entries are counted but not delivered") func foreign() {
        var watch = Watch.running()
        #expect(watch.handle(delivery(1, 1, subject: "elsewhere")) == [])
        #expect(revisions(watch.handle(delivery(2, 2))) == [2])
    }

    @Test("messages and answers for other consumers are ignored") func stale() {
        var watch = Watch.running()
        #expect(watch.handle(delivery(1, 1, consumer: 9)) == [])
        #expect(watch.handle(status(409, inbox: "i9")) == [])
        #expect(watch.handle(.delivery(NATSMessage(subject: "i1", payload: [1]))) == [])
        #expect(watch.handle(.created(ConsumerInfo(name: "9", pending: 0))) == [])
        #expect(watch.handle(.createFailed(name: "9", .malformed("x"))) == [])
    }

    @Test("a stored message with a status line is delivered as an entry") func statusInMessage() {
        var watch = Watch.running()
        guard case .delivery(var message) = delivery(1, 1) else { return }
        message.headers.status = 409
        #expect(revisions(watch.handle(.delivery(message))) == [1])
    }

    // MARK: Gaps

    @Test("a watch replaces its consumer after a gap, and drops values that were delivered before") func gap() {
        var watch = Watch.running()
        _ = watch.handle(delivery(1, 1))
        #expect(watch.handle(delivery(3, 3)) == end(1) + creation(2))
        #expect(watch.handle(delivery(4, 4)) == [])
        _ = watch.handle(.created(ConsumerInfo(name: "2", pending: 2)))
        #expect(revisions(watch.handle(delivery(1, 1, consumer: 2, pending: 1))) == [])
        #expect(revisions(watch.handle(delivery(4, 2, consumer: 2))) == [4])
    }

    @Test("a heartbeat reveals a gap") func heartbeatGap() {
        var watch = Watch.running()
        _ = watch.handle(delivery(1, 1))
        #expect(watch.handle(status(100, [.init("Nats-Last-Consumer", "1")])) == [])
        #expect(watch.handle(status(100, [.init("Nats-Last-Consumer", "2")])) == end(1) + creation(2))
    }

    @Test("a consumer that restarts its count is replaced") func repeated() {
        var watch = Watch.running()
        _ = watch.handle(delivery(1, 1))
        #expect(watch.handle(delivery(2, 1)) == end(1) + creation(2))
    }

    @Test("a watch starts over if the bucket was created again") func bucketMadeAnew() {
        var watch = Watch.running()
        _ = watch.handle(delivery(50, 1, written: 100))
        _ = watch.handle(status(409))
        _ = watch.handle(.created(ConsumerInfo(name: "2", pending: 1)))
        #expect(revisions(watch.handle(delivery(3, 1, consumer: 2, written: 101))) == [3])
        #expect(revisions(watch.handle(delivery(4, 2, consumer: 2, written: 102))) == [4])
    }

    @Test("values from a server that lags behind are dropped") func lagging() {
        var watch = Watch.running()
        _ = watch.handle(delivery(50, 1, written: 100))
        _ = watch.handle(status(409))
        #expect(revisions(watch.handle(delivery(49, 1, consumer: 2, written: 99))) == [])
        #expect(revisions(watch.handle(delivery(50, 2, consumer: 2, written: 100))) == [])
        #expect(revisions(watch.handle(delivery(51, 3, consumer: 2, written: 99))) == [51])
    }

    // MARK: Flow control and heartbeats

    @Test("a watch answers flow control") func flowControl() {
        var watch = Watch.running()
        #expect(watch.handle(status(100, reply: "$JS.FC.KV_b.1.x")) == [.reply("$JS.FC.KV_b.1.x")])
        let stalled: [NATSHeaders.Field] = [.init("Nats-Last-Consumer", "0"), .init("Nats-Consumer-Stalled", "$JS.FC.KV_b.1.y")]
        #expect(watch.handle(status(100, stalled)) == [.reply("$JS.FC.KV_b.1.y")])
    }

    @Test("a silent consumer is replaced") func silence() {
        var watch = Watch.running()
        #expect(watch.handle(.timer, at: 12_499) == [.timer(Watch.at(12_500))])
        #expect(watch.handle(.timer, at: 12_500) == end(1) + creation(2))
    }

    @Test("messages and heartbeats keep a consumer from being replaced") func signs() {
        var watch = Watch.running()
        _ = watch.handle(delivery(1, 1), at: 4000)
        #expect(watch.handle(.timer, at: 12_500) == [.timer(Watch.at(16_500))])
        _ = watch.handle(status(100, [.init("Nats-Last-Consumer", "1")]), at: 15_000)
        #expect(watch.handle(.timer, at: 16_500) == [.timer(Watch.at(27_500))])
    }

    @Test("a consumer is not replaced before its creation is answered") func creating() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.timer, at: 99_000) == [])
    }

    @Test("a deleted consumer is replaced", arguments: [409, 404, 503]) func deleted(code: Int) {
        var watch = Watch.running()
        #expect(watch.handle(status(code)) == end(1) + creation(2))
    }

    // MARK: Failures

    @Test("a watch creates consumers again after growing pauses") func pauses() {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.createFailed(name: "1", passing)) == end(1) + creation(2))
        var number = 2
        var now: UInt64 = 0
        for pause in [100, 200, 400, 800, 1600, 3200, 5000, 5000] as [UInt64] {
            let until = Watch.at(now + pause)
            #expect(watch.handle(.createFailed(name: "\(number)", passing), at: now) == end(number) + [.timer(until)])
            #expect(watch.handle(.timer, at: now + pause - 1) == [.timer(until)])
            now += pause
            number += 1
            #expect(watch.handle(.timer, at: now) == creation(number))
        }
    }

    @Test("a watch pauses if consumers are deleted as soon as they are created, and stops pausing once a consumer has worked")
    func hotLoop() {
        var watch = Watch.running()
        #expect(watch.handle(status(409)) == end(1) + creation(2))
        _ = watch.handle(.created(ConsumerInfo(name: "2", pending: 0)))
        #expect(watch.handle(status(409, inbox: "i2")) == end(2) + [.timer(Watch.at(100))])
        #expect(watch.handle(.timer, at: 100) == creation(3))
        _ = watch.handle(.created(ConsumerInfo(name: "3", pending: 0)))
        _ = watch.handle(delivery(1, 1, consumer: 3))
        #expect(watch.handle(status(409, inbox: "i3")) == end(3) + creation(4))
    }

    @Test(
        "a watch ends if the stream was deleted or watching it is not allowed",
        arguments: [
            .refused(JetStreamError(code: 404, errorCode: 10059, description: "stream not found")),
            .refused(JetStreamError(code: 503, errorCode: 10039, description: "JetStream not enabled for account")),
            .refused(JetStreamError(code: 400, errorCode: 10026, description: "maximum consumers limit reached")),
            .failed(NATSError(.denied, "permissions violation")), .malformed("x"),
        ] as [JetStreamFailure])
    func fails(failure: JetStreamFailure) {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.createFailed(name: "1", failure)) == end(1) + [.fail(failure)])
        #expect(watch.consumer.hasEnded)
        #expect(watch.handle(.reconnected) == [] && watch.handle(.timer) == [] && watch.handle(.stop) == [])
    }

    @Test(
        "a watch continues after failures that a retry can cure",
        arguments: [.disconnected, .timedOut, .noResponders] as [NATSError.Kind])
    func goesOn(kind: NATSError.Kind) {
        var watch = Watch()
        _ = watch.handle(.start)
        #expect(watch.handle(.createFailed(name: "1", .failed(NATSError(kind, "x")))) == end(1) + creation(2))
    }

    // MARK: Connections

    @Test("a watch restarts after a reconnect and delivers no value twice") func reconnects() {
        var watch = Watch.running()
        _ = watch.handle(delivery(7, 1))
        #expect(watch.handle(.disconnected) == [.unsubscribe("i1")])
        #expect(watch.handle(.timer, at: 60_000) == [])
        #expect(watch.handle(delivery(8, 2)) == [])
        #expect(watch.handle(.reconnected) == creation(2))
        #expect(watch.handle(.created(ConsumerInfo(name: "2", pending: 1))) == [.timer(Watch.at(72_500))])
        #expect(watch.handle(delivery(7, 1, consumer: 2)) == [])
        #expect(revisions(watch.handle(delivery(9, 2, consumer: 2))) == [9])
    }

    @Test("a reconnect ends the pause of a watch") func reconnectsInPause() {
        var watch = Watch()
        _ = watch.handle(.start)
        _ = watch.handle(.createFailed(name: "1", passing))
        _ = watch.handle(.createFailed(name: "2", passing))
        #expect(watch.handle(.reconnected, at: 1) == creation(3))
        #expect(watch.handle(.timer, at: 100) == [])
    }

    @Test("a watch restarts after a reconnect even if the cut was not noticed") func reconnectsUnannounced() {
        var watch = Watch.running()
        #expect(watch.handle(.reconnected) == end(1) + creation(2))
    }

    @Test("an answer from before the cut is ignored") func lateAnswer() {
        var watch = Watch()
        _ = watch.handle(.start)
        _ = watch.handle(.disconnected)
        #expect(watch.handle(.createFailed(name: "1", .failed(NATSError(.disconnected, "cut", isUncertain: true)))) == [])
        #expect(watch.handle(.reconnected) == creation(2))
    }

    // MARK: The end

    @Test("a stopped watch unsubscribes and deletes its consumer") func stops() {
        var watch = Watch.running()
        #expect(watch.handle(.stop) == end(1))
        #expect(watch.consumer.hasEnded)
        #expect(watch.handle(delivery(1, 1)) == [] && watch.handle(.start) == [])
        var idle = Watch()
        #expect(idle.handle(.stop) == [] && idle.consumer.hasEnded)
        var away = Watch.running()
        _ = away.handle(.disconnected)
        #expect(away.handle(.stop) == [])
    }
}
