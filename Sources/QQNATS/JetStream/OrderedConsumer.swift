import QQCore

/// A watch over keys of a bucket that survives lost messages, lost consumers and reconnects: every change that is still in the bucket is delivered once, in
/// order. Pure: events go in, actions come out.
///
/// The next message or heartbeat reveals a missing message by the consumer's own count of deliveries. Then, and whenever the consumer is in doubt, a new
/// consumer replaces it.
///
/// The new consumer starts with the last value of each key again, and values that were delivered before are dropped. nats.go instead starts at the sequence
/// after the last one. The server, however, silently lowers a start beyond its last sequence: after a bucket was deleted and created again, that would miss the
/// values written before the watch resumed. Otherwise both ways deliver the same, because buckets keep one value of each key.
struct OrderedConsumer: Sendable {
    struct Configuration: Sendable {
        var bucket: String
        /// A key, or a pattern such as `>` or `cooldown.*`.
        var keys = ">"
        /// Longest silence of the server.
        var heartbeat: Duration = .seconds(5)
        /// Returns a consumer name that was never used before.
        var newName: @Sendable () -> String
        /// Returns a deliver subject that was never used before.
        var newInbox: @Sendable () -> String

        var stream: String { JetStreamAPI.stream(ofBucket: bucket) }
        var filter: String { JetStreamAPI.keySubject(bucket: bucket, key: keys) }
        /// Length of silence after which the consumer counts as lost.
        var patience: Duration { heartbeat * 5 / 2 }
    }

    enum Event: Sendable {
        case start
        /// The answer to `create`; answers to all but the last `create` are ignored.
        case created(ConsumerInfo)
        case createFailed(name: String, JetStreamFailure)
        /// Any message that arrived on a deliver subject.
        case delivery(NATSMessage)
        case disconnected
        case reconnected
        /// The moment of the last `timer` action has come.
        case timer
        case stop
    }

    enum Action: Sendable, Hashable {
        case subscribe(String)
        case unsubscribe(String)
        case create(ConsumerConfiguration)
        /// The answer is not awaited.
        case deleteConsumer(stream: String, name: String)
        /// Send an empty message to this subject, for flow control.
        case reply(String)
        case deliver(KeyValueEntry)
        /// Every entry that existed at the start has been delivered. Emitted once.
        case initialDone
        /// Hand in `timer` at this moment, in place of the moment set before.
        case timer(BootInstant)
        /// The watch has failed and ended.
        case fail(JetStreamFailure)
    }

    private struct Consumer {
        var name: String
        var inbox: String
        var isCreated = false
        /// Number of the consumer's messages that have arrived.
        var delivered: UInt64 = 0
        var lastSign: BootInstant
    }

    private enum State {
        case idle
        case running(Consumer)
        case pausing(until: BootInstant)
        case disconnected
        case ended
    }

    static let firstPause: Duration = .milliseconds(100)
    static let longestPause: Duration = .seconds(5)

    let configuration: Configuration
    private var state = State.idle
    private var initialIsDone = false
    /// Number of consumers in a row that failed.
    private var failures = 0
    private var lastRevision: UInt64 = 0
    private var lastWritten = WallTime.goZero

    init(_ configuration: Configuration) { self.configuration = configuration }

    /// Whether the watch has ended and produces no more actions.
    var hasEnded: Bool {
        if case .ended = state { true } else { false }
    }

    mutating func handle(_ event: Event, now: BootInstant) -> [Action] {
        switch (event, state) {
        case (_, .ended): return []
        case (.start, .idle): return begin(now)
        case (.start, _): return []
        case (.stop, _): return end()
        case (_, .idle): return []
        case (.reconnected, _):
            let left = abandon()
            failures = 0
            return left + begin(now)
        case (.disconnected, _):
            // The server removes the consumer automatically after a while without a subscriber.
            let left = unsubscribe()
            state = .disconnected
            return left
        case (.created(let info), .running(let consumer)) where info.name == consumer.name: return created(consumer, info, now)
        case (.createFailed(let name, let failure), .running(let consumer)) where name == consumer.name:
            return Self.isWorthRetrying(failure) ? restart(now) : end() + [.fail(failure)]
        case (.created, _), (.createFailed, _): return []
        case (.delivery(let message), .running(let consumer)): return arrived(message, consumer, now)
        case (.delivery, _): return []
        case (.timer, .running(let consumer)) where consumer.isCreated:
            let limit = consumer.lastSign + configuration.patience
            return now >= limit ? restart(now) : [.timer(limit)]
        case (.timer, .pausing(let until)): return now >= until ? begin(now) : [.timer(until)]
        case (.timer, _): return []
        }
    }

    // MARK: Life of a consumer

    private mutating func begin(_ now: BootInstant) -> [Action] {
        let consumer = Consumer(name: configuration.newName(), inbox: configuration.newInbox(), lastSign: now)
        state = .running(consumer)
        return [
            .subscribe(consumer.inbox),
            .create(
                ConsumerConfiguration(
                    stream: configuration.stream, name: consumer.name, filter: configuration.filter, deliverSubject: consumer.inbox,
                    heartbeat: configuration.heartbeat)),
        ]
    }

    private mutating func created(_ consumer: Consumer, _ info: ConsumerInfo, _ now: BootInstant) -> [Action] {
        var consumer = consumer
        consumer.isCreated = true
        consumer.lastSign = now
        state = .running(consumer)
        // Messages that the consumer sent before this answer might not have arrived yet.
        let isComplete = info.pending == 0 && info.delivered <= consumer.delivered
        return [.timer(now + configuration.patience)] + (isComplete ? initialDone() : [])
    }

    /// Replaces the consumer: the first time immediately, then after growing pauses, until a consumer works.
    private mutating func restart(_ now: BootInstant) -> [Action] {
        let left = abandon()
        failures += 1
        if failures == 1 { return left + begin(now) }
        let pause = min(Self.firstPause * (1 << min(failures - 2, 16)), Self.longestPause)
        state = .pausing(until: now + pause)
        return left + [.timer(now + pause)]
    }

    private func unsubscribe() -> [Action] {
        if case .running(let consumer) = state { [.unsubscribe(consumer.inbox)] } else { [] }
    }

    private func abandon() -> [Action] {
        guard case .running(let consumer) = state else { return [] }
        return [.unsubscribe(consumer.inbox), .deleteConsumer(stream: configuration.stream, name: consumer.name)]
    }

    private mutating func end() -> [Action] {
        let left = abandon()
        state = .ended
        return left
    }

    private static func isWorthRetrying(_ failure: JetStreamFailure) -> Bool {
        failure.isTransient || failure.isUncertain
    }

    // MARK: Messages

    private mutating func arrived(_ message: NATSMessage, _ consumer: Consumer, _ now: BootInstant) -> [Action] {
        // A stored message can have a status line too; a delivered one is recognised by its reply subject.
        if let reply = message.reply.flatMap({ DeliveryReply($0) }) {
            return reply.consumer == consumer.name ? delivered(message, reply, consumer, now) : []
        }
        guard message.subject == consumer.inbox, let status = message.headers.status else { return [] }
        // The consumer was deleted, its server stepped down, or the stream was deleted: creating a new consumer shows which.
        guard status == 100 else { return restart(now) }
        return sign(message, consumer, now)
    }

    private mutating func delivered(
        _ message: NATSMessage, _ reply: DeliveryReply, _ consumer: Consumer, _ now: BootInstant
    ) -> [Action] {
        guard reply.consumerSequence == consumer.delivered + 1 else { return restart(now) }
        var consumer = consumer
        consumer.delivered += 1
        note(consumer, now)
        var actions: [Action] = []
        if let entry = KeyValueEntry.delivered(message, as: reply, bucket: configuration.bucket), isNew(entry) {
            actions.append(.deliver(entry))
        }
        return actions + (reply.pending == 0 ? initialDone() : [])
    }

    /// Handles a heartbeat or a flow control request.
    private mutating func sign(_ message: NATSMessage, _ consumer: Consumer, _ now: BootInstant) -> [Action] {
        let last = message.headers["Nats-Last-Consumer"].flatMap { UInt64($0) }
        if let last, last != consumer.delivered { return restart(now) }
        note(consumer, now)
        if let reply = message.reply ?? message.headers["Nats-Consumer-Stalled"] { return [.reply(reply)] }
        // The consumer has nothing to deliver: the pending messages have expired in the meantime.
        return last != nil && consumer.isCreated ? initialDone() : []
    }

    private mutating func note(_ consumer: Consumer, _ now: BootInstant) {
        var consumer = consumer
        consumer.lastSign = now
        failures = 0
        state = .running(consumer)
    }

    private mutating func initialDone() -> [Action] {
        if initialIsDone { return [] }
        initialIsDone = true
        return [.initialDone]
    }

    /// Whether an entry is new. A consumer delivers in order of revision, so every entry up to the last revision was delivered or overwritten: a revision that
    /// is not higher was delivered before or comes from a server that lags behind. If it was written later, however, it belongs to a new bucket with the same
    /// name.
    private mutating func isNew(_ entry: KeyValueEntry) -> Bool {
        guard entry.revision > lastRevision || entry.written > lastWritten else { return false }
        lastRevision = entry.revision
        lastWritten = max(lastWritten, entry.written)
        return true
    }
}
